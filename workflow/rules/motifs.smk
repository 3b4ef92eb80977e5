# Motifs that the model uses, and the known ones that they are most like.
rule discover_motifs:
    input:
        source=source("discover_motifs.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=explained_network,
        attributions="results/{screen}/explain/{genome}/attributions.npz",
        sites="results/{screen}/explain/{genome}/sites.tsv",
        database=motif_database,
    output:
        motifs=report(
            "results/{screen}/explain/{genome}/motifs/motifs.tsv",
            caption="../report/motifs.rst",
            category="{screen}",
            subcategory="Motifs",
            labels={"genome": "{genome}", "table": "motifs"},
        ),
        matches="results/{screen}/explain/{genome}/motifs/matches.tsv",
        hits="results/{screen}/explain/{genome}/motifs/hits.tsv",
        meme="results/{screen}/explain/{genome}/motifs/motifs.meme",
        filters="results/{screen}/explain/{genome}/motifs/filters.meme",
        matrices="results/{screen}/explain/{genome}/motifs/matrices.npz",
        summary="results/{screen}/explain/{genome}/motifs/summary.json",
    log:
        "logs/{screen}/discover_motifs/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/discover_motifs/{genome}.tsv"
    conda:
        "../../envs/explain.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="4h",
    params:
        code=digest("discover_motifs.py"),
        bundle=subpath(input.model, parent=True),
        attributions=subpath(input.attributions, parent=True),
        network=network_code,
        options=motif_options,
        folder=subpath(output.summary, parent=True),
    message:
        "Discovering the motifs of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --attributions {params.attributions:q} {params.options} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
