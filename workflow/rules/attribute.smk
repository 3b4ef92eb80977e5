# Why the model calls what it calls: effects on the model, of its best-scoring calls.
rule attribute_sites:
    input:
        source=source("attribute_sites.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=explained_network,
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        candidates="results/{screen}/scan/{genome}/candidates.parquet",
        intervals="results/{screen}/scan/{genome}/intervals.tsv",
        blocks="results/{screen}/scan/{genome}/blocks.tsv",
    output:
        attributions="results/{screen}/explain/{genome}/attributions.npz",
        sites="results/{screen}/explain/{genome}/sites.tsv",
        summary="results/{screen}/explain/{genome}/summary.json",
    log:
        "logs/{screen}/attribute_sites/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/attribute_sites/{genome}.tsv"
    conda:
        "../../envs/explain.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="4h",
        gpu=PLAN.gpus,
    params:
        code=digest("attribute_sites.py"),
        bundle=subpath(input.model, parent=True),
        genome=subpath(input.codes, parent=True),
        scan=subpath(input.candidates, parent=True),
        network=network_code,
        options=attribution_options,
        device=PLAN.settings["device"],
        folder=subpath(output.summary, parent=True),
    message:
        "Attributing the calls of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --genome-folder {params.genome:q} --scan {params.scan:q} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"


rule track_contributions:
    input:
        source=source("track_contributions.py"),
        contigs="results/genomes/{genome}/contigs.tsv",
        codes="results/genomes/{genome}/codes.npy",
        attributions=rules.attribute_sites.output.attributions,
        sites=rules.attribute_sites.output.sites,
        summary=rules.attribute_sites.output.summary,
    output:
        tracks=directory("results/{screen}/explain/{genome}/tracks"),
    log:
        "logs/{screen}/track_contributions/{genome}.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        code=digest("track_contributions.py"),
        genome=subpath(input.codes, parent=True),
        attributions=subpath(input.summary, parent=True),
    message:
        "Writing contributions to the calls of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --genome-folder {params.genome:q}"
        " --attributions {params.attributions:q}"
        " --output-dir {output.tracks:q} > {log:q} 2>&1"


rule measure_attention:
    input:
        source=source("measure_attention.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        attributions=rules.attribute_sites.output.attributions,
        sites=rules.attribute_sites.output.sites,
        summary=rules.attribute_sites.output.summary,
    output:
        attention="results/{screen}/explain/{genome}/attention/attention.npz",
        sites="results/{screen}/explain/{genome}/attention/sites.tsv",
        heads="results/{screen}/explain/{genome}/attention/heads.tsv",
        summary="results/{screen}/explain/{genome}/attention/summary.json",
    log:
        "logs/{screen}/measure_attention/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/measure_attention/{genome}.tsv"
    conda:
        "../../envs/explain.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="1h",
        gpu=PLAN.gpus,
    params:
        code=digest("measure_attention.py"),
        bundle=subpath(input.model, parent=True),
        genome=subpath(input.codes, parent=True),
        attributions=subpath(input.summary, parent=True),
        options=attention_options,
        device=PLAN.settings["device"],
        folder=subpath(output.summary, parent=True),
    message:
        "Measuring the attention of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} --genome-folder {params.genome:q}"
        " --attributions {params.attributions:q} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
