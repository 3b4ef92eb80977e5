# Another threshold writes a bundle anew and leaves its scans as they are: for them the bundle is
# ancient, and this file, the trained weights and the labels are what scores and floors follow from.
# It is a file because Snakemake compares no parameters of jobs below one that runs again.
rule note_scan_settings:
    output:
        settings="{road}/scan/settings.json",
    log:
        "logs/{road}/note_scan_settings.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=100,
        runtime="5m",
    params:
        settings=scan_relevant_settings,
    message:
        "Noting what scans with {wildcards.road} depend on"
    shell:
        "printf '%s\\n' {params.settings:q} > {output.settings:q} 2> {log:q}"


# Shards stay when they are merged: another merge (new tracks, an edited module) must not cost the
# hours of GPUs that they took. They may be deleted by hand; nothing is run again because of that.
rule scan_genome:
    input:
        source=source("scan_genome.py"),
        weights=ancient("{road}/model/model.safetensors"),
        model=ancient("{road}/model/model.json"),
        trained=uncalibrated_model("model.safetensors"),
        calibrated_on=calibration_labels,
        settings="{road}/scan/settings.json",
        network=network_file,
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        summary="results/genomes/{genome}/summary.json",
        split=split_of,
        signals=genome_signals,
    output:
        shard=directory("{road}/scan/{genome}/shards/{shard}-of-{shards}"),
    log:
        "logs/{road}/scan_genome/{genome}/{shard}-of-{shards}.log",
    benchmark:
        "benchmark_logs/{road}/scan_genome/{genome}/{shard}-of-{shards}.tsv"
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: engine_threads
    resources:
        mem_mb=engine_memory,
        runtime="12h",
        gpu=PLAN.gpus,
        disk_mb=shard_size,
    params:
        code=digest("scan_genome.py"),
        bundle=subpath(input.model, parent=True),
        network=network_code,
        parts=scan_parts,
        signals=scan_signals,
        keep_scores=keep_scores,
        device=PLAN.settings["device"],
    message:
        "Scanning {wildcards.genome} with {wildcards.road}"
        " ({wildcards.shard} of {wildcards.shards})"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --genome-folder results/genomes/{wildcards.genome:q} --split {input.split:q}"
        " --parts {params.parts:q} {params.signals}"
        " --shard {wildcards.shard:q} --shards {wildcards.shards:q}"
        " --device {params.device:q} --threads {threads} {params.keep_scores}"
        " --output-dir {output.shard:q} > {log:q} 2>&1"


# Tracks are named by the classes of a screen, and scores are kept only where sites are known, so
# each such group of scans has a rule with its own list of outputs.
for group in PLAN.scan_groups:

    rule:
        name:
            f"merge_scan_{group.name}"
        input:
            source=source("merge_scan.py"),
            model="{road}/model/model.json",
            contigs="results/genomes/{genome}/contigs.tsv",
            split=split_of,
            shards=shard_folders,
        output:
            calls="{road}/scan/{genome}/calls.bed.gz",
            index="{road}/scan/{genome}/calls.bed.gz.csi",
            candidates="{road}/scan/{genome}/candidates.parquet",
            histograms="{road}/scan/{genome}/histograms.npz",
            intervals="{road}/scan/{genome}/intervals.tsv",
            blocks="{road}/scan/{genome}/blocks.tsv",
            summary="{road}/scan/{genome}/summary.json",
            tracks=[f"{{road}}/scan/{{genome}}/{file}" for file in group.bigwigs],
            scores=["{road}/scan/{genome}/scores.npy"] if group.keep_scores else [],
        log:
            "logs/{road}/merge_scan/{genome}.log",
        benchmark:
            "benchmark_logs/{road}/merge_scan/{genome}.tsv"
        wildcard_constraints:
            road=alternatives(group.roads),
            genome=alternatives(group.genomes),
        conda:
            "../../envs/genome.yaml"
        threads: 1
        # A profile cannot name this rule (the screens do), so its memory grows here.
        resources:
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime="4h",
            disk_mb=scan_size,
        params:
            code=digest("merge_scan.py"),
            bundle=subpath(input.model, parent=True),
            folder=subpath(output.calls, parent=True),
            parts=scan_parts,
            shards=lambda wildcards, input: option("--shard", input.shards),
            bigwigs=bigwig_option,
        message:
            "Merging the scan of {wildcards.genome} by {wildcards.road}"
        shell:
            "python {input.source[0]:q} --model {params.bundle:q}"
            " --genome-folder results/genomes/{wildcards.genome:q} --split {input.split:q}"
            " --parts {params.parts:q} {params.shards} {params.bigwigs}"
            " --output-dir {params.folder:q} > {log:q} 2>&1"
