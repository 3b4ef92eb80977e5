# Networks that learn from genomes without labels; screens start from them.


rule pretrain_model:
    input:
        source=source("pretrain_model.py"),
        codes=pretraining_files("codes.npy"),
        contigs=pretraining_files("contigs.tsv"),
        summaries=pretraining_files("summary.json"),
        repeats=pretraining_files("softmask.parquet"),
    output:
        weights="results/pretraining/{pretraining}/trunk.safetensors",
        model="results/pretraining/{pretraining}/model.json",
        history="results/pretraining/{pretraining}/history.tsv",
        perplexity=report(
            "results/pretraining/{pretraining}/perplexity.tsv",
            caption="../report/perplexity.rst",
            category="Pretraining",
            labels={"network": "{pretraining}", "table": "perplexity"},
        ),
    log:
        "logs/pretraining/{pretraining}.log",
    benchmark:
        "benchmark_logs/pretraining/{pretraining}.tsv"
    priority: 1
    # As train_model: a run that is asked for again goes on from its checkpoint.
    retries: 0
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime="24h",
        gpu=PLAN.gpus,
    params:
        code=digest("pretrain_model.py"),
        data=pretraining_options,
        checkpoint="results/pretraining/checkpoint/{pretraining}",
        device=PLAN.settings["device"],
        folder=subpath(output.model, parent=True),
    message:
        "Pretraining network {wildcards.pretraining} on {threads} threads"
    shell:
        "python {input.source[0]:q} {params.data} --device {params.device:q}"
        " --threads {threads} --checkpoint {params.checkpoint:q}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
