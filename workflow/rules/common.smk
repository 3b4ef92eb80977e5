# Functions that all rules share. The plan (which genomes and screens there are, what each needs) is
# made and tested in scripts/genomesieve/configuration.py.
import csv
import json
import re
import shlex
import sys
import time
from functools import cache
from hashlib import sha256
from pathlib import Path

import yaml
from snakemake import __version__ as snakemake_version
from snakemake.exceptions import WorkflowError

# The library is imported from the copies that Snakemake keeps of the workflow's sources.
for module in (
    "__init__",
    "errors",
    "explanation_settings",
    "files",
    "settings",
    "custom_settings",
    "architecture",
    "auxiliary_settings",
    "pretraining_settings",
    "pretraining_plan",
    "sources",
    "adaptation_settings",
    "stages",
    "training_plan",
    "sharding",
    "plan",
    "plan_checks",
    "schema_validation",
    "configuration",
    "durations",
    "run_outcome",
):
    library = Path(workflow.source_path(f"../../scripts/genomesieve/{module}.py"))
if str(library.parents[1]) not in sys.path:
    sys.path.insert(0, str(library.parents[1]))

from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError
from genomesieve.explanation_settings import MOTIF_SOURCES, wanted_parts
from genomesieve.run_outcome import failure_text, outcome_text
from genomesieve.sources import source_files
from genomesieve.training_plan import with_hard_negatives


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
STARTED = time.monotonic()


# --- sources: scripts and library modules are inputs by content, never by time -------------------


@cache
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


SCRIPT_DIGESTS = {
    name: digest(name)
    for name in (
        *(
            "encode_genome.py",
            "encode_signal.py",
            "extract_sites.py",
            "split_genome.py",
        ),
        *(
            "sample_windows.py",
            "augment_windows.py",
            "train_model.py",
            "adapt_model.py",
            "import_model.py",
        ),
        *("pretrain_model.py",),
        *(
            "harvest_negatives.py",
            "combine_seeds.py",
            "calibrate_model.py",
            "scan_genome.py",
        ),
        *("merge_scan.py", "evaluate_scan.py", "estimate_transfer.py"),
    )
}
"""Of everything that calls and figures depend on."""


# --- what a job's wildcards mean -----------------------------------------------------------------


def alternatives(names):
    """Return a regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def screen_of(wildcards):
    """Return the screen that a job belongs to."""
    if "screen" in wildcards.keys():
        return PLAN.screens[wildcards.screen]
    return PLAN.screens[wildcards.road.split("/")[1]]


def stage_of(wildcards):
    """Return the key of the stage that a job belongs to; empty where it concerns all of them."""
    plan, keys = screen_of(wildcards).training, wildcards.keys()
    if "stage" in keys:
        return wildcards.stage if wildcards.stage in plan.stages else plan.first_stage
    if wildcards.get("draw", "").startswith("stages/"):
        return wildcards.draw.split("/")[1]
    if "road" in keys:
        return plan.stage_of(wildcards.road)
    return plan.first_stage if "seed" in keys and "baseline" not in keys else ""


def training_genomes(wildcards):
    """Return the genomes that a job's network learns, without those that it learns again."""
    screen, key = screen_of(wildcards), stage_of(wildcards)
    if not key and "draw" in wildcards.keys():
        key = screen.training.first_stage
    return screen.stages[key].genomes if key else screen.train_genomes


def for_training_genomes(pattern):
    """Return an input function: `pattern` for the genomes that a job's network learns."""

    def files(wildcards):
        name = screen_of(wildcards).name
        genomes = training_genomes(wildcards)
        return [pattern.format(screen=name, genome=genome) for genome in genomes]

    return files


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


def evaluated_models(wildcards):
    """Return the roads that are evaluated together, by model: of the screen, or of one stage."""
    plan = screen_of(wildcards).training
    return (
        plan.stage_models(wildcards.stage)
        if "stage" in wildcards.keys()
        else plan.roads
    )


def for_models(pattern):
    """Return an input function: `pattern` for the road of the screen's model, then of all others."""

    def files(wildcards):
        roads = evaluated_models(wildcards).values()
        return [pattern.format(road=road, **dict(wildcards.items())) for road in roads]

    return files


def scans(plan):
    """Return what is scanned in all screens, including genomes without known sites."""
    pairs = [
        (screen, name)
        for screen in plan.screens.values()
        for name in screen.scan_genomes
    ]
    return [f"results/{screen.name}/scan/{name}/calls.bed.gz" for screen, name in pairs]


def hubs(plan):
    """Return the track hub of every genome that a screen scans, where hubs are wanted."""
    return [
        f"results/{screen.name}/scan/{name}/hub.txt"
        for screen in plan.screens.values()
        for name in screen.scan_genomes
        if screen.settings["scan"]["hub"]
    ]


def stage_targets(plan):
    """Return what is made of screens with stages: what they kept, and what the next one needs."""
    files = []
    for screen in plan.screens.values():
        if not screen.stages:
            continue
        files.append(f"results/{screen.name}/forgetting/summary.tsv")
        last = screen.training.last_stage
        if screen.stages[last].consolidates:
            roads = [
                screen.training.seed_road(last, seed) for seed in screen.training.seeds
            ]
            files += [f"{road}/model/fisher.safetensors" for road in roads]
    return files


def wheel_of(wildcards):
    """Return the wheel that a package's files are taken from."""
    version = PLAN.packages[wildcards.package]["version"]
    return f"resources/{wildcards.package}/{wildcards.package}-{version}.whl"


def genome_file(column):
    """Return an input function: the file in a column of the sheet of genomes, if there is one."""

    def file(wildcards):
        return getattr(genome_of(wildcards), column) or []

    return file


def signal_row(wildcards):
    """Return the row of the sheet of tracks of a track that is read as numbers."""
    return PLAN.signals[wildcards.genome][wildcards.track]


def signal_file(wildcards):
    """Return the file of a track that is read as numbers."""
    return signal_row(wildcards)["file"]


def auxiliary_files(wildcards):
    """Return the values of the tracks that a screen's network learns beside its classes."""
    screen = screen_of(wildcards)
    return [
        f"results/genomes/{genome}/signals/{track}.npy"
        for genome in training_genomes(wildcards)
        for track in screen.auxiliary_tracks
    ]


def auxiliary_options(wildcards):
    """Write the options that name those tracks."""
    screen = screen_of(wildcards)
    names = [
        f"{genome}:{track}"
        for genome in training_genomes(wildcards)
        for track in screen.auxiliary_tracks
    ]
    pairs = zip(names, auxiliary_files(wildcards))
    return option("--auxiliary-track", [f"{name}={path}" for name, path in pairs])


def track_files(wildcards):
    """Return the files of the tracks that a screen uses on a genome."""
    return [row["file"] for row in screen_of(wildcards).tracks[wildcards.genome]]


# --- what wildcards can be -----------------------------------------------------------------------


# Names contain no slash, so that the network's paths are never read as those of a baseline.
wildcard_constraints:
    screen=alternatives(PLAN.screens),
    pretraining=alternatives(PLAN.pretraining),
    genome=alternatives(PLAN.genomes),
    baseline=alternatives(
        dict.fromkeys(
            name for screen in PLAN.screens.values() for name in screen.baselines
        )
    ),
    track=alternatives(
        dict.fromkeys(name for tracks in PLAN.signals.values() for name in tracks)
    ),
    road=alternatives(
        road
        for screen in PLAN.screens.values()
        for road in [*screen.training.roads.values(), *screen.training.stage_roads]
    ),
    draw=r"(round[1-9]\d*/seed\d+/|stages/[^/]+/)?",
    stage=alternatives(
        dict.fromkeys(
            [
                "base",
                *(key for screen in PLAN.screens.values() for key in screen.stages),
            ]
        )
    ),
    round=r"\d+",
    seed=r"\d+",
    shard=r"\d+",
    shards=r"\d+",


# --- views and comparisons -----------------------------------------------------------------------


def views(plan):
    """Return the pages that show calls of all screens on their sequence."""
    return [
        f"results/{screen.name}/views/{genome}.html"
        for screen in plan.screens.values()
        for genome in screen.scan_genomes
    ]


def viewed_tracks(wildcards):
    """Return the tracks of probabilities that a view shows."""
    folder = f"results/{wildcards.screen}/scan/{wildcards.genome}"
    return [f"{folder}/{name}" for name in screen_of(wildcards).bigwigs]


def viewed_sites(wildcards):
    """Return the known sites of a viewed genome, if there are some."""
    known = wildcards.genome in screen_of(wildcards).labelled_genomes
    return (
        f"results/{wildcards.screen}/sites/{wildcards.genome}.parquet" if known else []
    )


def viewed_evaluation(wildcards):
    """Return the judged calls of a viewed genome, if it has known sites."""
    folder = f"results/{wildcards.screen}/evaluation/{wildcards.genome}"
    return f"{folder}/calls.parquet" if viewed_sites(wildcards) else []


def view_options(wildcards, input):
    """Write the options that name what is known of a viewed genome, if something is."""
    folders = [Path(file).parent for file in [input.judged] if file]
    sites = [input.sites] if input.sites else []
    return " ".join([option("--sites", sites), option("--evaluation", folders)])


def compared_evaluations(plan):
    """Return the metrics of all screens and genomes, by `screen/genome`."""
    return {
        f"{screen.name}/{genome}": f"results/{screen.name}/evaluation/{genome}/metrics.tsv"
        for screen in plan.screens.values()
        for genome in screen.evaluated_genomes
    }


def comparisons(plan):
    """Return the page that compares screens, where there are several."""
    screens = {name.split("/")[0] for name in compared_evaluations(plan)}
    return ["results/comparison.html"] if len(screens) > 1 else []


def known_genomes(wildcards):
    """Return the genomes that a screen uses, and those that its network was pretrained on."""
    screen = screen_of(wildcards)
    name = screen.settings["pretrained"]
    others = PLAN.pretraining[name].genomes if name else ()
    return list(dict.fromkeys([*screen.used_genomes, *others]))


def fasta_files(wildcards):
    """Return the FASTA file of each of them."""
    return {name: PLAN.genomes[name].fasta for name in known_genomes(wildcards)}


def known_summaries(wildcards):
    """Return the summary of each of them."""
    names = known_genomes(wildcards)
    return [f"results/genomes/{name}/summary.json" for name in names]


def provenance_settings(wildcards):
    """Return a screen's settings, and those of the pretraining that it starts from, as JSON."""
    settings = screen_of(wildcards).settings
    name = settings["pretrained"]
    more = {"pretraining": {name: PLAN.pretraining[name].settings}} if name else {}
    return json.dumps(settings | more)


def user_files(wildcards):
    """Return what a screen reads from the user beside genomes, annotations and tracks of sites."""
    screen = screen_of(wildcards)
    signals = [
        PLAN.signals[name][track]["file"]
        for name in screen.used_genomes
        for track in (*screen.signals, *screen.auxiliary_tracks)
        if track in PLAN.signals.get(name, {})
    ]
    model = screen.settings["model"]
    own = [screen.network_code.rpartition(":")[0], model.get("weights")]
    motifs = (screen.settings.get("stem_motifs") or {}).get("motifs")
    known = [item.get("motifs") for item in screen.settings["baselines"].values()]
    variants = [item["file"] for item in screen.settings["variants"].values()]
    own = own if screen.imported else []
    designs = [item["sites"] for item in screen.settings["designs"].values()]
    implanted = intervention_settings(screen).get("file")
    compared = known_motifs(screen)
    files = [*signals, *own, motifs, *known, *variants, *designs, implanted, compared]
    return list(dict.fromkeys(filter(None, files)))


def provenance_data(wildcards):
    """Write the options that name everything that a screen's results were made from."""
    screen = screen_of(wildcards)
    sites = "results/{screen}/sites/{genome}.summary.json"
    pairs = [f"{name}={path}" for name, path in fasta_files(wildcards).items()]
    return " ".join(
        [
            option("--fasta", pairs),
            option("--file", user_files(wildcards)),
            named(
                "--genome-summary",
                "results/genomes/{genome}/summary.json",
                known_genomes(wildcards),
                screen,
            ),
            named("--sites-summary", sites, screen.labelled_genomes, screen),
            named(
                "--scan", "results/{screen}/scan/{genome}", screen.scan_genomes, screen
            ),
        ]
    )


def time_logs(wildcards):
    """Return the folders in which Snakemake keeps times of a screen's jobs."""
    return [
        f"benchmark_logs/{wildcards.screen}",
        f"benchmark_logs/results/{wildcards.screen}",
    ]
