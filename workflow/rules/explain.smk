# What changes in the sequence do to what the model says.


rule score_variants:
    input:
        source=source("score_variants.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=network_file,
        codes=variant_genome("codes.npy"),
        contigs=variant_genome("contigs.tsv"),
        genome=variant_genome("summary.json"),
        variants=lambda wildcards: variants_of(wildcards)["file"],
    output:
        scored=temp("results/{screen}/variants/{variants}.scored.vcf"),
        summary="results/{screen}/variants/{variants}.summary.json",
    log:
        "logs/{screen}/score_variants/{variants}.log",
    benchmark:
        "benchmark_logs/{screen}/score_variants/{variants}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=engine_memory,
        runtime="12h",
        gpu=PLAN.gpus,
    params:
        code=digest("score_variants.py"),
        bundle=subpath(input.model, parent=True),
        folder=subpath(input.codes, parent=True),
        network=network_code,
        options=variant_options,
        device=PLAN.settings["device"],
    message:
        "Scoring variants {wildcards.variants} with {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --genome-folder {params.folder:q} --variants {input.variants:q} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output {output.scored:q} --summary {output.summary:q} > {log:q} 2>&1"


rule index_variants:
    input:
        source=source("index_variants.py"),
        scored="results/{screen}/variants/{variants}.scored.vcf",
        contigs=variant_genome("contigs.tsv"),
    output:
        variants=report(
            "results/{screen}/variants/{variants}.vcf.gz",
            caption="../report/variants.rst",
            category="{screen}",
            subcategory="Variants",
            labels={"variants": "{variants}", "table": "effects"},
        ),
        index="results/{screen}/variants/{variants}.vcf.gz.csi",
    log:
        "logs/{screen}/index_variants/{variants}.log",
    benchmark:
        "benchmark_logs/{screen}/index_variants/{variants}.tsv"
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        code=digest("index_variants.py"),
        folder=subpath(input.contigs, parent=True),
    message:
        "Indexing variants {wildcards.variants} of {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --variants {input.scored:q} --genome-folder {params.folder:q}"
        " --output {output.variants:q} > {log:q} 2>&1"
