# Motifs put into sequence, taken out of calls and moved: what that does to the model's scores.
rule intervene_motifs:
    input:
        source=source("intervene_motifs.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=explained_network,
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        intervals="results/{screen}/scan/{genome}/intervals.tsv",
        blocks="results/{screen}/scan/{genome}/blocks.tsv",
        sites="results/{screen}/explain/{genome}/sites.tsv",
        motifs=implanted_motifs,
        hits=motif_hits,
    output:
        marginal="results/{screen}/explain/{genome}/interventions/marginal.tsv",
        positions="results/{screen}/explain/{genome}/interventions/positions.tsv",
        copies="results/{screen}/explain/{genome}/interventions/copies.tsv",
        pairs="results/{screen}/explain/{genome}/interventions/pairs.tsv",
        sites="results/{screen}/explain/{genome}/interventions/sites.tsv",
        summary="results/{screen}/explain/{genome}/interventions/summary.json",
    log:
        "logs/{screen}/intervene_motifs/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/intervene_motifs/{genome}.tsv"
    conda:
        "../../envs/explain.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="4h",
        gpu=PLAN.gpus,
    params:
        code=digest("intervene_motifs.py"),
        bundle=subpath(input.model, parent=True),
        genome=subpath(input.codes, parent=True),
        scan=subpath(input.intervals, parent=True),
        network=network_code,
        options=intervention_options,
        device=PLAN.settings["device"],
        folder=subpath(output.summary, parent=True),
    message:
        "Implanting, deleting and moving motifs of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --genome-folder {params.genome:q} --scan {params.scan:q} --motifs {input.motifs:q}"
        " --sites {input.sites:q} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
