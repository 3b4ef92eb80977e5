# Pages to look at beside the report: places of a genome on their sequence, and screens side by side.
# The report links to the views and does not wait for them.
rule view_calls:
    input:
        source=source("view_calls.py"),
        model="results/{screen}/model/model.json",
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        calls="results/{screen}/scan/{genome}/calls.bed.gz",
        index="results/{screen}/scan/{genome}/calls.bed.gz.csi",
        tracks=viewed_tracks,
        sites=viewed_sites,
        judged=viewed_evaluation,
    output:
        page=report(
            "results/{screen}/views/{genome}.html",
            caption="../report/views.rst",
            category="{screen}",
            subcategory="Views",
            labels={"genome": "{genome}", "table": "calls on their sequence"},
        ),
    log:
        "logs/{screen}/view_calls/{genome}.log",
    conda:
        "../../envs/view.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        code=digest("view_calls.py"),
        model=subpath(input.model, parent=True),
        scan=subpath(input.calls, parent=True),
        known=view_options,
        title=lambda wildcards: screen_of(wildcards).settings["title"]
        or wildcards.screen,
    message:
        "Showing calls of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} --model {params.model:q}"
        " --scan {params.scan:q} {params.known} --title {params.title:q}"
        " --output {output.page:q} > {log:q} 2>&1"


rule compare_screens:
    input:
        source=source("compare_screens.py"),
        metrics=list(compared_evaluations(PLAN).values()),
    output:
        page=report(
            "results/comparison.html",
            caption="../report/comparison.rst",
            category="All screens",
            labels={"table": "screens compared"},
        ),
        table="results/comparison.tsv",
    log:
        "logs/compare_screens.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        code=digest("compare_screens.py"),
        metrics=option(
            "--metrics",
            [f"{name}={path}" for name, path in compared_evaluations(PLAN).items()],
        ),
    message:
        "Comparing screens"
    shell:
        "python {input.source[0]:q} {params.metrics} --output {output.page:q}"
        " --table {output.table:q} > {log:q} 2>&1"
