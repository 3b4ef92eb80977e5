rule evaluate_scan:
    input:
        source=source("evaluate_scan.py"),
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        sites="results/{screen}/sites/{genome}.parquet",
        intervals="results/{screen}/sites/{genome}.intervals.parquet",
        leakage="results/{screen}/leakage/{genome}.parquet",
        models=for_models("{road}/model/model.json"),
        candidates=for_models("{road}/scan/{genome}/candidates.parquet"),
        histograms=for_models("{road}/scan/{genome}/histograms.npz"),
        scores=for_models("{road}/scan/{genome}/scores.npy"),
        summaries=for_models("{road}/scan/{genome}/summary.json"),
    output:
        metrics=report(
            "results/{screen}/evaluation/{genome}/metrics.tsv",
            caption="../report/metrics.rst",
            category="{screen}",
            subcategory="Evaluation",
            labels={"genome": "{genome}", "table": "metrics"},
        ),
        promises=report(
            "results/{screen}/evaluation/{genome}/promises.tsv",
            caption="../report/promises.rst",
            category="{screen}",
            subcategory="Evaluation",
            labels={"genome": "{genome}", "table": "promises"},
        ),
        curves="results/{screen}/evaluation/{genome}/curves.parquet",
        reliability="results/{screen}/evaluation/{genome}/reliability.parquet",
        draws="results/{screen}/evaluation/{genome}/draws.parquet",
        calls="results/{screen}/evaluation/{genome}/calls.parquet",
        details="results/{screen}/evaluation/{genome}/details.json",
    log:
        "logs/{screen}/evaluate_scan/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/evaluate_scan/{genome}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        code=digest("evaluate_scan.py"),
        scans=model_options("--scan", "{road}/scan/{genome}"),
        models=model_options("--model", "{road}/model"),
        pairs=round_pairs,
        settings=evaluation_settings,
        batch=batch_option,
        folder=subpath(output.metrics, parent=True),
    message:
        "Evaluating the scans of {wildcards.genome} in screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} --sites {input.sites:q}"
        " --intervals {input.intervals:q} --leakage {input.leakage:q} {params.scans}"
        " {params.models} {params.pairs} --settings {params.settings:q} {params.batch}"
        " --output-dir {params.folder:q}"
        " > {log:q} 2>&1"
