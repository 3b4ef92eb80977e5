# What the hidden layers of a model hold, and what of it the model uses.
rule probe_model:
    input:
        source=source("probe_model.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=explained_network,
        codes=for_probed_genomes("results/genomes/{genome}/codes.npy"),
        contigs=for_probed_genomes("results/genomes/{genome}/contigs.tsv"),
        softmask=for_probed_genomes("results/genomes/{genome}/softmask.parquet"),
        sites=for_probed_genomes("results/{screen}/sites/{genome}.parquet"),
        intervals=for_probed_genomes(
            "results/{screen}/sites/{genome}.intervals.parquet"
        ),
        splits=for_probed_genomes("results/{screen}/split/{genome}.tsv"),
        annotations=probed_annotations,
    output:
        probes="results/{screen}/explain/{genome}/probes/probes.tsv",
        interventions="results/{screen}/explain/{genome}/probes/interventions.tsv",
        similarity="results/{screen}/explain/{genome}/probes/similarity.tsv",
        summary="results/{screen}/explain/{genome}/probes/summary.json",
    log:
        "logs/{screen}/probe_model/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/probe_model/{genome}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="4h",
        gpu=PLAN.gpus,
    params:
        code=digest("probe_model.py"),
        bundle=subpath(input.model, parent=True),
        network=network_code,
        options=probe_options,
        device=PLAN.settings["device"],
        folder=subpath(output.summary, parent=True),
    message:
        "Probing the hidden layers of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
