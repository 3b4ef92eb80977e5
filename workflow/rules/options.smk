# Functions that write command-line options, and those that say what options name.
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
