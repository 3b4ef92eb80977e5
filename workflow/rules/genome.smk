rule encode_genome:
    input:
        source=source("encode_genome.py"),
        fasta=genome_file("fasta"),
    output:
        codes="results/genomes/{genome}/codes.npy",
        contigs="results/genomes/{genome}/contigs.tsv",
        softmask="results/genomes/{genome}/softmask.parquet",
        summary="results/genomes/{genome}/summary.json",
    log:
        "logs/encode_genome/{genome}.log",
    benchmark:
        "benchmark_logs/encode_genome/{genome}.tsv"
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        code=digest("encode_genome.py"),
    message:
        "Encoding genome {wildcards.genome}"
    shell:
        "python {input.source[0]:q} --genome {wildcards.genome} --fasta {input.fasta:q}"
        " --codes {output.codes:q} --contigs {output.contigs:q}"
        " --softmask {output.softmask:q} --summary {output.summary:q} > {log:q} 2>&1"
