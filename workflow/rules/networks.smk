# Functions of what a network starts from, learns from and is made of: pretraining, seeds, rounds of
# hard negatives, stages, and a network of the user's own.
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
