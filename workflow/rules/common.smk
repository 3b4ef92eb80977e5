# Functions that the rules share. The plan (which genomes and screens there are, what each needs) is
# made and tested in scripts/genomesieve/configuration.py.
import json
import re
import shlex
import sys
from hashlib import sha256
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

# The library is imported from the copies that Snakemake keeps of the workflow's sources.
for module in ("__init__", "errors", "files", "architecture", "sources", "configuration"):
    library = Path(workflow.source_path(f"../../scripts/genomesieve/{module}.py"))
if str(library.parents[1]) not in sys.path:
    sys.path.insert(0, str(library.parents[1]))

from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError
from genomesieve.sources import source_files


def schema(name):
    """Read one of the schemas in workflow/schemas."""
    path = Path(workflow.source_path(f"../schemas/{name}.schema.yaml"))
    return yaml.safe_load(path.read_text())


def checked_plan():
    """Check the configuration and its sheets; stop with one line if something is wrong."""
    try:
        return resolve_plan(
            config, schema("config"), schema("genomes"), schema("tracks")
        )
    except InputError as error:
        raise WorkflowError(str(error)) from None


PLAN = checked_plan()


# --- sources: scripts and library modules are inputs by content, never by time -------------------


def read_source(name):
    """Read a file below scripts/."""
    return Path(workflow.source_path(f"../../scripts/{name}")).read_text()


def source(script):
    """Return the script and all library modules that it uses, as inputs; the script comes first."""
    files = source_files(script, read_source)
    return [ancient(workflow.source_path(f"../../scripts/{file}")) for file in files]


def digest(script):
    """Return a hash of the contents of `source(script)`, as a parameter."""
    texts = [read_source(file) for file in source_files(script, read_source)]
    return sha256("\0".join(texts).encode()).hexdigest()[:12]


# --- what a job's wildcards mean -----------------------------------------------------------------


def alternatives(names):
    """Return a regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def screen_of(wildcards):
    """Return the screen that a job belongs to."""
    if "screen" in wildcards.keys():
        return PLAN.screens[wildcards.screen]
    return PLAN.screens[wildcards.road.split("/")[1]]


def genome_of(wildcards):
    """Return a job's genome, a row of the sheet of genomes."""
    return PLAN.genomes[wildcards.genome]


def for_genomes(which, pattern):
    """Return an input function: `pattern` for all genomes of the screen's list `which`."""

    def files(wildcards):
        screen = screen_of(wildcards)
        names = getattr(screen, which)
        return [pattern.format(screen=screen.name, genome=name) for name in names]

    return files


def for_models(pattern):
    """Return an input function: `pattern` for the network's road, then for each baseline's."""

    def files(wildcards):
        roads = model_roads(screen_of(wildcards)).values()
        return [pattern.format(road=road, **dict(wildcards.items())) for road in roads]

    return files


def model_roads(screen):
    """Return the folder of the network and of each baseline, by the model's name."""
    road = f"results/{screen.name}"
    baselines = {name: f"{road}/baselines/{name}" for name in screen.baselines}
    return {screen.settings["model"]["preset"]: road, **baselines}


def scans(plan):
    """Return what is scanned in all screens, including genomes without known sites."""
    pairs = [(screen, name) for screen in plan.screens.values() for name in screen.scan_genomes]
    return [f"results/{screen.name}/scan/{name}/calls.bed.gz" for screen, name in pairs]


def wheel_of(wildcards):
    """Return the wheel that a package's files are taken from."""
    version = PLAN.packages[wildcards.package]["version"]
    return f"resources/{wildcards.package}/{wildcards.package}-{version}.whl"


def genome_file(column):
    """Return an input function: the file in a column of the sheet of genomes, if there is one."""

    def file(wildcards):
        return getattr(genome_of(wildcards), column) or []

    return file


def track_files(wildcards):
    """Return the files of the tracks that a screen uses on a genome."""
    return [row["file"] for row in screen_of(wildcards).tracks[wildcards.genome]]


def uncalibrated_model(file):
    """Return an input function: a file of what training or fitting wrote."""

    def path(wildcards):
        seed = screen_of(wildcards).settings["seed"]
        return f"{wildcards.road}/training/base/round0/seed{seed}/{file}"

    return path


def shard_folders(wildcards):
    """Return the shards of a genome's scan, in order."""
    shards = genome_of(wildcards).shards
    folder = f"{wildcards.road}/scan/{wildcards.genome}/shards"
    return [f"{folder}/{shard}-of-{shards}" for shard in range(1, shards + 1)]


# --- command-line options ------------------------------------------------------------------------


def option(name, values):
    """Write an option once for each value, quoted for the shell."""
    return " ".join(f"{name} {shlex.quote(str(value))}" for value in values)


def named(name, pattern, genomes, screen):
    """Write `--name GENOME=path` for each genome."""
    paths = [pattern.format(genome=genome, screen=screen.name) for genome in genomes]
    return option(name, [f"{genome}={path}" for genome, path in zip(genomes, paths)])


def setting(*keys):
    """Return a params function: a part of the screen's settings, as JSON."""

    def text(wildcards):
        value = screen_of(wildcards).settings
        for key in keys:
            value = value[key.format(**dict(wildcards.items()))]
        return value if isinstance(value, str) else json.dumps(value)

    return text


def training_data(wildcards):
    """Write the options that name the data of the training genomes."""
    screen = screen_of(wildcards)
    options = {
        "--genome": "results/genomes/{genome}",
        "--sites": "results/{screen}/sites/{genome}.parquet",
        "--intervals": "results/{screen}/sites/{genome}.intervals.parquet",
        "--split": "results/{screen}/split/{genome}.tsv",
    }
    texts = [named(name, path, screen.train_genomes, screen) for name, path in options.items()]
    return " ".join(texts)
