# Functions that the rules share. The plan (which genomes and screens there are, what each needs) is
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


def uncalibrated_model(file):
    """Return an input function: a file of what training or fitting wrote."""

    def path(wildcards):
        folder = screen_of(wildcards).training.uncalibrated(wildcards.road)
        return f"{folder}/{file}"

    return path


def stage_before(wildcards):
    """Return the key of the stage that a job's network was adapted from; empty for the first."""
    key = stage_of(wildcards)
    return screen_of(wildcards).stages[key].before if key else ""


def bundle_before(wildcards):
    """Return model.json of the bundle of the stage before a road's, if there is one."""
    plan, before = screen_of(wildcards).training, stage_before(wildcards)
    if not before:
        return []
    member = "/members/" in wildcards.road
    road = (
        plan.seed_road(before, plan.seed_of(wildcards.road))
        if member
        else plan.stage_road(before)
    )
    return f"{road}/model/model.json"


def fallback_option(wildcards, input):
    """Write the option that names the bundle of the stage before, if there is one."""
    folders = [Path(input.fallback).parent] if input.fallback else []
    return option("--fallback", folders)


def seed_bundle_before(file):
    """Return an input function: a file of the bundle that a seed's network is adapted from."""

    def path(wildcards):
        plan = screen_of(wildcards).training
        road = plan.seed_road(stage_before(wildcards), int(wildcards.seed))
        return f"{road}/model/{file}"

    return path


def fisher_before(wildcards):
    """Return the Fisher information that a stage's method needs, if it does."""
    stage = screen_of(wildcards).stages[wildcards.stage]
    return (
        seed_bundle_before("fisher.safetensors")(wildcards)
        if stage.consolidates
        else []
    )


def older_stages(wildcards):
    """Return the stages before a job's, oldest first."""
    stages, keys = screen_of(wildcards).stages, []
    key = stages[stage_of(wildcards)].before
    while key:
        keys.insert(0, key)
        key = stages[key].before
    return [stages[key] for key in keys]


def stage_windows(wildcards):
    """Return the windows of a job's stage; all methods share them."""
    screen, key = screen_of(wildcards), stage_of(wildcards)
    return windows_of(screen, screen.stages[key] if key else None)


def windows_of(screen, stage):
    """Return the training windows of a stage; those of the first one are the screen's."""
    first = stage is None or stage.key == screen.training.first_stage
    draw = "" if first else f"stages/{stage.name}/"
    return f"results/{screen.name}/windows/{draw}augmented.parquet"


def old_windows(wildcards):
    """Return the windows of older stages, where a stage learns them again."""
    screen = screen_of(wildcards)
    again = screen.stages[wildcards.stage].needs_old_data
    return [windows_of(screen, stage) for stage in older_stages(wildcards) if again]


def adapted_genomes(wildcards):
    """Return the genomes whose data an adaptation reads."""
    screen = screen_of(wildcards)
    stage = screen.stages[wildcards.stage]
    older = older_stages(wildcards) if stage.needs_old_data else []
    names = [name for one in [*older, stage] for name in one.genomes]
    return list(dict.fromkeys(names))


def for_adapted_genomes(pattern):
    """Return an input function: `pattern` for the genomes whose data an adaptation reads."""

    def files(wildcards):
        name = screen_of(wildcards).name
        return [
            pattern.format(screen=name, genome=genome)
            for genome in adapted_genomes(wildcards)
        ]

    return files


def adaptation_settings(wildcards):
    """Return how a stage's network is adapted, as JSON."""
    return json.dumps(screen_of(wildcards).stages[wildcards.stage].adaptation)


def adaptation_training(wildcards):
    """Return how long and how a stage's network is trained, as JSON."""
    screen = screen_of(wildcards)
    own = screen.stages[wildcards.stage].training
    first = ("pretrained", "prior_correction")
    shared = {k: v for k, v in screen.settings["training"].items() if k not in first}
    return json.dumps(shared | own)


def previous_options(wildcards, input):
    """Write the option that names the bundle whose older stages are passed on."""
    folders = [Path(input.previous).parent] if input.previous else []
    return option("--previous", folders)


def previous_fisher(wildcards):
    """Return the Fisher information of the stages before a road's, if there are any."""
    plan, before = screen_of(wildcards).training, stage_before(wildcards)
    if not before:
        return []
    road = plan.seed_road(before, plan.seed_of(wildcards.road))
    return f"{road}/model/fisher.safetensors"


def stage_evaluations(file):
    """Return an input function: a file of the evaluation of every stage on every genome."""

    def files(wildcards):
        return [
            f"{folder}/{genome}/{file}"
            for folder in evaluation_folders(wildcards).values()
            for genome in screen_of(wildcards).measured_genomes
        ]

    return files


def evaluation_folders(wildcards):
    """Return the folder of the evaluations of every stage, by key."""
    screen = screen_of(wildcards)
    return {
        key: f"{screen.training.stage_road(key)}/evaluation" for key in screen.stages
    }


def stage_descriptions(wildcards):
    """Return what the measurement of forgetting must know of the stages, as JSON."""
    screen = screen_of(wildcards)
    folders = evaluation_folders(wildcards)
    return json.dumps(
        [
            {
                "key": key,
                "name": stage.name,
                "method": stage.chain,
                "before": stage.before,
                "genome": stage.measured_on,
                "classes": stage.measured_classes,
                "settings": stage.adaptation,
                "evaluation": folders[key],
            }
            for key, stage in screen.stages.items()
        ]
    )


def round_before(file):
    """Return an input function: a file of a seed's network as the round before left it."""

    def path(wildcards):
        plan, before = screen_of(wildcards).training, int(wildcards.round) - 1
        return f"{plan.seed_folder(before, int(wildcards.seed))}/{file}"

    return path


def former_weights(wildcards):
    """Return the network that a round goes on from; none for the first training."""
    names = ("model.safetensors", "model.json", "history.tsv")
    return [round_before(name)(wildcards) for name in names if wildcards.round != "0"]


def former_options(wildcards, input):
    """Write the option that names the network that a round goes on from."""
    folders = {str(Path(file).parent) for file in input.former}
    return option("--start-from", folders)


def of_seeds(file):
    """Return an input function: a file of the networks of all seeds after a round."""

    def paths(wildcards):
        plan, number = screen_of(wildcards).training, int(wildcards.round)
        stage = stage_of(wildcards)
        return [
            f"{plan.seed_folder(number, seed, stage)}/{file}" for seed in plan.seeds
        ]

    return paths


def member_options(wildcards, input):
    """Write the options that name the networks of all seeds."""
    return option("--member", [Path(file).parent for file in input.models])


def pretraining_of(wildcards):
    """Return the pretraining that a job belongs to."""
    return PLAN.pretraining[wildcards.pretraining]


def pretraining_files(file):
    """Return an input function: a file of all genomes that a network is pretrained on."""

    def paths(wildcards):
        names = pretraining_of(wildcards).genomes
        return [f"results/genomes/{name}/{file}" for name in names]

    return paths


def pretraining_options(wildcards):
    """Write the options that say what a network is pretrained on, and how."""
    plan = pretraining_of(wildcards)
    genomes = [f"{name}=results/genomes/{name}" for name in plan.genomes]
    settings = plan.settings
    return " ".join(
        [
            option("--genome", genomes),
            option("--split", [json.dumps(plan.split)]),
            option("--model", [json.dumps(settings["model"])]),
            option("--training", [json.dumps(settings["training"])]),
            option("--reverse-complement", [settings["reverse_complement"]]),
            option("--seed", [settings["seed"]]),
        ]
    )


def pretrained_trunk(wildcards):
    """Return the pretrained stem and trunk that a screen's network starts from, if there is one."""
    name = screen_of(wildcards).settings["pretrained"]
    folder = PLAN.pretraining[name].folder if name else ""
    return [f"{folder}/{file}" for file in ("trunk.safetensors", "model.json") if name]


def pretrained_option(wildcards, input):
    """Write the option that names its folder."""
    folders = {str(Path(file).parent) for file in input.pretrained}
    return option("--pretrained", folders)


def first_seed(wildcards):
    """Return the seed of sampling, the first of training."""
    return screen_of(wildcards).training.seeds[0]


def training_windows(wildcards):
    """Return the windows of a round; all seeds share those of the first training."""
    draw = f"round{wildcards.round}/seed{wildcards.seed}/"
    folder = f"results/{wildcards.screen}/windows"
    return f"{folder}/{'' if wildcards.round == '0' else draw}augmented.parquet"


def hard_draw(wildcards):
    """Tell whether windows are drawn around hard negatives."""
    return wildcards.draw.startswith("round")


def hard_negatives(wildcards):
    """Return the harvested places that windows are drawn around; none for the first training."""
    folder = f"results/{wildcards.screen}/hard_negatives/{wildcards.draw}"
    return f"{folder}negatives.parquet" if hard_draw(wildcards) else []


def hard_negative_options(wildcards, input):
    """Write the options of a draw of windows around hard negatives."""
    if not hard_draw(wildcards):
        return ""
    number = Path(wildcards.draw).parts[0].removeprefix("round")
    return " ".join(
        [option("--negatives", [input.negatives]), option("--round", [number])]
    )


def sampling(wildcards):
    """Return how windows are drawn, as JSON."""
    settings = screen_of(wildcards).settings
    if not hard_draw(wildcards):
        return json.dumps(settings["sampling"])
    share = settings["hard_negatives"]["share"]
    return json.dumps(with_hard_negatives(settings["sampling"], share))


def harvest_settings(wildcards):
    """Return which hard negatives are harvested, as JSON."""
    settings = screen_of(wildcards).settings["hard_negatives"]
    return json.dumps({key: settings[key] for key in ("most", "min_distance")})


def engine_threads(wildcards):
    """Return the threads of calibration and scan, which must agree for the same scores.

    Baselines take one core each, so that several of them run side by side. These rules and
    training have priority over merging and evaluation, whose single cores can be shared later.
    """
    return (
        1
        if wildcards.road in screen_of(wildcards).training.baseline_roads.values()
        else 8
    )


def network_file(wildcards):
    """Return the code of a screen's own network, if the job's model is one."""
    screen = screen_of(wildcards)
    own = own_road(wildcards) and screen.imported
    return screen.network_code.rpartition(":")[0] if own else []


def network_code(wildcards, input):
    """Write the option that names the code of a screen's own network, if there is one."""
    names = [screen_of(wildcards).network_code] if input.network else []
    return option("--network-code", names)


def network_weights(wildcards):
    """Return the weights of a screen's own network."""
    return screen_of(wildcards).settings["model"]["weights"]


def custom_settings(wildcards):
    """Return what is declared of a screen's own network without its files, as JSON."""
    model = screen_of(wildcards).settings["model"]
    kept = {k: v for k, v in model.items() if k not in ("network", "weights")}
    return json.dumps(kept)


def calibration_labels(wildcards):
    """Return the labels that a bundle was calibrated with."""
    screen = screen_of(wildcards)
    files = ("sites/{}.parquet", "sites/{}.intervals.parquet", "split/{}.tsv")
    return [
        f"results/{screen.name}/{file.format(genome)}"
        for genome in training_genomes(wildcards)
        for file in files
    ]


def scan_relevant_settings(wildcards):
    """Return what the scores and floors of a bundle follow from beside weights and labels."""
    settings = screen_of(wildcards).settings
    named = {
        "floor_probability": settings["calibration"]["floor_probability"],
        "ignore_margin": settings["ignore_margin"],
        "memory_gb": settings["scan"]["memory_gb"],
        "precision": settings["scan"]["precision"],
        "device": PLAN.settings["device"],
        "code": digest("calibrate_model.py"),
    }
    return json.dumps(named)


def windows_summary(wildcards):
    """Return the summary of the training windows, where there are any."""
    known = not screen_of(wildcards).imported
    return f"results/{wildcards.screen}/windows/summary.json" if known else []


def shard_folders(wildcards):
    """Return the shards of a genome's scan, in order."""
    shards = genome_of(wildcards).shards
    folder = f"{wildcards.road}/scan/{wildcards.genome}/shards"
    return [f"{folder}/{shard}-of-{shards}" for shard in range(1, shards + 1)]


# --- memory and disk that a job needs, in MB -------------------------------------------------------


def engine_memory(wildcards, attempt):
    """Return the memory of calibration, harvest and scan, twice as much when one is tried again.

    They may use what the configuration gives them, beside which Python and PyTorch need some.
    """
    gigabytes = screen_of(wildcards).settings["scan"]["memory_gb"]
    return round(1000 * (gigabytes + 1)) * attempt


@cache
def bases_of(contigs):
    """Return how many bases a table of contigs has."""
    with open(contigs, newline="") as handle:
        return sum(int(row["length"]) for row in csv.DictReader(handle, delimiter="\t"))


def megabytes(size):
    """Return a size in bytes as MB, with room for tables and logs."""
    return 500 + round(size / 1e6)


def encoded_size(wildcards, input):
    """Return the disk that an encoded genome needs: a byte a base, and gzip saves three quarters."""
    packed = Path(input.fasta).suffix in (".gz", ".bgz")
    return megabytes(Path(input.fasta).stat().st_size * (5 if packed else 1))


def signal_size(wildcards, input):
    """Return the disk that an encoded signal needs: two bytes a base."""
    return megabytes(2 * bases_of(input.contigs))


def scan_size(wildcards, input):
    """Return the disk that the scan of a genome needs: two bytes a score where scores are kept.

    Bases outside the scanned parts are counted too: this is a bound. A shard on several devices
    holds its scores twice while they are joined, a merged scan has tracks of about their size.
    """
    screen = screen_of(wildcards)
    strands = 2 if screen.stranded else 1
    scores = len(screen.settings["classes"]) * strands / resolution(wildcards)
    kept = wildcards.genome in screen.labelled_genomes
    return megabytes(bases_of(input.contigs) * scores * (4 if kept else 2))


def two_bit_size(wildcards, input):
    """Return the disk that a genome's sequence needs in a track hub: a quarter of a byte a base."""
    return megabytes(bases_of(input.contigs) / 4)


def shard_size(wildcards, input):
    """Return the disk that one shard of a scan needs."""
    return scan_size(wildcards, input) // int(wildcards.shards) + 500


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
    return genome_options(screen_of(wildcards), training_genomes(wildcards))


def genome_options(screen, genomes):
    """Write the options that name the data of some labelled genomes."""
    options = {
        "--genome": "results/genomes/{genome}",
        "--sites": "results/{screen}/sites/{genome}.parquet",
        "--intervals": "results/{screen}/sites/{genome}.intervals.parquet",
        "--split": "results/{screen}/split/{genome}.tsv",
    }
    texts = [named(name, path, genomes, screen) for name, path in options.items()]
    return " ".join(texts)


def own_road(wildcards):
    """Tell whether a job's model is a network, not a baseline: those see no signals."""
    baselines = screen_of(wildcards).training.baseline_roads.values()
    return wildcards.get("road") not in baselines


def training_signals(wildcards):
    """Return the signals of the training genomes that a job's network sees."""
    if not own_road(wildcards):
        return []
    return signal_files(screen_of(wildcards), training_genomes(wildcards))


def signal_files(screen, genomes):
    """Return the signals of some genomes that a screen's network sees."""
    return [
        f"results/genomes/{genome}/signals/{track}.npy"
        for genome in genomes
        for track in screen.signals
    ]


def adaptation_signals(wildcards):
    """Return the signals of the genomes whose data an adaptation reads."""
    return signal_files(screen_of(wildcards), adapted_genomes(wildcards))


def adaptation_data(wildcards):
    """Write the options that name the data that an adaptation reads."""
    screen, genomes = screen_of(wildcards), adapted_genomes(wildcards)
    return " ".join(
        [genome_options(screen, genomes), batch_options(screen, genomes, True)]
    )


def seed_of_road(wildcards):
    """Return the seed of the network on a road."""
    return screen_of(wildcards).training.seed_of(wildcards.road)


def genome_signals(wildcards):
    """Return the signals of a job's genome that its network sees."""
    names = screen_of(wildcards).signals if own_road(wildcards) else ()
    return [
        f"results/genomes/{wildcards.genome}/signals/{track}.npy" for track in names
    ]


def training_batches(wildcards):
    """Write the options that name signals and laboratories of the training genomes."""
    screen, genomes = screen_of(wildcards), training_genomes(wildcards)
    return batch_options(screen, genomes, own_road(wildcards))


def batch_options(screen, genomes, sees_signals):
    """Write the options that name signals and laboratories of some genomes."""
    signals = [
        f"{genome}:{track}=results/genomes/{genome}/signals/{track}.npy"
        for genome in genomes
        for track in screen.signals
        if sees_signals
    ]
    named = [
        f"{genome}={screen.batches[genome]}"
        for genome in genomes
        if genome in screen.batches
    ]
    return " ".join([option("--signal", signals), option("--laboratory", named)])


def scan_signals(wildcards):
    """Write the options that name the signals and the laboratory of a scanned genome."""
    screen = screen_of(wildcards)
    names = screen.signals if own_road(wildcards) else ()
    signals = [
        f"{track}=results/genomes/{wildcards.genome}/signals/{track}.npy"
        for track in names
    ]
    batch = screen.batches.get(wildcards.genome)
    return " ".join(
        [option("--signal", signals), option("--laboratory", [batch] if batch else [])]
    )


def channels(wildcards):
    """Write the option that lists what the network sees beside the sequence, if anything."""
    names = screen_of(wildcards).signals
    return option("--signals", [",".join(names)] if names else [])


def batch_option(wildcards):
    """Write the option that names the laboratory of an evaluated genome, if there is one."""
    batch = screen_of(wildcards).batches.get(wildcards.genome)
    return option("--batch", [batch] if batch else [])


def known_classes(wildcards):
    """Return the classes that a job's network knows: all, but for those of later stages."""
    screen, key = screen_of(wildcards), stage_of(wildcards)
    classes = screen.settings["classes"]
    return {
        name: classes[name] for name in (screen.stages[key].classes if key else classes)
    }


def call_classes(wildcards):
    """Return the classes that a job's network knows, with what matters for calls, as JSON."""
    return json.dumps(known_classes(wildcards))


def label_classes(wildcards):
    """Return the classes as JSON, without what matters for calls alone and not for labels."""
    kept = ("stranded", "site")
    classes = known_classes(wildcards).items()
    return json.dumps(
        {name: {key: item[key] for key in kept} for name, item in classes}
    )


def classes_of_stages(wildcards):
    """Write the option that names the classes that need not occur on every genome."""
    stages = screen_of(wildcards).stages
    grows = any(stage.introduced for stage in stages.values())
    names = list(screen_of(wildcards).settings["classes"]) if grows else []
    return option("--may-lack", [",".join(names)] if names else [])


def evaluation_settings(wildcards):
    """Return how scans are evaluated, as JSON: what calibration assumed holds there too."""
    settings = screen_of(wildcards).settings
    shared = {
        "ignore_margin": settings["ignore_margin"],
        "precision_targets": settings["calibration"]["precision_targets"],
    }
    return json.dumps(settings["evaluation"] | shared)


def regions(wildcards):
    """Return the regions of a job's genome, as JSON."""
    return json.dumps(genome_of(wildcards).regions)


def resolution(wildcards):
    """Return how many bases a prediction of the screen covers."""
    return screen_of(wildcards).architecture.resolution


def annotation_options(wildcards, input):
    """Write the options that name a genome's annotation and table of aliases."""
    names = ("annotation", "alias")
    return " ".join(
        option(f"--{name}", [input[name]]) for name in names if input.get(name)
    )


def track_rows(wildcards):
    """Return the tracks of a genome that the screen uses, as JSON."""
    return json.dumps(screen_of(wildcards).tracks[wildcards.genome])


def sites_to_split(wildcards):
    """Return the sites of a genome that is split; genomes that are only scanned need none."""
    known = wildcards.genome in screen_of(wildcards).split_genomes
    return (
        f"results/{wildcards.screen}/sites/{wildcards.genome}.parquet" if known else []
    )


def split_table(wildcards):
    """Return the user's table of the parts of a genome, if there is one."""
    rules = screen_of(wildcards).settings["split"]
    return rules.get(wildcards.genome, {}).get("table") or []


def split_options(wildcards, input):
    """Write how a genome is split, and where its sites are."""
    screen = screen_of(wildcards)
    if wildcards.genome not in screen.split_genomes:
        return "--screen-only --settings {}"
    how = json.dumps(screen.settings["split"][wildcards.genome])
    return " ".join([option("--settings", [how]), option("--sites", [input.sites])])


def leakage_options(wildcards):
    """Write the options that name the training genomes for the audit."""
    screen = screen_of(wildcards)
    folders = named("--train", "results/genomes/{genome}", screen.train_genomes, screen)
    splits = "results/{screen}/split/{genome}.tsv"
    return " ".join(
        [folders, named("--train-split", splits, screen.train_genomes, screen)]
    )


def motif_file(wildcards):
    """Return the motif file of a baseline, if it has one."""
    return (
        screen_of(wildcards).settings["baselines"][wildcards.baseline].get("motifs")
        or []
    )


def stem_motif_file(wildcards):
    """Return the file of the motifs that a network's first filters start as, if there are any."""
    chosen = screen_of(wildcards).settings["stem_motifs"]
    return chosen["motifs"] if chosen else []


def stem_motifs(wildcards, input):
    """Write the options that name the motifs of a network's first filters."""
    chosen = screen_of(wildcards).settings["stem_motifs"]
    if not chosen:
        return ""
    names = json.dumps(chosen["matrices"])
    return " ".join(
        [option("--stem-motifs", [input.motifs]), option("--stem-matrices", [names])]
    )


def baseline_settings(wildcards):
    """Return the settings of a baseline without its files, as JSON."""
    chosen = screen_of(wildcards).settings["baselines"][wildcards.baseline]
    return json.dumps({key: value for key, value in chosen.items() if key != "motifs"})


def split_of(wildcards):
    """Return the split of a scanned genome."""
    return f"results/{screen_of(wildcards).name}/split/{wildcards.genome}.tsv"


def scan_parts(wildcards):
    """Return the parts of a genome that are scanned, with commas between them."""
    return ",".join(screen_of(wildcards).scan_parts(wildcards.genome))


def bigwig_option(wildcards):
    """Return the option that names the classes with tracks, where not all have them."""
    screen = screen_of(wildcards)
    chosen = screen.stage_bigwig_classes(stage_of(wildcards))
    every = chosen == list(known_classes(wildcards))
    return "" if every else option("--bigwigs", [",".join(chosen)])


def keep_scores(wildcards):
    """Return the option that keeps the score of every bin, where sites are known."""
    known = wildcards.genome in screen_of(wildcards).labelled_genomes
    return "--keep-scores" if known else ""


def model_options(name, pattern):
    """Return a params function: `name MODEL=path` for the screen's model and all others."""

    def text(wildcards):
        roads = evaluated_models(wildcards)
        fill = dict(wildcards.items())
        return option(
            name,
            [
                f"{model}={pattern.format(road=road, **fill)}"
                for model, road in roads.items()
            ],
        )

    return text


def round_pairs(wildcards):
    """Write the options that name the pairs of rounds to compare beside the screen's model."""
    pairs = screen_of(wildcards).training.round_pairs
    return " ".join(f"--pair {shlex.quote(a)} {shlex.quote(b)}" for a, b in pairs)


def baseline_models(wildcards):
    """Return model.json of each baseline of a screen."""
    roads = screen_of(wildcards).training.baseline_roads.values()
    return [f"{road}/model/model.json" for road in roads]


def harvests(screen):
    """Return the summary of each harvest, by round and seed."""
    plan = screen.training
    keys = [f"round{r}/seed{s}" for r in range(1, plan.rounds + 1) for s in plan.seeds]
    return {key: f"{plan.road}/hard_negatives/{key}/summary.json" for key in keys}


def harvest_summaries(wildcards):
    """Return the summaries of all harvests of a screen."""
    return list(harvests(screen_of(wildcards)).values())


def stage_tables(wildcards):
    """Return the tables of what a screen's stages kept and lost, if it has any."""
    screen = screen_of(wildcards)
    names = ("matrix", "summary") if screen.stages else ()
    return [f"results/{screen.name}/forgetting/{name}.tsv" for name in names]


def report_settings(wildcards):
    """Return everything that a screen's report states about its configuration, as JSON."""
    return json.dumps(screen_of(wildcards).settings)


def report_data(wildcards):
    """Write the options that name everything a report is made from."""
    screen = screen_of(wildcards)
    every, known = screen.used_genomes, screen.labelled_genomes
    options = [
        ("--genome-folder", "results/genomes/{genome}", every),
        ("--genome-summary", "results/genomes/{genome}/summary.json", every),
        ("--split", "results/{screen}/split/{genome}.tsv", every),
        ("--split-summary", "results/{screen}/split/{genome}.summary.json", every),
        ("--sites-summary", "results/{screen}/sites/{genome}.summary.json", known),
        ("--scan", "results/{screen}/scan/{genome}", screen.scan_genomes),
        (
            "--evaluation",
            "results/{screen}/evaluation/{genome}",
            screen.evaluated_genomes,
        ),
        (
            "--transfer",
            "results/{screen}/transfer/{genome}.json",
            screen.scan_genomes,
        ),
        ("--view", "views/{genome}.html", screen.scan_genomes),
        (
            "--leakage-summary",
            "results/{screen}/leakage/{genome}.summary.json",
            screen.evaluated_genomes,
        ),
    ]
    texts = [
        named(name, pattern, genomes, screen) for name, pattern, genomes in options
    ]
    roads = screen.training.baseline_roads.items()
    texts.append(option("--baseline", [f"{name}={road}/model" for name, road in roads]))
    others = {
        "--members": screen.training.member_roads,
        "--rounds": screen.training.round_roads,
    }
    texts += [
        option(name, [",".join(found)]) for name, found in others.items() if found
    ]
    for table in stage_tables(wildcards):
        texts.append(option(f"--stage-{Path(table).stem}", [table]))
    summaries = [f"{key}={path}" for key, path in harvests(screen).items()]
    texts.append(option("--harvest-summary", summaries))
    texts += explanation_options(screen)
    return " ".join(texts)


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
