# For genome browsers, beside the tracks that it names. A scan without calls has no calls.bb, so that
# is no output.
rule write_hub:
    input:
        source=source("write_hub.py"),
        calls="results/{screen}/scan/{genome}/calls.bed.gz",
        summary="results/{screen}/scan/{genome}/summary.json",
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        softmask="results/genomes/{genome}/softmask.parquet",
    output:
        hub="results/{screen}/scan/{genome}/hub.txt",
        genomes="results/{screen}/scan/{genome}/genomes.txt",
        tracks="results/{screen}/scan/{genome}/trackDb.txt",
        sequence="results/{screen}/scan/{genome}/genome.2bit",
    log:
        "logs/{screen}/write_hub/{genome}.log",
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
        disk_mb=two_bit_size,
    params:
        code=digest("write_hub.py"),
        folder=subpath(output.hub, parent=True),
        bigwigs=bigwig_option,
    message:
        "Writing the track hub of {wildcards.genome} in screen {wildcards.screen}"
    shell:
        "python {input.source[0]:q} --screen {wildcards.screen:q}"
        " --genome-folder results/genomes/{wildcards.genome:q} --scan {params.folder:q}"
        " {params.bigwigs} --softmask {input.softmask:q}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
