# Why the model calls what it calls: effects on the model, of its best-scoring calls.


def attributions(plan):
    """Return the attributions of all screens that ask for some."""
    return [
        f"results/{screen.name}/explain/{genome}/summary.json"
        for screen in plan.screens.values()
        if screen.settings["explain"]["sites"]
        for genome in screen.scan_genomes
    ]


def explained_network(wildcards):
    """Return the code of a screen's own network, if it has one."""
    screen = screen_of(wildcards)
    return screen.network_code.rpartition(":")[0] if screen.imported else []


def attribution_options(wildcards):
    """Write the settings of a screen's attributions as options."""
    screen = screen_of(wildcards)
    settings = screen.settings["explain"]
    batch = screen.batches.get(wildcards.genome)
    options = [
        option("--most", [settings["sites"]]),
        *(
            option(f"--{name}", [settings[name]])
            for name in ("flank", "references", "steps", "seed")
        ),
        "" if settings["indels"] else "--no-indels",
        option("--laboratory", [batch] if batch else []),
    ]
    return " ".join(filter(None, options))


def attribution_memory(wildcards, attempt):
    """Return the memory of attributions, twice as much when one is tried again."""
    return 6000 * attempt


rule attribute_sites:
    input:
        source=source("attribute_sites.py"),
        weights="results/{screen}/model/model.safetensors",
        model="results/{screen}/model/model.json",
        network=explained_network,
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        candidates="results/{screen}/scan/{genome}/candidates.parquet",
        intervals="results/{screen}/scan/{genome}/intervals.tsv",
        blocks="results/{screen}/scan/{genome}/blocks.tsv",
    output:
        attributions="results/{screen}/explain/{genome}/attributions.npz",
        sites="results/{screen}/explain/{genome}/sites.tsv",
        summary="results/{screen}/explain/{genome}/summary.json",
    log:
        "logs/{screen}/attribute_sites/{genome}.log",
    benchmark:
        "benchmark_logs/{screen}/attribute_sites/{genome}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=attribution_memory,
        runtime="4h",
        gpu=PLAN.gpus,
    params:
        code=digest("attribute_sites.py"),
        bundle=subpath(input.model, parent=True),
        genome=subpath(input.codes, parent=True),
        scan=subpath(input.candidates, parent=True),
        network=network_code,
        options=attribution_options,
        device=PLAN.settings["device"],
        folder=subpath(output.summary, parent=True),
    message:
        "Attributing the calls of screen {wildcards.screen} on {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --model {params.bundle:q} {params.network}"
        " --genome-folder {params.genome:q} --scan {params.scan:q} {params.options}"
        " --device {params.device:q} --threads {threads}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
