# Genomes that are learned one after the other. The first stage is a training like any other; each
# later one adapts the network of the stage before, and is calibrated on its own genome.


rule adapt_model:
    input:
        source=source("adapt_model.py"),
        before=seed_bundle_before("model.json"),
        weights=seed_bundle_before("model.safetensors"),
        fisher=fisher_before,
        network=network_file,
        windows=stage_windows,
        old_windows=old_windows,
        codes=for_adapted_genomes("results/genomes/{genome}/codes.npy"),
        contigs=for_adapted_genomes("results/genomes/{genome}/contigs.tsv"),
        summaries=for_adapted_genomes("results/genomes/{genome}/summary.json"),
        sites=for_adapted_genomes("results/{screen}/sites/{genome}.parquet"),
        intervals=for_adapted_genomes(
            "results/{screen}/sites/{genome}.intervals.parquet"
        ),
        splits=for_adapted_genomes("results/{screen}/split/{genome}.tsv"),
        signals=adaptation_signals,
    output:
        weights="results/{screen}/training/{stage}/round0/seed{seed}/model.safetensors",
        model="results/{screen}/training/{stage}/round0/seed{seed}/model.json",
        history="results/{screen}/training/{stage}/round0/seed{seed}/history.tsv",
    log:
        "logs/{screen}/adapt_model/{stage}-seed{seed}.log",
    benchmark:
        "benchmark_logs/{screen}/adapt_model/{stage}-seed{seed}.tsv"
    wildcard_constraints:
        stage=alternatives(
            key
            for screen in PLAN.screens.values()
            for key, stage in screen.stages.items()
            if stage.before
        ),
    priority: 1
    # As for train_model: a profile's retries are not for training.
    retries: 0
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime="24h",
        gpu=PLAN.gpus,
    params:
        code=digest("adapt_model.py"),
        start=subpath(input.before, parent=True),
        network=network_code,
        old_windows=lambda wildcards, input: option("--old-windows", input.old_windows),
        data=adaptation_data,
        settings=adaptation_settings,
        training=adaptation_training,
        classes=label_classes,
        labels=setting("labels"),
        ignore_margin=setting("ignore_margin"),
        checkpoint="results/{screen}/checkpoint/{stage}-seed{seed}",
        device=PLAN.settings["device"],
        folder=subpath(output.model, parent=True),
    message:
        "Adapting the network of screen {wildcards.screen}, seed {wildcards.seed}, in stage"
        " {wildcards.stage}, on {threads} threads"
    shell:
        "python {input.source[0]:q} --model {params.start:q} {params.network}"
        " --stage {wildcards.stage:q} --windows {input.windows:q} {params.old_windows}"
        " {params.data} --settings {params.settings:q} --training {params.training:q}"
        " --classes {params.classes:q} --labels {params.labels:q}"
        " --ignore-margin {params.ignore_margin:q} --seed {wildcards.seed:q}"
        " --device {params.device:q} --checkpoint {params.checkpoint:q}"
        " --threads {threads} --output-dir {params.folder:q} > {log:q} 2>&1"


# In the bundle, so that whoever is given it can go on without the data it was trained on.
rule estimate_fisher:
    input:
        source=source("estimate_fisher.py"),
        weights="{road}/model/model.safetensors",
        model=ancient("{road}/model/model.json"),
        previous=previous_fisher,
        network=network_file,
        windows=stage_windows,
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
        fisher="{road}/model/fisher.safetensors",
    log:
        "logs/{road}/estimate_fisher.log",
    benchmark:
        "benchmark_logs/{road}/estimate_fisher.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime="12h",
        gpu=PLAN.gpus,
    params:
        code=digest("estimate_fisher.py"),
        folder=subpath(input.model, parent=True),
        network=network_code,
        stage=stage_of,
        previous=previous_options,
        data=training_data,
        batches=training_batches,
        settings=setting("fisher"),
        ignore_margin=setting("ignore_margin"),
        seed=seed_of_road,
        device=PLAN.settings["device"],
    message:
        "Estimating what {wildcards.road} must keep"
    shell:
        "python {input.source[0]:q} --model {params.folder:q} {params.network}"
        " --stage {params.stage:q} {params.previous} --windows {input.windows:q} {params.data}"
        " {params.batches} --settings {params.settings:q}"
        " --ignore-margin {params.ignore_margin:q} --seed {params.seed:q}"
        " --device {params.device:q} --threads {threads} --output {output.fisher:q}"
        " > {log:q} 2>&1"


use rule evaluate_scan as evaluate_stage with:
    output:
        metrics="results/{screen}/stages/{stage}/evaluation/{genome}/metrics.tsv",
        promises="results/{screen}/stages/{stage}/evaluation/{genome}/promises.tsv",
        curves="results/{screen}/stages/{stage}/evaluation/{genome}/curves.parquet",
        reliability="results/{screen}/stages/{stage}/evaluation/{genome}/reliability.parquet",
        draws="results/{screen}/stages/{stage}/evaluation/{genome}/draws.parquet",
        calls="results/{screen}/stages/{stage}/evaluation/{genome}/calls.parquet",
        details="results/{screen}/stages/{stage}/evaluation/{genome}/details.json",
    log:
        "logs/{screen}/evaluate_stage/{stage}/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/evaluate_stage/{stage}/{genome}.tsv"
    message:
        "Evaluating stage {wildcards.stage} of screen {wildcards.screen} on {wildcards.genome}"


rule measure_forgetting:
    input:
        source=source("measure_forgetting.py"),
        metrics=stage_evaluations("metrics.tsv"),
        draws=stage_evaluations("draws.parquet"),
    output:
        matrix=report(
            "results/{screen}/forgetting/matrix.tsv",
            caption="../report/forgetting.rst",
            category="{screen}",
            subcategory="Stages",
            labels={"genome": "all", "table": "average precision after each stage"},
        ),
        summary=report(
            "results/{screen}/forgetting/summary.tsv",
            caption="../report/forgetting.rst",
            category="{screen}",
            subcategory="Stages",
            labels={"genome": "all", "table": "transfer and forgetting"},
        ),
    log:
        "logs/{screen}/measure_forgetting.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        code=digest("measure_forgetting.py"),
        stages=stage_descriptions,
    message:
        "Measuring what the stages of screen {wildcards.screen} kept and lost"
    shell:
        "python {input.source[0]:q} --stages {params.stages:q} --matrix {output.matrix:q}"
        " --summary {output.summary:q} > {log:q} 2>&1"
