# Sequence changed base by base until the model scores it as wanted.
rule design_sequences:
    input:
        source=source("design_sequences.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=network_file,
        codes=design_genome("codes.npy"),
        contigs=design_genome("contigs.tsv"),
        sites=lambda wildcards: design_of(wildcards)["sites"],
    output:
        sequences=report(
            "results/{screen}/designs/{design}/designs.fa",
            caption="../report/designs.rst",
            category="{screen}",
            subcategory="Designs",
            labels={"design": "{design}", "table": "sequences"},
        ),
        designs="results/{screen}/designs/{design}/designs.tsv",
        trail=report(
            "results/{screen}/designs/{design}/trail.tsv",
            caption="../report/designs.rst",
            category="{screen}",
            subcategory="Designs",
            labels={"design": "{design}", "table": "trail"},
        ),
        summary="results/{screen}/designs/{design}/summary.json",
    log:
        "logs/{screen}/design_sequences/{design}.log",
    benchmark:
        "benchmark_logs/{screen}/design_sequences/{design}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="4h",
        gpu=PLAN.gpus,
    params:
        code=digest("design_sequences.py"),
        bundle=subpath(input.model, parent=True),
        genome=subpath(input.codes, parent=True),
        network=network_code,
        options=design_options,
        device=PLAN.settings["device"],
        folder=subpath(output.summary, parent=True),
    message:
        "Designing {wildcards.design} with {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --genome-folder {params.genome:q} --sites {input.sites:q} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
