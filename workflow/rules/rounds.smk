# Rounds of hard negatives, and the mean of several seeds.


rule harvest_negatives:
    input:
        source=source("harvest_negatives.py"),
        weights=round_before("model.safetensors"),
        model=round_before("model.json"),
        history=round_before("history.tsv"),
        codes=for_training_genomes("results/genomes/{genome}/codes.npy"),
        contigs=for_training_genomes("results/genomes/{genome}/contigs.tsv"),
        summaries=for_training_genomes("results/genomes/{genome}/summary.json"),
        sites=for_training_genomes("results/{screen}/sites/{genome}.parquet"),
        intervals=for_training_genomes(
            "results/{screen}/sites/{genome}.intervals.parquet"
        ),
        splits=for_training_genomes("results/{screen}/split/{genome}.tsv"),
        signals=training_signals,
    output:
        negatives="results/{screen}/hard_negatives/round{round}/seed{seed}/negatives.parquet",
        summary="results/{screen}/hard_negatives/round{round}/seed{seed}/summary.json",
    log:
        "logs/{screen}/harvest_negatives/round{round}-seed{seed}.log",
    benchmark:
        "benchmark_logs/{screen}/harvest_negatives/round{round}-seed{seed}.tsv"
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=engine_memory,
        runtime="12h",
        gpu=PLAN.gpus,
    params:
        code=digest("harvest_negatives.py"),
        data=training_data,
        batches=training_batches,
        settings=harvest_settings,
        classes=label_classes,
        ignore_margin=setting("ignore_margin"),
        memory_gb=setting("scan", "memory_gb"),
        device=PLAN.settings["device"],
        folder=subpath(input.model, parent=True),
    message:
        "Harvesting hard negatives of screen {wildcards.screen}, seed {wildcards.seed}, for round"
        " {wildcards.round}"
    shell:
        "python {input.source[0]:q} --model {params.folder:q} {params.data}"
        " {params.batches} --classes {params.classes:q} --settings {params.settings:q}"
        " --ignore-margin {params.ignore_margin:q} --memory-gb {params.memory_gb:q}"
        " --device {params.device:q} --threads {threads}"
        " --output {output.negatives:q} --summary {output.summary:q} > {log:q} 2>&1"


rule combine_seeds:
    input:
        source=source("combine_seeds.py"),
        weights=of_seeds("model.safetensors"),
        models=of_seeds("model.json"),
        histories=of_seeds("history.tsv"),
    output:
        weights="results/{screen}/training/{stage}/round{round}/ensemble/model.safetensors",
        model="results/{screen}/training/{stage}/round{round}/ensemble/model.json",
        history="results/{screen}/training/{stage}/round{round}/ensemble/history.tsv",
    log:
        "logs/{screen}/combine_seeds/{stage}-round{round}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="30m",
    params:
        code=digest("combine_seeds.py"),
        members=member_options,
        folder=subpath(output.model, parent=True),
    message:
        "Combining the seeds of screen {wildcards.screen}, round {wildcards.round}"
    shell:
        "python {input.source[0]:q} {params.members} --output-dir {params.folder:q}"
        " > {log:q} 2>&1"
