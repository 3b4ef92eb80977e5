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


# Nothing here looks at labels of the scanned genome; where there are some, the report sets what was
# estimated beside what was found.
rule estimate_transfer:
    input:
        source=source("estimate_transfer.py"),
        model="results/{screen}/model/model.json",
        score_counts="results/{screen}/model/score_counts.parquet",
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        histograms="results/{screen}/scan/{genome}/histograms.npz",
        intervals="results/{screen}/scan/{genome}/intervals.tsv",
        blocks="results/{screen}/scan/{genome}/blocks.tsv",
        summary="results/{screen}/scan/{genome}/summary.json",
        train_codes=for_genomes("train_genomes", "results/genomes/{genome}/codes.npy"),
        train_contigs=for_genomes(
            "train_genomes", "results/genomes/{genome}/contigs.tsv"
        ),
        train_splits=for_genomes("train_genomes", "results/{screen}/split/{genome}.tsv"),
    output:
        transfer=report(
            "results/{screen}/transfer/{genome}.json",
            caption="../report/transfer.rst",
            category="{screen}",
            subcategory="Evaluation",
            labels={"genome": "{genome}", "table": "trust without labels"},
        ),
    log:
        "logs/{screen}/estimate_transfer/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/estimate_transfer/{genome}.tsv"
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        code=digest("estimate_transfer.py"),
        model=subpath(input.model, parent=True),
        scan=subpath(input.histograms, parent=True),
        genome=subpath(input.codes, parent=True),
        train=leakage_options,
    message:
        "Estimating how far screen {wildcards.screen} can be trusted on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.model:q} --genome-folder {params.genome:q}"
        " --scan {params.scan:q} {params.train} --output {output.transfer:q} > {log:q} 2>&1"
