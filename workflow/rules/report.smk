rule render_report:
    input:
        source=source("render_report.py"),
        model="results/{screen}/model/model.json",
        history="results/{screen}/model/history.tsv",
        baselines=baseline_models,
        metrics=for_genomes(
            "evaluated_genomes", "results/{screen}/evaluation/{genome}/metrics.tsv"
        ),
        scans=for_genomes("scan_genomes", "results/{screen}/scan/{genome}/summary.json"),
        candidates=for_genomes(
            "scan_genomes", "results/{screen}/scan/{genome}/candidates.parquet"
        ),
        sites=for_genomes(
            "labelled_genomes", "results/{screen}/sites/{genome}.summary.json"
        ),
        codes=for_genomes("used_genomes", "results/genomes/{genome}/codes.npy"),
        contigs=for_genomes("used_genomes", "results/genomes/{genome}/contigs.tsv"),
        summaries=for_genomes("used_genomes", "results/genomes/{genome}/summary.json"),
        splits=for_genomes("used_genomes", "results/{screen}/split/{genome}.tsv"),
        leakage=for_genomes(
            "evaluated_genomes", "results/{screen}/leakage/{genome}.summary.json"
        ),
        transfers=for_genomes("scan_genomes", "results/{screen}/transfer/{genome}.json"),
        windows=windows_summary,
        harvests=harvest_summaries,
        stages=stage_tables,
        explanations=lambda wildcards: explanations_of(screen_of(wildcards)),
    output:
        report=report(
            "results/{screen}/report.html",
            caption="../report/report.rst",
            category="{screen}",
            subcategory="Report",
            labels={"genome": "all", "table": "the whole report on one page"},
        ),
        figures=report(
            directory("results/{screen}/figures"),
            patterns=["{figure}.svg"],
            caption="../report/figures.rst",
            category="{screen}",
            subcategory="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "logs/{screen}/render_report.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        code=digest("render_report.py"),
        settings=report_settings,
        data=report_data,
        windows=lambda wildcards, input: option(
            "--windows-summary", [input.windows] if input.windows else []
        ),
    message:
        "Writing the report of screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --screen {wildcards.screen:q} --settings {params.settings:q}"
        " {params.data} --model results/{wildcards.screen:q}/model"
        " {params.windows} --output {output.report:q}"
        " --figures {output.figures:q} > {log:q} 2>&1"


rule record_provenance:
    input:
        source=source("record_provenance.py"),
        model="results/{screen}/model/model.json",
        weights="results/{screen}/model/model.safetensors",
        fastas=lambda wildcards: list(fasta_files(wildcards).values()),
        files=user_files,
        summaries=known_summaries,
        sites=for_genomes(
            "labelled_genomes", "results/{screen}/sites/{genome}.summary.json"
        ),
        scans=for_genomes("scan_genomes", "results/{screen}/scan/{genome}/summary.json"),
    output:
        provenance="results/{screen}/provenance.json",
    log:
        "logs/{screen}/record_provenance.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        code=digest("record_provenance.py"),
        scripts=lambda wildcards: json.dumps(SCRIPT_DIGESTS),
        versions=json.dumps({"snakemake": snakemake_version}),
        settings=provenance_settings,
        data=provenance_data,
        times=lambda wildcards: option("--time-logs", time_logs(wildcards)),
    message:
        "Recording what the results of screen {wildcards.screen} were made from"
    shell:
        "python {input.source[0]:q} --screen {wildcards.screen:q} --settings {params.settings:q}"
        " --code {params.scripts:q} --workflow {params.versions:q} {params.data}"
        " --model results/{wildcards.screen:q}/model {params.times}"
        " --output {output.provenance:q} > {log:q} 2>&1"
