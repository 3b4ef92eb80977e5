rule sample_windows:
    input:
        source=source("sample_windows.py"),
        codes=for_training_genomes("results/genomes/{genome}/codes.npy"),
        contigs=for_training_genomes("results/genomes/{genome}/contigs.tsv"),
        sites=for_training_genomes("results/{screen}/sites/{genome}.parquet"),
        intervals=for_training_genomes(
            "results/{screen}/sites/{genome}.intervals.parquet"
        ),
        splits=for_training_genomes("results/{screen}/split/{genome}.tsv"),
        negatives=hard_negatives,
    output:
        windows="results/{screen}/windows/{draw}sampled.parquet",
        summary="results/{screen}/windows/{draw}summary.json",
    log:
        "logs/{screen}/{draw}sample_windows.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        code=digest("sample_windows.py"),
        data=training_data,
        settings=sampling,
        resolution=resolution,
        ignore_margin=setting("ignore_margin"),
        seed=first_seed,
        hard=hard_negative_options,
    message:
        "Sampling training windows for screen {wildcards.screen} {wildcards.draw}"
    shell:
        "python {input.source[0]:q} {params.data} --settings {params.settings:q}"
        " --resolution {params.resolution:q} --ignore-margin {params.ignore_margin:q}"
        " --seed {params.seed:q} {params.hard}"
        " --output {output.windows:q} --summary {output.summary:q}"
        " > {log:q} 2>&1"


rule augment_windows:
    input:
        source=source("augment_windows.py"),
        windows="results/{screen}/windows/{draw}sampled.parquet",
    output:
        windows="results/{screen}/windows/{draw}augmented.parquet",
        summary="results/{screen}/windows/{draw}augmented.summary.json",
    log:
        "logs/{screen}/{draw}augment_windows.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        code=digest("augment_windows.py"),
        stranded=lambda wildcards: str(screen_of(wildcards).stranded).lower(),
        reverse_complement=setting("reverse_complement"),
    message:
        "Adding reverse complements for screen {wildcards.screen} {wildcards.draw}"
    shell:
        "python {input.source[0]:q} --windows {input.windows:q} --stranded {params.stranded:q}"
        " --reverse-complement {params.reverse_complement:q} --output {output.windows:q}"
        " --summary {output.summary:q} > {log:q} 2>&1"


rule train_model:
    input:
        source=source("train_model.py"),
        windows=training_windows,
        former=former_weights,
        pretrained=pretrained_trunk,
        codes=for_training_genomes("results/genomes/{genome}/codes.npy"),
        contigs=for_training_genomes("results/genomes/{genome}/contigs.tsv"),
        summaries=for_training_genomes("results/genomes/{genome}/summary.json"),
        sites=for_training_genomes("results/{screen}/sites/{genome}.parquet"),
        intervals=for_training_genomes(
            "results/{screen}/sites/{genome}.intervals.parquet"
        ),
        splits=for_training_genomes("results/{screen}/split/{genome}.tsv"),
        motifs=stem_motif_file,
        signals=training_signals,
        tracks=auxiliary_files,
    output:
        weights="results/{screen}/training/base/round{round}/seed{seed}/model.safetensors",
        model="results/{screen}/training/base/round{round}/seed{seed}/model.json",
        history="results/{screen}/training/base/round{round}/seed{seed}/history.tsv",
    log:
        "logs/{screen}/train_model/round{round}-seed{seed}.log",
    benchmark:
        "benchmark_logs/{screen}/train_model/round{round}-seed{seed}.tsv"
    wildcard_constraints:
        screen=alternatives(n for n, s in PLAN.screens.items() if not s.imported),
    priority: 1
    # A profile's retries are not for training: hours of a GPU are spent again only when somebody
    # asks for it, and then it goes on from its checkpoint.
    retries: 0
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime="24h",
        gpu=PLAN.gpus,
    params:
        code=digest("train_model.py"),
        data=training_data,
        batches=training_batches,
        channels=channels,
        model=setting("model"),
        training=setting("training"),
        motifs=stem_motifs,
        auxiliary=setting("auxiliary"),
        tracks=auxiliary_options,
        classes=label_classes,
        labels=setting("labels"),
        reverse_complement=setting("reverse_complement"),
        ignore_margin=setting("ignore_margin"),
        checkpoint="results/{screen}/checkpoint/base-round{round}-seed{seed}",
        device=PLAN.settings["device"],
        start=former_options,
        pretrained=pretrained_option,
        folder=subpath(output.model, parent=True),
    message:
        "Training the network of screen {wildcards.screen}, seed {wildcards.seed}, round"
        " {wildcards.round}, on {threads} threads"
    shell:
        "python {input.source[0]:q} --windows {input.windows:q} {params.data}"
        " {params.batches} {params.channels}"
        " --model {params.model:q} --training {params.training:q} {params.motifs}"
        " --auxiliary {params.auxiliary:q} {params.tracks}"
        " --classes {params.classes:q} --labels {params.labels:q}"
        " --reverse-complement {params.reverse_complement:q}"
        " --ignore-margin {params.ignore_margin:q} --seed {wildcards.seed:q}"
        " {params.start} {params.pretrained} --device {params.device:q} --checkpoint {params.checkpoint:q}"
        " --threads {threads} --output-dir {params.folder:q} > {log:q} 2>&1"


# The network of a screen is either trained or imported.
rule import_model:
    input:
        source=source("import_model.py"),
        network=network_file,
        weights=network_weights,
    output:
        weights="results/{screen}/training/base/round0/seed{seed}/model.safetensors",
        model="results/{screen}/training/base/round0/seed{seed}/model.json",
        history="results/{screen}/training/base/round0/seed{seed}/history.tsv",
    log:
        "logs/{screen}/import_model/seed{seed}.log",
    wildcard_constraints:
        screen=alternatives(n for n, s in PLAN.screens.items() if s.imported),
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime="1h",
    params:
        code=digest("import_model.py"),
        network=network_code,
        model=custom_settings,
        classes=label_classes,
        labels=setting("labels"),
        reverse_complement=setting("reverse_complement"),
        folder=subpath(output.model, parent=True),
    message:
        "Importing the network of screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} {params.network} --weights {input.weights:q}"
        " --model {params.model:q} --classes {params.classes:q} --labels {params.labels:q}"
        " --reverse-complement {params.reverse_complement:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"


rule fit_baseline:
    input:
        source=source("fit_baseline.py"),
        codes=for_training_genomes("results/genomes/{genome}/codes.npy"),
        contigs=for_training_genomes("results/genomes/{genome}/contigs.tsv"),
        summaries=for_training_genomes("results/genomes/{genome}/summary.json"),
        sites=for_training_genomes("results/{screen}/sites/{genome}.parquet"),
        intervals=for_training_genomes(
            "results/{screen}/sites/{genome}.intervals.parquet"
        ),
        splits=for_training_genomes("results/{screen}/split/{genome}.tsv"),
        motifs=motif_file,
    output:
        weights="results/{screen}/baselines/{baseline}/training/base/round0/seed{seed}/model.safetensors",
        model="results/{screen}/baselines/{baseline}/training/base/round0/seed{seed}/model.json",
        history="results/{screen}/baselines/{baseline}/training/base/round0/seed{seed}/history.tsv",
    log:
        "logs/{screen}/fit_baseline/{baseline}-seed{seed}.log",
    benchmark:
        "benchmark_logs/{screen}/fit_baseline/{baseline}-seed{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime="4h",
    params:
        code=digest("fit_baseline.py"),
        data=training_data,
        settings=baseline_settings,
        motifs=lambda wildcards, input: (
            option("--motifs", [input.motifs]) if input.motifs else ""
        ),
        ignore_margin=setting("ignore_margin"),
        classes=label_classes,
        labels=setting("labels"),
        resolution=resolution,
        folder=subpath(output.model, parent=True),
    message:
        "Fitting baseline {wildcards.baseline} of screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --method {wildcards.baseline:q} {params.data}"
        " {params.motifs} --settings {params.settings:q} --classes {params.classes:q}"
        " --labels {params.labels:q} --resolution {params.resolution:q} --seed {wildcards.seed:q}"
        " --ignore-margin {params.ignore_margin:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"


rule calibrate_model:
    input:
        source=source("calibrate_model.py"),
        weights=uncalibrated_model("model.safetensors"),
        model=uncalibrated_model("model.json"),
        network=network_file,
        history=uncalibrated_model("history.tsv"),
        fallback=bundle_before,
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
        weights="{road}/model/model.safetensors",
        model="{road}/model/model.json",
        history="{road}/model/history.tsv",
        score_counts="{road}/model/score_counts.parquet",
    log:
        "logs/{road}/calibrate_model.log",
    benchmark:
        "benchmark_logs/{road}/calibrate_model.tsv"
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: engine_threads
    resources:
        mem_mb=engine_memory,
        runtime="4h",
        gpu=PLAN.gpus,
    params:
        code=digest("calibrate_model.py"),
        data=training_data,
        batches=training_batches,
        settings=setting("calibration"),
        memory_gb=setting("scan", "memory_gb"),
        precision=setting("scan", "precision"),
        classes=call_classes,
        labels=setting("labels"),
        ignore_margin=setting("ignore_margin"),
        device=PLAN.settings["device"],
        training=subpath(input.model, parent=True),
        network=network_code,
        fallback=fallback_option,
        folder=subpath(output.model, parent=True),
    message:
        "Calibrating {wildcards.road} at natural prevalence"
    shell:
        "python {input.source[0]:q} --model {params.training:q} {params.network} {params.data}"
        " {params.batches} {params.fallback}"
        " --settings {params.settings:q} --classes {params.classes:q}"
        " --labels {params.labels:q} --ignore-margin {params.ignore_margin:q}"
        " --device {params.device:q} --threads {threads} --memory-gb {params.memory_gb:q}"
        " --precision {params.precision:q} --output-dir {params.folder:q}"
        " > {log:q} 2>&1"
