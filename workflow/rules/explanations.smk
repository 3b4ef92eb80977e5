# Functions of the rules that explain calls, score variants and design sequences.
EXPLANATION_PARTS = ("motifs", "interventions", "attention", "probes")
"""Parts of an explanation that have a rule; each writes explain/{genome}/{part}/summary.json."""


def explained_genomes(screen, part=""):
    """Return the genomes on which a screen's calls, or a part of that, are to be explained."""
    if screen.settings["explain"] is False:
        return []
    if part and part not in wanted_parts(screen.settings):
        return []
    if part == "interventions" and not has_motifs(screen):
        return []
    if part == "attention" and not screen.attends:
        return []
    if part == "probes":
        # Probes are fitted on one part of a genome and scored on another.
        return [name for name in screen.scan_genomes if name in screen.split_genomes]
    return list(screen.scan_genomes)


def explained_folder(screen, genome, part=""):
    """Return the folder of what explains a screen's calls on a genome, or of a part of that."""
    return str(Path("results", screen.name, "explain", genome, part))


def explanations_of(screen):
    """Return the summaries of all that is explained in a screen."""
    return [
        f"{explained_folder(screen, genome, part)}/summary.json"
        for part in ("", *EXPLANATION_PARTS)
        for genome in explained_genomes(screen, part)
    ]


def explanations(plan):
    """Return the explanations of all screens that ask for some, tracks among them."""
    screens = plan.screens.values()
    tracks = [
        explained_folder(screen, genome, "tracks")
        for screen in screens
        for genome in explained_genomes(screen)
    ]
    return tracks + [path for screen in screens for path in explanations_of(screen)]


def explanation_options(screen):
    """Name what a report tells of explanations."""
    options = []
    for part in ("", *EXPLANATION_PARTS):
        found = [
            f"{genome}={explained_folder(screen, genome, part)}"
            for genome in explained_genomes(screen, part)
        ]
        options.append(option(f"--{part or 'attributions'}", found))
    return options


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


def attention_options(wildcards):
    """Write the settings of a screen's look at attention as options."""
    settings = screen_of(wildcards).settings["explain"]["attention"]
    return " ".join(option(f"--{name}", [value]) for name, value in settings.items())


def probed_genomes(wildcards):
    """Return a genome and, for its laboratory, one of each other batch that was trained on."""
    screen, genome = screen_of(wildcards), wildcards.genome
    found = {screen.batches.get(genome): genome} if screen.batches else {"": genome}
    for name in screen.split_genomes if screen.batches else ():
        found.setdefault(screen.batches.get(name), name)
    return list(found.values())


def for_probed_genomes(path):
    """Return an input function: a file of each genome whose states are probed together."""

    def files(wildcards):
        return [
            path.format(genome=genome, screen=wildcards.screen)
            for genome in probed_genomes(wildcards)
        ]

    return files


def probed_annotations(wildcards):
    """Return the annotations (and tables of aliases) of genomes whose states are probed."""
    if not screen_of(wildcards).settings["explain"]["probes"]["genes"]:
        return []
    genomes = [PLAN.genomes[genome] for genome in probed_genomes(wildcards)]
    return [file for one in genomes for file in (one.annotation, one.alias) if file]


def probe_options(wildcards):
    """Write the data and the settings of a screen's probes as options."""
    screen = screen_of(wildcards)
    settings = dict(screen.settings["explain"]["probes"])
    genomes, genes = probed_genomes(wildcards), settings.pop("genes")
    files = {"--genes": "annotation", "--alias": "alias"} if genes else {}
    options = [genome_options(screen, genomes)]
    for name, column in files.items():
        known = [one for one in genomes if getattr(PLAN.genomes[one], "annotation")]
        paths = {one: getattr(PLAN.genomes[one], column) for one in known}
        options.append(
            option(name, [f"{one}={path}" for one, path in paths.items() if path])
        )
    batches = {one: screen.batches.get(one) for one in genomes}
    options.append(
        option("--laboratory", [f"{one}={b}" for one, b in batches.items() if b])
    )
    options.append(option("--ignore-margin", [screen.settings["ignore_margin"]]))
    settings["properties"] = ",".join(settings["properties"])
    for name, value in settings.items():
        options.append(option(f"--{name.replace('_', '-')}", [value]))
    return " ".join(filter(None, options))


def attribution_memory(wildcards, attempt):
    """Return the memory of attributions, twice as much when one is tried again."""
    return 6000 * attempt


def motif_settings(wildcards):
    """Return the settings of the motifs of a screen."""
    return screen_of(wildcards).settings["explain"]["motifs"]


def motif_database(wildcards):
    """Return the file of known motifs, where they come from one."""
    return known_motifs(screen_of(wildcards))


def known_motifs(screen):
    """Return the file of motifs that those of a screen are compared with; none of JASPAR's."""
    wanted = "motifs" in wanted_parts(screen.settings)
    name = screen.settings["explain"]["motifs"]["database"] if wanted else "none"
    return [] if name in MOTIF_SOURCES else name


def motif_options(wildcards):
    """Write how motifs are looked for as options."""
    settings = motif_settings(wildcards)
    names = (
        "database",
        "method",
        "window",
        "seqlet_flank",
        "fewest",
        "seqlet_fdr",
        "shuffles",
    )
    options = [
        option(f"--{name.replace('_', '-')}", [settings[name]])
        for name in names
        if settings[name] is not None
    ]
    seed = screen_of(wildcards).settings["explain"]["seed"]
    return " ".join(
        [
            *options,
            option("--seed", [seed]),
            *([] if settings["filters"] else ["--no-filters"]),
        ]
    )


def intervention_settings(screen):
    """Return how motifs are put in, taken out and moved; nothing where they are not."""
    explain = screen.settings["explain"]
    return (explain["interventions"] or {}) if explain is not False else {}


def has_motifs(screen):
    """Tell whether there are motifs to intervene with: found ones, or a file."""
    found = "motifs" in EXPLANATION_PARTS and "motifs" in wanted_parts(screen.settings)
    return found or bool(intervention_settings(screen).get("file"))


def implanted_motifs(wildcards):
    """Return the file of motifs: the user's own, or what was found in the attributions."""
    own = intervention_settings(screen_of(wildcards)).get("file")
    return own or "results/{screen}/explain/{genome}/motifs/motifs.meme"


def motif_hits(wildcards):
    """Return the hits of found motifs; a user's own are matched by the script."""
    own = intervention_settings(screen_of(wildcards)).get("file")
    return [] if own else "results/{screen}/explain/{genome}/motifs/hits.tsv"


def intervention_options(wildcards, input):
    """Write the settings of a screen's interventions as options."""
    screen = screen_of(wildcards)
    settings = intervention_settings(screen)
    batch = screen.batches.get(wildcards.genome)
    shifts = ",".join(map(str, settings["shifts"]))
    names = (
        "information",
        "backgrounds",
        "background_count",
        "flank",
        "step",
        "copies",
        "spacing",
        "most_pairs",
        "controls",
        "most_sites",
        "draws",
        "hit_share",
        "seed",
    )
    return " ".join(
        [
            *(
                option(f"--{name.replace('_', '-')}", [settings[name]])
                for name in names
            ),
            shlex.quote(f"--shifts={shifts}"),
            option(
                "--names", [",".join(settings["names"])] if settings["names"] else []
            ),
            option("--hits", [input.hits] if input.hits else []),
            option("--laboratory", [batch] if batch else []),
        ]
    )


# --- designs -------------------------------------------------------------------------------------


def design_targets(plan):
    """Return the designed sequences of all screens."""
    return [
        f"results/{screen.name}/designs/{name}/designs.fa"
        for screen in plan.screens.values()
        for name in screen.settings["designs"]
    ]


def design_of(wildcards):
    """Return the settings of a design."""
    return screen_of(wildcards).settings["designs"][wildcards.design]


def design_genome(file):
    """Return an input function: a file of the genome that a design starts from."""

    def path(wildcards):
        return f"results/genomes/{design_of(wildcards)['genome']}/{file}"

    return path


def design_options(wildcards):
    """Write what is wanted of a design, and where the data of its genome comes from."""
    chosen = design_of(wildcards)
    batch = PLAN.genomes[chosen["genome"]].batch
    names = ("edits", "beam", "flank", "most", "seed")
    return " ".join(
        [
            option("--target", [json.dumps(chosen["target"])]),
            *(option(f"--{name}", [chosen[name]]) for name in names),
            shlex.quote(f"--protect={','.join(chosen['protect'])}"),
            "--shuffle" if chosen["shuffle"] else "",
            option("--laboratory", [batch] if batch else []),
        ]
    )


# --- variants ------------------------------------------------------------------------------------


def variant_targets(plan):
    """Return the scored variants of all screens."""
    return [
        f"results/{screen.name}/variants/{name}.vcf.gz"
        for screen in plan.screens.values()
        for name in screen.settings["variants"]
    ]


def variants_of(wildcards):
    """Return the settings of the variants that a job scores."""
    return screen_of(wildcards).settings["variants"][wildcards.variants]


def variant_genome(file):
    """Return an input function: a file of the genome that a job's variants are on."""

    def path(wildcards):
        return f"results/genomes/{variants_of(wildcards)['genome']}/{file}"

    return path


def variant_options(wildcards):
    """Write how variants are scored, and where the data of their genome comes from."""
    chosen = variants_of(wildcards)
    batch = PLAN.genomes[chosen["genome"]].batch
    names = ("distance", "longest", "precision")
    return " ".join(
        [
            *(option(f"--{name}", [chosen[name]]) for name in names),
            option("--laboratory", [batch] if batch else []),
        ]
    )
