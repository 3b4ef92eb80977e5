rule extract_sites:
    input:
        source=source("extract_sites.py"),
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        annotation=genome_file("annotation"),
        alias=genome_file("alias"),
        tracks=track_files,
    output:
        sites="results/{screen}/sites/{genome}.parquet",
        intervals="results/{screen}/sites/{genome}.intervals.parquet",
        summary="results/{screen}/sites/{genome}.summary.json",
    log:
        "logs/{screen}/extract_sites/{genome}.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        code=digest("extract_sites.py"),
        files=annotation_options,
        tracks=track_rows,
        classes=label_classes,
        regions=regions,
        resolution=resolution,
        labels=setting("labels"),
        may_lack=classes_of_stages,
        min_intron=setting("min_intron"),
        check_consensus=setting("check_consensus"),
        ignore_margin=setting("ignore_margin"),
    message:
        "Extracting the sites of {wildcards.genome} for screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} {params.files}"
        " --tracks {params.tracks:q} --classes {params.classes:q}"
        " --regions {params.regions:q} --resolution {params.resolution:q}"
        " --labels {params.labels:q} --min-intron {params.min_intron:q}"
        " {params.may_lack}"
        " --ignore-margin {params.ignore_margin:q} --check-consensus {params.check_consensus:q}"
        " --sites {output.sites:q}"
        " --intervals {output.intervals:q} --summary {output.summary:q} > {log:q} 2>&1"


rule split_genome:
    input:
        source=source("split_genome.py"),
        contigs="results/genomes/{genome}/contigs.tsv",
        sites=sites_to_split,
        table=split_table,
    output:
        split="results/{screen}/split/{genome}.tsv",
        summary="results/{screen}/split/{genome}.summary.json",
    log:
        "logs/{screen}/split_genome/{genome}.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="30m",
    params:
        code=digest("split_genome.py"),
        rule=split_options,
        regions=regions,
        guard=lambda wildcards: screen_of(wildcards).architecture.context,
        resolution=resolution,
    message:
        "Splitting {wildcards.genome} for screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} --regions {params.regions:q}"
        " {params.rule} --guard {params.guard:q} --resolution {params.resolution:q}"
        " --output {output.split:q} --summary {output.summary:q}"
        " > {log:q} 2>&1"


rule audit_leakage:
    input:
        source=source("audit_leakage.py"),
        codes=for_genomes("train_genomes", "results/genomes/{genome}/codes.npy"),
        contigs=for_genomes("train_genomes", "results/genomes/{genome}/contigs.tsv"),
        splits=for_genomes("train_genomes", "results/{screen}/split/{genome}.tsv"),
        audited_codes="results/genomes/{genome}/codes.npy",
        audited_contigs="results/genomes/{genome}/contigs.tsv",
        split="results/{screen}/split/{genome}.tsv",
        sites="results/{screen}/sites/{genome}.parquet",
    output:
        leakage="results/{screen}/leakage/{genome}.parquet",
        summary="results/{screen}/leakage/{genome}.summary.json",
    log:
        "logs/{screen}/audit_leakage/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/audit_leakage/{genome}.tsv"
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        code=digest("audit_leakage.py"),
        train=leakage_options,
    message:
        "Looking for sites of {wildcards.genome} that screen {wildcards.screen} was trained on"
    shell:
        "python {input.source[0]:q} {params.train} --genome {wildcards.genome:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} --split {input.split:q}"
        " --sites {input.sites:q} --output {output.leakage:q} --summary {output.summary:q}"
        " > {log:q} 2>&1"
