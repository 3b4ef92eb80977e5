rule encode_genome:
    input:
        source=source("encode_genome.py"),
        fasta=genome_file("fasta"),
    output:
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        softmask="results/genomes/{genome}/softmask.parquet",
        summary="results/genomes/{genome}/summary.json",
    log:
        "logs/encode_genome/{genome}.log",
    benchmark:
        "benchmark_logs/encode_genome/{genome}.tsv"
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
        disk_mb=encoded_size,
    params:
        code=digest("encode_genome.py"),
        sha256=lambda wildcards: option(
            "--sha256", filter(None, [genome_of(wildcards).sha256])
        ),
    message:
        "Encoding genome {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome:q} --fasta {input.fasta:q}"
        " {params.sha256}"
        " --codes {output.codes:q} --contigs {output.contigs:q}"
        " --softmask {output.softmask:q} --summary {output.summary:q} > {log:q} 2>&1"


# A signal belongs to a genome, not to a screen: screens that see the same one share its values.
rule encode_signal:
    input:
        source=source("encode_signal.py"),
        contigs="results/genomes/{genome}/contigs.tsv",
        file=signal_file,
        alias=genome_file("alias"),
    output:
        values="results/genomes/{genome}/signals/{track}.npy",
        summary="results/genomes/{genome}/signals/{track}.summary.json",
    log:
        "logs/encode_signal/{genome}/{track}.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="4h",
        disk_mb=signal_size,
    params:
        code=digest("encode_signal.py"),
        alias=lambda wildcards, input: (
            option("--alias", [input.alias]) if input.alias else ""
        ),
        format=lambda wildcards: signal_row(wildcards)["format"] or "auto",
    message:
        "Encoding signal {wildcards.track} of {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} --track {wildcards.track:q}"
        " --file {input.file:q} --format {params.format:q} {params.alias}"
        " --values {output.values:q} --summary {output.summary:q} > {log:q} 2>&1"
