"""The workflow itself: plans, reruns, and small real runs from package or file to report."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam
import pytest
import yaml

from documented_files import documented_columns, undocumented
from toy_workflow import planned_jobs, run_snakemake, snakemake, write_toy

pytestmark = pytest.mark.workflow

FLY_SCAN = ["calls.bed.gz", "calls.bed.gz.tbi"]
FLY_SCAN += [
    f"{name}.{strand}.bw" for name in ("donor", "acceptor") for strand in ("plus", "minus")
]


RECIPE_FOLDER = Path(__file__).parents[1] / "config" / "recipes"


def copy_checkout(repository: Path, target: Path) -> Path:
    """Copy what the workflow consists of, so that a test can edit it."""
    target.mkdir()
    for name in ("workflow", "scripts", "envs", "profiles"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / name, target / name, ignore=ignore)
    shutil.copy(repository / "Snakefile", target)
    return target


def assert_commands_are_understood(plan: subprocess.CompletedProcess) -> set[str]:
    """Parse every planned command with its script's own parser; return the scripts' names."""
    assert plan.returncode == 0, plan.stderr[-4000:]
    assert "Exception" not in plan.stdout + plan.stderr, "a path was matched by the wrong rule"
    names = set()
    for line in re.findall(
        r"^Shell command: (python \S+/scripts/\w+\.py .*)$", plan.stdout, re.MULTILINE
    ):
        words = shlex.split(line)
        script = Path(words[1]).stem
        importlib.import_module(script).parse_arguments(words[2 : words.index(">")])
        names.add(script)
    return names


# --- one small real run, and what the workflow plans after it ------------------------------------


@pytest.fixture(scope="module")
def checkout(repository, tmp_path_factory) -> Path:
    """A copy of the workflow that tests may edit (and must put back)."""
    return copy_checkout(repository, tmp_path_factory.mktemp("fly") / "checkout")


@pytest.fixture(scope="module")
def fly(repository, checkout) -> Path:
    """Learn splice sites on a fly chromosome, screen two relatives; return the run's folder."""
    folder = checkout.parent / "run"
    shutil.copytree(repository / "tests" / "workflow" / "fly", folder / "config")
    done = run_fly(checkout, folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "profiles/default" in done.stderr, "the default profile was not loaded"
    return folder


def run_fly(checkout: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake with the configuration of the small run."""
    return snakemake(checkout, folder, "--configfile", "config/config.yaml", *arguments)


@pytest.mark.timeout(420)
def test_fly_run_writes_the_fixed_names(fly):
    results = fly / "results"
    expected = ["splice/report.html"]
    expected += [f"splice/model/{name}" for name in ("model.safetensors", "model.json")]
    expected += ["splice/model/history.tsv"]
    for genome in ("dmel", "dsim", "dsan"):
        names = ("codes.npy", "contigs.tsv", "summary.json")
        expected += [f"genomes/{genome}/{name}" for name in names]
        expected += [f"splice/scan/{genome}/{name}" for name in FLY_SCAN]
        expected += [f"splice/transfer/{genome}.json"]
    for genome in ("dmel", "dsim"):
        expected += [f"splice/sites/{genome}.parquet", f"splice/evaluation/{genome}/metrics.tsv"]
    missing = [name for name in expected if not (results / name).is_file()]
    assert missing == []
    # Without known sites there is nothing to evaluate, and scores are not kept.
    assert not (results / "splice/evaluation/dsan").exists()
    assert not (results / "splice/scan/dsan/scores.npy").exists()
    record = json.loads((results / "splice/provenance.json").read_text())
    assert set(record["genomes"]) == set(record["scans"]) == {"dmel", "dsim", "dsan"}
    annotated = [path for path in record["inputs"] if path.endswith(".gtf.gz")]
    assert (len(record["inputs"]), len(annotated)) == (5, 2)
    assert any(job["seconds"] > 0 for job in record["jobs"].values())
    page = (results / "splice/report.html").read_text()
    assert "<svg" in page and all(name in page for name in ("dmel", "dsim", "dsan"))


def test_fly_network_finds_sites(fly):
    metrics = pd.read_csv(fly / "results/splice/evaluation/dsim/metrics.tsv", sep="\t")
    assert list(metrics.columns) == [
        *("genome", "model", "class", "universe", "unit", "metric", "value", "low", "high"),
        "batch",
    ]
    mine = metrics[(metrics["universe"] == "screen") & (metrics["class"] == "donor")]
    values = mine.set_index(["model", "metric"])["value"]
    assert values["dilated", "average_precision"] > 30 * values["dilated", "prevalence"]
    assert values["dilated", "auroc"] > 0.9
    required = """prevalence average_precision auroc precision_at_recall_0.5
        recall_at_precision_0.9 top_k false_positives_per_mb expected_true_calls
        expected_false_calls promised_precision observed_precision ece brier_skill ignored_share"""
    assert set(required.split()) <= set(mine["metric"])
    assert {"dilated", "pwm", "kmer", "dilated-pwm", "dilated-kmer"} <= set(mine["model"])


def test_fly_calls_and_tracks_are_read_by_other_tools(fly):
    scan = fly / "results/splice/scan/dsim"
    with pysam.TabixFile(str(scan / "calls.bed.gz")) as calls:
        rows = [row.split("\t") for row in calls.fetch(calls.contigs[0])]
    assert rows
    for row in rows:
        assert len(row) == 8 and row[3] in ("donor", "acceptor") and row[5] in "+-"
        assert int(row[2]) - int(row[1]) == 1 and 0 <= int(row[4]) <= 1000
    row = next(row for row in rows if row[3] == "donor" and row[5] == "+")
    with pyBigWig.open(str(scan / "donor.plus.bw")) as track:
        value = track.values(row[0], int(row[1]), int(row[2]))[0]
    assert value == pytest.approx(float(row[6]), abs=1e-4)


def test_columns_are_those_of_the_documentation(repository, fly):
    page = repository / "docs" / "file_formats.md"
    evaluation = fly / "results/splice/evaluation/dsim"
    names = ("metrics.tsv", "promises.tsv", "calls.parquet", "curves.parquet")
    written = {f"{{screen}}/evaluation/{{genome}}/{name}": evaluation / name for name in names}
    written["{screen}/model/history.tsv"] = fly / "results/splice/model/history.tsv"
    assert undocumented(written, page) == []
    with pysam.TabixFile(str(fly / "results/splice/scan/dsim/calls.bed.gz")) as calls:
        header = list(calls.header)[-1].removeprefix("#").split("\t")
    pattern = documented_columns(page)["{screen}/scan/{genome}/calls.bed.gz"]
    assert pattern.fullmatch("".join(f"{name}\n" for name in header))


def test_second_run_does_nothing(checkout, fly):
    before = {path: path.stat().st_mtime_ns for path in (fly / "results").rglob("*")}
    # A fresh clone has other times, and the same contents.
    for path in (checkout / "scripts").rglob("*.py"):
        path.touch()
    again = run_fly(checkout, fly, "--cores", "2")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in (fly / "results").rglob("*")} == before


def test_shards_may_be_deleted_once_they_are_merged(checkout, fly):
    shards = fly / "results/splice/scan/dsan/shards"
    aside = shards.rename(fly / "shards")
    try:
        again = run_fly(checkout, fly, "--dry-run")
    finally:
        aside.rename(shards)
    assert again.returncode == 0 and "Nothing to be done" in again.stdout + again.stderr


def plan_changed(checkout: Path, fly: Path, change) -> dict[str, int]:
    """Return what a dry run plans after `change` was applied to the settings of the small run."""
    config = yaml.safe_load((fly / "config/config.yaml").read_text())
    change(config)
    (fly / "config/changed.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return planned_jobs(
        snakemake(checkout, fly, "--configfile", "config/changed.yaml", "--dry-run")
    )


LAST = {"render_report": 1, "record_provenance": 1}


def test_new_genome_plans_only_its_own_jobs_and_the_report(checkout, fly):
    rows = (fly / "config/genomes.tsv").read_text()
    fasta = rows.splitlines()[-1].split("\t")[1]
    (fly / "config/more.tsv").write_text(rows + f"new\t{fasta}\t\t\t\n")

    def change(config):
        config["genomes"] = "config/more.tsv"
        config["screens"]["splice"]["scan_genomes"].append("new")

    assert plan_changed(checkout, fly, change) == LAST | {
        "encode_genome": 1,
        "split_genome": 1,
        "scan_genome": 1,
        "merge_scan_splice_unlabelled": 1,
        "estimate_transfer": 1,
        "write_hub": 1,
        "view_calls": 1,
    }


def test_new_track_of_a_screened_genome_scans_nothing(checkout, fly):
    (fly / "config/hard.bed").write_text("NC_000000.1\t10\t20\n")
    row = "repeats\tdsim\tconfig/hard.bed\tignore\t\n"
    (fly / "config/tracks.tsv").write_text("track\tgenome\tfile\trole\tclass\n" + row)

    def change(config):
        config["tracks"] = "config/tracks.tsv"

    assert plan_changed(checkout, fly, change) == LAST | {
        "extract_sites": 1,
        "audit_leakage": 1,
        "evaluate_scan": 1,
        "view_calls": 1,
    }


def test_another_threshold_scans_no_genome(checkout, fly):
    def change(config):
        config["screens"]["splice"]["calibration"]["operating"] = 0.5

    assert plan_changed(checkout, fly, change) == LAST | {
        "calibrate_model": 3,
        "merge_scan_splice_labelled": 6,
        "merge_scan_splice_unlabelled": 1,
        "evaluate_scan": 2,
        "estimate_transfer": 3,
        "write_hub": 3,
        "view_calls": 3,
    }


def test_another_floor_scans_every_genome(checkout, fly):
    def change(config):
        config["screens"]["splice"]["calibration"]["floor_probability"] = 0.01

    jobs = plan_changed(checkout, fly, change)
    assert (jobs["calibrate_model"], jobs["scan_genome"]) == (3, 8)
    assert "train_model" not in jobs


def test_new_class_encodes_nothing(checkout, fly):
    def change(config):
        config["screens"]["splice"]["classes"]["start"] = {"stranded": True, "site": "start_codon"}

    jobs = plan_changed(checkout, fly, change)
    assert (jobs["extract_sites"], jobs["train_model"], jobs["scan_genome"]) == (2, 1, 8)
    assert "encode_genome" not in jobs


@pytest.mark.parametrize(
    ("module", "users", "followers"),
    [
        (
            "leakage",
            {"audit_leakage": 2, "estimate_transfer": 3},
            {"evaluate_scan", "view_calls", *LAST},
        ),
        ("mixture_fit", {"estimate_transfer": 3}, {*LAST}),
        ("logos", {"render_report": 1}, set()),
        ("call_evaluation", {"evaluate_scan": 2}, {"view_calls", *LAST}),
        ("calls", {"calibrate_model": 3, "scan_genome": 8}, None),
    ],
)
def test_edit_of_a_module_reruns_exactly_its_users(checkout, fly, module, users, followers):
    path = checkout / "scripts" / "genomesieve" / f"{module}.py"
    text = path.read_text()
    path.write_text(text + "\n# another content\n")
    try:
        plan = run_fly(checkout, fly, "--dry-run")
    finally:
        path.write_text(text)
    jobs = planned_jobs(plan)
    assert {name: jobs.get(name) for name in users} == users
    assert "train_model" not in jobs
    assert followers is None or set(jobs) == set(users) | followers


def test_report_archive_is_made(checkout, fly):
    done = run_fly(checkout, fly, "--report", "results/report.zip")
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(fly / "results/report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
    assert "report.html" in names and names.count("metrics.tsv") == 2
    assert any(name.endswith(".svg") for name in names)


# --- seeds and rounds of hard negatives ---------------------------------------------------------


ROUNDS = {"seeds": [0, 4], "hard_negatives": {"rounds": 1, "share": 0.3, "most": 50}}


def test_one_seed_without_rounds_plans_no_further_jobs(repository, tmp_path):
    config = str(write_toy(tmp_path, baselines={"pwm": {}}))
    plan = snakemake(repository, tmp_path, "--configfile", config, "--dry-run")
    jobs = planned_jobs(plan)
    once = ("encode_genome", "extract_sites", "split_genome", "audit_leakage", "sample_windows")
    once += ("augment_windows", "train_model", "fit_baseline", "evaluate_scan", "render_report")
    once += ("record_provenance", "estimate_transfer", "write_hub", "view_calls")
    models = ("calibrate_model", "note_scan_settings", "scan_genome", "merge_scan_toy_labelled")
    assert jobs == dict.fromkeys(once, 1) | dict.fromkeys(models, 2)
    assert "results/toy/training/base/round0/seed0/model.json" in plan.stdout
    assert "results/toy/windows/sampled.parquet" in plan.stdout


def test_commands_of_seeds_and_rounds_are_understood(repository, tmp_path):
    config = str(write_toy(tmp_path, seeds=[0, 4, 2], hard_negatives={"rounds": 2}))
    options = ("--configfile", config, "--dry-run", "--printshellcmds")
    plan = snakemake(repository, tmp_path, *options)
    assert {"harvest_negatives", "combine_seeds"} <= assert_commands_are_understood(plan)
    jobs = planned_jobs(plan)
    assert (jobs["train_model"], jobs["harvest_negatives"], jobs["combine_seeds"]) == (9, 6, 3)
    assert (jobs["sample_windows"], jobs["augment_windows"]) == (7, 7)
    # The model, three seeds, and the two rounds before the last.
    assert jobs["calibrate_model"] == jobs["scan_genome"] == 6
    assert "--pair dilated.round1 dilated.round0" in plan.stdout


@pytest.mark.timeout(900)
def test_seeds_and_a_round_of_hard_negatives(repository, tmp_path):
    config = str(write_toy(tmp_path, **ROUNDS))
    done = snakemake(repository, tmp_path, "--configfile", config, "--cores", "2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    results = tmp_path / "results/toy"
    model = json.loads((results / "model/model.json").read_text())
    assert model["member_seeds"] == [0, 4]
    assert [len(member["rounds"]) for member in model["training"]["members"]] == [2, 2]
    metrics = pd.read_csv(results / "evaluation/toy/metrics.tsv", sep="\t")
    mine = metrics[(metrics["universe"] == "test") & (metrics["metric"] == "average_precision")]
    values = mine.set_index(["class", "model"])["value"]
    others = ["dilated.seed0", "dilated.seed4", "dilated.round0"]
    for name in ("donor", "acceptor"):
        assert set(values[name].index) == {"dilated", *others, *(f"dilated-{o}" for o in others)}
        for other in others:
            difference = values[name, "dilated"] - values[name, other]
            assert values[name, f"dilated-{other}"] == pytest.approx(difference)
    split = pd.read_csv(results / "split/toy.tsv", sep="\t")
    (train,) = split[split["part"] == "train"].itertuples()
    for seed in (0, 4):
        negatives = pd.read_parquet(results / f"hard_negatives/round1/seed{seed}/negatives.parquet")
        assert set(negatives["contig"]) == {train.contig}
        assert negatives["position"].between(train.start, train.end - 1).all()
        windows = pd.read_parquet(results / f"windows/round1/seed{seed}/sampled.parquet")
        assert (windows["source"] == "hard").sum() == 30
    page = (results / "report.html").read_text()
    assert "Rounds of hard negatives" in page and "best seed" in page
    assert "Round 1 " in page and "± " in page
    again = snakemake(repository, tmp_path, "--configfile", config, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr


def write_signal(path: Path, scale: float) -> None:
    """Write a track of random steps over the toy genome."""
    generator = np.random.default_rng(int(scale))
    with pyBigWig.open(str(path), "w") as track:
        lengths = {"chr1": 60_000, "chr2": 20_037}
        track.addHeader(list(lengths.items()))
        for contig, length in lengths.items():
            starts = list(range(0, length - 50, 50))
            values = (scale * generator.random(len(starts))).tolist()
            ends = [start + 50 for start in starts]
            track.addEntries([contig] * len(starts), starts, ends=ends, values=values)


@pytest.mark.timeout(900)
def test_a_round_with_signals_of_two_laboratories_and_an_auxiliary_track(repository, tmp_path):
    path = write_toy(
        tmp_path,
        train_genomes=["paris", "oslo"],
        scan_genomes=["paris", "lima"],
        signals=["atac"],
        auxiliary={"gc": {"property": "gc"}, "openness": {"track": "dnase"}},
        hard_negatives={"rounds": 1, "share": 0.3, "most": 50},
    )
    names = ("paris", "oslo", "lima")
    rows = ["genome\tfasta", *(f"{name}\ttoy.fa" for name in names)]
    (tmp_path / "genomes.tsv").write_text("\n".join(rows) + "\n")
    tracks = ["track\tgenome\tfile\trole\tclass\tbatch"]
    for number, name in enumerate(names, start=1):
        write_signal(tmp_path / f"{name}.bw", 10.0**number)
        tracks.append(f"atac\t{name}\t{name}.bw\tsignal\t\t{name.title()}")
        if name != "lima":
            tracks.append(f"dnase\t{name}\t{name}.bw\tauxiliary\t\t{name.title()}")
            tracks.append(f"known\t{name}\tsites.bed\tsite\tcolumn:4\t{name.title()}")
    (tmp_path / "tracks.tsv").write_text("\n".join(tracks) + "\n")
    config = yaml.safe_load(path.read_text())
    screen = config["screens"]["toy"]
    screen["split"] = dict.fromkeys(("paris", "oslo"), screen["split"]["toy"])
    screen["model"]["norm"] = "domain"
    path.write_text(yaml.safe_dump(config))
    done = snakemake(repository, tmp_path, "--configfile", str(path), "--cores", "2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    results = tmp_path / "results" / "toy"
    history = pd.read_csv(results / "model/history.tsv", sep="\t")
    assert {"auxiliary_loss.gc", "auxiliary_loss.openness"} <= set(history.columns)
    for name in ("paris", "lima"):
        assert (results / f"scan/{name}/calls.bed.gz").is_file()
    # Statistics of a laboratory that training never saw are taken from its own data.
    lima = json.loads((results / "scan/lima/summary.json").read_text())
    assert lima["domain_statistics"]
    metrics = pd.read_csv(results / "evaluation/paris/metrics.tsv", sep="\t")
    assert "dilated.round0" in set(metrics["model"]) and "Paris" in set(metrics["batch"])


# --- a pretrained stem and trunk -----------------------------------------------------------------


def write_pretraining(folder):
    """Write the toy configuration with a pretraining that its screen starts from, on a share."""
    path = write_toy(folder)
    config = yaml.safe_load(path.read_text())
    screen = config["screens"]["toy"]
    screen["split"]["toy"] |= {"train_share": 0.5, "train_block": 4000}
    screen |= {"pretrained": "plants"}
    screen["training"]["pretrained"] = {"trunk_rate": 0.5, "unfreeze_steps": 5}
    config["pretraining"] = {
        "plants": {
            "genomes": ["toy"],
            "split": {"toy": {"train": ["chr1:0-36000"], "held_out": ["chr2"]}},
            "model": dict(screen["model"]),
            "training": {"steps": 10, "batch": 4, "length": 500, "validations": 1, "two_sided": 3},
        }
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.timeout(900)
def test_a_screen_starts_from_a_pretrained_trunk(repository, tmp_path):
    config = str(write_pretraining(tmp_path))
    options = ("--configfile", config)
    plan = snakemake(repository, tmp_path, *options, "--dry-run", "--printshellcmds")
    assert "pretrain_model" in assert_commands_are_understood(plan)
    done = snakemake(repository, tmp_path, *options, "--cores", "2")
    assert done.returncode == 0, done.stderr[-4000:]
    results = tmp_path / "results"
    table = pd.read_csv(results / "pretraining/plants/perplexity.tsv", sep="\t")
    assert set(table["kind"]) == {"network", "letters", "one-sided", "two-sided"}
    said = json.loads((results / "toy/model/model.json").read_text())
    assert said["training"]["pretrained"]["unfreeze_steps"] == 5
    split = pd.read_csv(results / "toy/split/toy.tsv", sep="\t")
    train = split[split["part"] == "train"]
    assert (train["end"] - train["start"]).sum() == pytest.approx(18_000, abs=2000)
    # Windows lie in what was kept, and nowhere else.
    windows = pd.read_parquet(results / "toy/windows/augmented.parquet")
    for row in windows[windows["part"] == "train"].itertuples():
        inside = (train["start"] <= row.start) & (row.start + row.length <= train["end"])
        assert inside.any()
    provenance = json.loads((results / "toy/provenance.json").read_text())
    assert "plants" in provenance["settings"]["pretraining"]
    again = snakemake(repository, tmp_path, *options, "--dry-run")
    assert planned_jobs(again) == {}
    # Another seed of the pretraining trains the screen again, and encodes nothing.
    content = yaml.safe_load(Path(config).read_text())
    content["pretraining"]["plants"]["seed"] = 1
    Path(config).write_text(yaml.safe_dump(content))
    jobs = planned_jobs(snakemake(repository, tmp_path, *options, "--dry-run"))
    assert jobs["pretrain_model"] == jobs["train_model"] == jobs["calibrate_model"] == 1
    assert not {"encode_genome", "sample_windows", "split_genome"} & set(jobs)


# --- ready-made configurations -------------------------------------------------------------------


def test_commands_of_the_demo_are_understood(repository, tmp_path):
    shutil.copytree(repository / "config", tmp_path / "config")
    plan = snakemake(repository, tmp_path, "--dry-run", "--printshellcmds")
    scripts = {path.stem for path in (repository / "scripts").glob("*.py")}
    assert assert_commands_are_understood(plan) == scripts - {
        *("summarise_run", "import_model", "combine_seeds", "harvest_negatives", "encode_signal"),
        *("fetch_file", "pretrain_model", "adapt_model", "estimate_fisher", "measure_forgetting"),
        *("attribute_sites", "measure_attention", "track_contributions", "probe_model"),
        *("discover_motifs", "intervene_motifs", "design_sequences"),
        *("score_variants", "index_variants", "compare_screens", "new_screen"),
    }
    jobs = planned_jobs(plan)
    assert (jobs["unpack_file"], jobs["encode_genome"], jobs["evaluate_scan"]) == (5, 3, 2)


def test_several_screens_are_compared(repository, tmp_path):
    path = write_toy(tmp_path)
    config = yaml.safe_load(path.read_text())
    config["screens"]["again"] = config["screens"]["toy"] | {"title": 'it\'s "again"'}
    path.write_text(yaml.safe_dump(config))
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    assert {"compare_screens", "view_calls"} <= assert_commands_are_understood(plan)
    jobs = planned_jobs(plan)
    assert (jobs["compare_screens"], jobs["view_calls"]) == (1, 2)
    metrics = "results/{0}/evaluation/toy/metrics.tsv"
    for name in ("toy", "again"):
        assert f"--metrics {name}/toy={metrics.format(name)}" in plan.stdout


def test_calls_are_explained_where_asked_for(repository, tmp_path):
    path = write_toy(tmp_path, explain={"sites": 3, "indels": False})
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    wanted = {"attribute_sites", "discover_motifs", "track_contributions"}
    assert wanted <= assert_commands_are_understood(plan)
    assert all(planned_jobs(plan)[name] == 1 for name in wanted)
    assert "measure_attention" not in planned_jobs(plan)
    assert "--most 3 --flank 100" in plan.stdout and "--no-indels" in plan.stdout


def test_recipes_are_explained_by_a_second_file(repository, tmp_path):
    """Laid over a recipe, it adds explanations and changes nothing else."""
    shutil.copytree(repository / "config", tmp_path / "config")
    recipe = ("--configfile", "config/config.yaml")
    before = planned_jobs(snakemake(repository, tmp_path, *recipe, "--dry-run"))
    over = (*recipe, "config/recipes/explained/demo.yaml", "--dry-run", "--printshellcmds")
    plan = snakemake(repository, tmp_path, *over)
    added = planned_jobs(plan).items() - before.items()
    assert dict(added) == {
        "attribute_sites": 3, "discover_motifs": 3, "intervene_motifs": 3, "probe_model": 1,
        "track_contributions": 3,
    }  # fmt: skip
    assert "--database plants" in plan.stdout


@pytest.mark.parametrize(
    "path", sorted((RECIPE_FOLDER / "explained").glob("*.yaml")), ids=lambda path: path.stem
)
def test_a_second_file_names_screens_of_its_recipe(path):
    """Keys that no recipe has would be screens of their own."""
    known = {
        name
        for recipe in (RECIPE_FOLDER.parent / "config.yaml", *RECIPE_FOLDER.glob("*.yaml"))
        for name in yaml.safe_load(recipe.read_text())["screens"]
    }
    screens = yaml.safe_load(path.read_text())["screens"]
    assert set(screens) <= known
    assert all(list(screen) == ["explain"] for screen in screens.values())


def test_motifs_of_a_file_are_implanted(repository, tmp_path):
    (tmp_path / "own.meme").touch()
    wanted = {"file": "own.meme", "shifts": [-7, 3], "names": ["Reb1"]}
    path = write_toy(tmp_path, explain={"sites": 3, "motifs": False, "interventions": wanted})
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    assert "intervene_motifs" in assert_commands_are_understood(plan)
    assert planned_jobs(plan)["intervene_motifs"] == 1
    assert "--motifs own.meme" in plan.stdout and "--names Reb1" in plan.stdout
    assert "--shifts=-7,3" in plan.stdout and "--hits" not in plan.stdout


def test_no_motifs_are_implanted_where_there_are_none(repository, tmp_path):
    path = write_toy(tmp_path, explain={"motifs": False})
    plan = snakemake(repository, tmp_path, "--configfile", str(path), "--dry-run")
    jobs = planned_jobs(plan)
    assert jobs["attribute_sites"] == 1 and "intervene_motifs" not in jobs


def test_commands_of_designs_are_understood(repository, tmp_path):
    (tmp_path / "places.bed").touch()
    first = {"genome": "toy", "sites": "places.bed", "target": {"donor": "high"}}
    other = first | {"target": {"donor": 2.5, "acceptor": "low"}, "shuffle": True}
    other |= {"protect": ["-3:6", "10:20"], "beam": 9}
    designs = {"strong": first, "measured": other}
    path = write_toy(tmp_path, designs=designs)
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    assert "design_sequences" in assert_commands_are_understood(plan)
    assert planned_jobs(plan)["design_sequences"] == 2
    assert "--protect=-3:6,10:20 --shuffle" in plan.stdout and "--beam 9" in plan.stdout
    for change, message in (
        ({"genome": "toi"}, "designs.strong is on genome 'toi', not a row of"),
        ({"target": {"doner": "high"}}, "designs.strong.target: 'doner' is no class"),
    ):
        write_toy(tmp_path, designs={"strong": first | change})
        plan = snakemake(repository, tmp_path, "--configfile", str(path), "--dry-run")
        assert plan.returncode == 1
        assert message in plan.stdout + plan.stderr


def test_hidden_layers_are_probed_where_asked_for(repository, tmp_path):
    """Where a genome has an annotation its genes are looked for too."""
    path = write_toy(tmp_path, explain={"probes": {"seed": 3, "properties": ["gc", "strand"]}})
    (tmp_path / "toy.gtf").touch()
    genes = "genome\tfasta\tannotation\ntoy\ttoy.fa\ttoy.gtf\n"
    (tmp_path / "genomes.tsv").write_text(genes)
    arguments = ("--configfile", str(path), "--dry-run", "--printshellcmds")
    plan = snakemake(repository, tmp_path, *arguments)
    assert "probe_model" in assert_commands_are_understood(plan)
    assert planned_jobs(plan)["probe_model"] == 1
    assert "--properties gc,strand" in plan.stdout and "--random-removals 8" in plan.stdout
    assert "--genes toy=toy.gtf" in plan.stdout
    path = write_toy(tmp_path, explain={"probes": {"genes": False}})
    (tmp_path / "genomes.tsv").write_text(genes)
    plan = snakemake(repository, tmp_path, *arguments)
    assert planned_jobs(plan)["probe_model"] == 1 and "--genes" not in plan.stdout
    path = write_toy(tmp_path, explain={"probes": False})
    assert "probe_model" not in planned_jobs(snakemake(repository, tmp_path, *arguments))


def test_files_from_elsewhere_are_fetched_first(repository, tmp_path):
    path = write_toy(tmp_path)
    config = yaml.safe_load(path.read_text())
    url = "https://example.org/toy.fa?a=1&b=$(id)"
    config["downloads"] = {"toy.fa": {"url": url, "sha256": "0" * 64}}
    path.write_text(yaml.safe_dump(config))
    sheet = tmp_path / "genomes.tsv"
    sheet.write_text(sheet.read_text().replace("\ttoy.fa", "\tresources/downloads/toy.fa"))
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    assert "fetch_file" in assert_commands_are_understood(plan)
    assert planned_jobs(plan)["fetch_file"] == 1
    assert f"--url '{url}' --sha256 {'0' * 64} --output resources/downloads/toy.fa" in plan.stdout


def test_commands_of_variants_are_understood(repository, tmp_path):
    """Two files, one on a genome that the screen neither learns nor scans."""
    (tmp_path / "known.vcf").touch()
    chosen = {"known": {"genome": "toy", "file": "known.vcf"}}
    chosen["other"] = {"genome": "new", "file": "known.vcf", "distance": 7, "precision": "float32"}
    path = write_toy(tmp_path, variants=chosen)
    with (tmp_path / "genomes.tsv").open("a") as sheet:
        print("new\ttoy.fa", file=sheet)
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    assert {"score_variants", "index_variants"} <= assert_commands_are_understood(plan)
    jobs = planned_jobs(plan)
    assert (jobs["score_variants"], jobs["index_variants"], jobs["encode_genome"]) == (2, 2, 2)
    assert jobs["scan_genome"] == jobs["split_genome"] == 1
    assert "--distance 7 --longest 1000 --precision float32" in plan.stdout
    chosen["other"]["genome"] = "toi"
    write_toy(tmp_path, variants=chosen)
    plan = snakemake(repository, tmp_path, "--configfile", str(path), "--dry-run")
    assert plan.returncode == 1
    assert "variants.other is on genome 'toi', not a row of" in plan.stdout + plan.stderr


def test_commands_of_several_laboratories_are_understood(repository, tmp_path):
    """Two laboratories to learn from, one left out, one unknown: a row of the same FASTA each."""
    shutil.copytree(repository / "tests" / "workflow" / "fly", tmp_path / "config")
    sheet = tmp_path / "config" / "genomes.tsv"
    head, first, *_ = sheet.read_text().splitlines()
    names = ("paris", "oslo", "rome", "lima")
    rows = [first.replace("dmel\t", f"{name}\t") for name in names]
    sheet.write_text("\n".join([head, *rows]) + "\n")
    tracks = ["track\tgenome\tfile\trole\tbatch"]
    for name in names:
        (tmp_path / f"{name}.bw").touch()
        tracks.append(f"atac\t{name}\t{name}.bw\tsignal\t{name.title()}")
    (tmp_path / "config" / "tracks.tsv").write_text("\n".join(tracks) + "\n")
    path = tmp_path / "config" / "config.yaml"
    config = yaml.safe_load(path.read_text()) | {"tracks": "config/tracks.tsv"}
    screen = config["screens"]["splice"]
    parts = screen["split"]["dmel"]
    screen |= {"train_genomes": list(names[:3]), "scan_genomes": list(names), "signals": ["atac"]}
    screen |= {"leave_out": ["Rome"], "split": dict.fromkeys(names[:3], parts)}
    screen["model"]["norm"] = "domain"
    path.write_text(yaml.safe_dump(config))
    recipe = ("--configfile", str(path), "--dry-run", "--printshellcmds")
    plan = snakemake(repository, tmp_path, *recipe)
    assert "encode_signal" in assert_commands_are_understood(plan)
    jobs = planned_jobs(plan)
    assert (jobs["encode_signal"], jobs["train_model"], jobs["evaluate_scan"]) == (4, 1, 4)
    commands = {}
    for line in re.findall(r"^Shell command: (python .*)$", plan.stdout, re.MULTILINE):
        words = shlex.split(line)
        commands.setdefault(Path(words[1]).stem, []).append(words)
    (train,) = commands["train_model"]
    values = "results/genomes/{0}/signals/atac.npy".format
    assert option_values(train, "--genome") == [
        "paris=results/genomes/paris", "oslo=results/genomes/oslo"
    ]  # fmt: skip
    assert option_values(train, "--laboratory") == ["paris=Paris", "oslo=Oslo"]
    assert option_values(train, "--signal") == [
        f"paris:atac={values('paris')}", f"oslo:atac={values('oslo')}"
    ]  # fmt: skip
    assert option_values(train, "--signals") == ["atac"]
    # The laboratory that is left out is split as the others are, and its test part is scanned.
    scans = [words for words in commands["scan_genome"] if "results/splice/model" in words]
    parts = {option_values(w, "--laboratory")[0]: option_values(w, "--parts")[0] for w in scans}
    assert parts == {"Paris": "test", "Oslo": "test", "Rome": "test", "Lima": "screen"}
    assert {option_values(w, "--signal")[0] for w in scans} == {
        f"atac={values(name)}" for name in names
    }
    baselines = [words for words in commands["scan_genome"] if words not in scans]
    assert baselines and not any(option_values(words, "--signal") for words in baselines)
    batches = {option_values(words, "--batch")[0] for words in commands["evaluate_scan"]}
    assert batches == {"Paris", "Oslo", "Rome", "Lima"}


def option_values(words: list[str], name: str) -> list[str]:
    """Return what follows an option each time that it is given."""
    return [value for key, value in zip(words, words[1:]) if key == name]


def write_binding(repository: Path, folder: Path, fasta: Path, peaks: Path) -> None:
    """Write the binding recipe and its sheets, pointing to the given files."""
    shutil.copytree(repository / "config" / "recipes", folder / "config" / "recipes")
    for name, old, new in (
        ("binding.genomes.tsv", "data/yeast.fa.gz", fasta),
        ("binding.tracks.tsv", "data/yeast_peaks.bed.gz", peaks),
    ):
        sheet = folder / "config" / "recipes" / name
        assert old in sheet.read_text()
        sheet.write_text(sheet.read_text().replace(old, str(new)))


def test_commands_of_the_binding_recipe_are_understood(repository, tmp_path):
    fasta, peaks = tmp_path / "yeast.fa", tmp_path / "peaks.bed"
    fasta.touch()
    peaks.touch()
    write_binding(repository, tmp_path, fasta, peaks)
    recipe = ("--configfile", "config/recipes/binding.yaml")
    plan = snakemake(repository, tmp_path, *recipe, "--dry-run", "--printshellcmds")
    scripts = assert_commands_are_understood(plan)
    assert {"extract_sites", "train_model", "merge_scan", "render_report"} <= scripts
    assert planned_jobs(plan)["merge_scan_binding_labelled"] == 2


def test_tracks_that_are_learned_are_encoded_for_training_alone(repository, tmp_path):
    (tmp_path / "open.bw").touch()
    for name in ("yeast.fa", "peaks.bed"):
        (tmp_path / name).touch()
    write_binding(repository, tmp_path, tmp_path / "yeast.fa", tmp_path / "peaks.bed")
    sheet = tmp_path / "config/recipes/binding.tracks.tsv"
    columns = sheet.read_text().splitlines()[0].split("\t")
    row = {"track": "openness", "genome": "yeast", "file": "open.bw", "role": "auxiliary"}
    sheet.write_text(sheet.read_text() + "\t".join(row.get(name, "") for name in columns) + "\n")
    path = tmp_path / "config/recipes/binding.yaml"
    config = yaml.safe_load(path.read_text())
    config["screens"]["binding"]["auxiliary"] = {"open": {"track": "openness"}}
    path.write_text(yaml.safe_dump(config))
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    assert "encode_signal" in assert_commands_are_understood(plan)
    assert planned_jobs(plan)["encode_signal"] == 1
    commands = re.findall(r"^Shell command: (python .*)$", plan.stdout, re.MULTILINE)
    named = "--auxiliary-track yeast:openness=results/genomes/yeast/signals/openness.npy"
    (user,) = (Path(shlex.split(line)[1]).stem for line in commands if named in line)
    assert user == "train_model"


def test_a_network_of_ones_own_is_imported_and_not_trained(repository, tmp_path):
    shutil.copytree(repository / "config" / "recipes", tmp_path / "config" / "recipes")
    (tmp_path / "data").mkdir()
    for name in ("custom_network.pt", "genome.fa.gz", "genome.gtf.gz"):
        (tmp_path / "data" / name).touch()
    recipe = ("--configfile", "config/recipes/custom_network.yaml")
    plan = snakemake(repository, tmp_path, *recipe, "--dry-run", "--printshellcmds")
    scripts = assert_commands_are_understood(plan)
    assert "import_model" in scripts
    assert not {"sample_windows", "augment_windows", "train_model"} & scripts
    jobs = planned_jobs(plan)
    assert (jobs["import_model"], jobs["calibrate_model"], jobs["scan_genome"]) == (1, 2, 2)
    code = "--network-code config/recipes/custom_network.py:SmallNetwork"
    commands = re.findall(r"^Shell command: (python .*)$", plan.stdout, re.MULTILINE)
    users = [Path(shlex.split(line)[1]).stem for line in commands if code in line]
    # The option is given where the file is an input; the baseline's jobs go without both.
    assert sorted(users) == ["calibrate_model", "import_model", "scan_genome"]


RECIPES = sorted(path.stem for path in RECIPE_FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_commands_of_every_recipe_are_understood(repository, tmp_path, name):
    """Each names its files below data/ and is complete with them."""
    shutil.copytree(repository / "config" / "recipes", tmp_path / "config" / "recipes")
    for path in (tmp_path / "config" / "recipes").glob(f"{name}.*"):
        for file in re.findall(r"\bdata/[\w./-]+\.\w+", path.read_text()):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
    recipe = ("--configfile", f"config/recipes/{name}.yaml")
    plan = snakemake(repository, tmp_path, *recipe, "--dry-run", "--printshellcmds")
    scripts = assert_commands_are_understood(plan)
    assert {"scan_genome", "evaluate_scan", "render_report", "record_provenance"} <= scripts


@pytest.mark.timeout(420)
def test_binding_recipe_runs_on_yeast(repository, shared_data, tmp_path):
    yeast = shared_data / "saccharomyces_cerevisiae_R64"
    fasta, peaks = yeast / "R64-1-1.fa.gz", yeast / "rossi2021_chexmix_all.bed.gz"
    write_binding(repository, tmp_path, fasta, peaks)
    path = tmp_path / "config/recipes/binding.yaml"
    config = yaml.safe_load(path.read_text())
    screen = config["screens"]["binding"]
    # The recipe as it stands, but for the length of the training and of the bootstrap.
    screen["sampling"]["windows"] = 1000
    screen["training"] |= {"steps": 80, "batch": 16, "validations": 1}
    screen["baselines"]["kmer"] = {"k": 4, "negatives": 5000}
    screen["calibration"]["bootstrap"] = 200
    screen["evaluation"] = {"bootstrap": 200}
    path.write_text(yaml.safe_dump(config))
    done = snakemake(repository, tmp_path, "--configfile", str(path), "--cores", "2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    results = tmp_path / "results/binding"
    split = pd.read_csv(results / "split/yeast.tsv", sep="\t")
    assert set(split[split["part"] == "test"]["contig"]) == {"IV", "XII"}
    metrics = pd.read_csv(results / "evaluation/yeast/metrics.tsv", sep="\t")
    mine = metrics[(metrics["model"] == "motif_cnn") & (metrics["universe"] == "test")]
    values = mine.set_index(["class", "metric"])["value"]
    assert values["Reb1", "auroc"] > 0.6
    for factor in screen["classes"]:
        assert (results / f"scan/yeast/{factor}.both.bw").is_file()
        assert values[factor, "average_precision"] > values[factor, "prevalence"]
        # Trained on both strands, the network is not forced to agree with itself.
        assert 0 <= values[factor, "strand_difference"] < 2
    baseline = metrics[(metrics["model"] == "kmer") & (metrics["universe"] == "test")]
    differences = baseline.loc[baseline["metric"] == "strand_difference", "value"]
    assert len(differences) == len(screen["classes"])
    assert "strand disagreement" in (results / "report.html").read_text()


def test_misspelt_key_stops_with_the_right_one(repository, tmp_path):
    shutil.copytree(repository / "tests" / "workflow" / "fly", tmp_path / "config")
    path = tmp_path / "config/config.yaml"
    path.write_text(path.read_text().replace("labels:", "label:"))
    plan = snakemake(repository, tmp_path, "--configfile", str(path), "--dry-run")
    assert plan.returncode == 1
    said = plan.stdout + plan.stderr
    assert "unknown key 'label'" in said and "did you mean 'labels'" in said
    assert "Traceback" not in said


# --- inside another workflow ---------------------------------------------------------------------

OUTER = """
module genomesieve:
    snakefile: {snakefile!r}
    config: config["screening"]

use rule * from genomesieve as genomesieve_*

rule count_calls:
    default_target: True
    input: "results/toy/scan/toy/calls.bed.gz"
    output: "calls.txt"
    shell: "zcat {{input}} | wc -l > {{output}}"
"""


@pytest.mark.timeout(600)
def test_another_workflow_takes_it_as_a_module(repository, tmp_path):
    config = yaml.safe_load(write_toy(tmp_path).read_text())
    (tmp_path / "outer.yaml").write_text(yaml.safe_dump({"screening": config}, sort_keys=False))
    outer = tmp_path / "outer.smk"
    outer.write_text(OUTER.format(snakefile=str(repository / "Snakefile")))
    done = run_snakemake(outer, tmp_path, "--configfile", "outer.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "genomesieve_scan_genome" in done.stdout + done.stderr
    with pysam.TabixFile(str(tmp_path / "results/toy/scan/toy/calls.bed.gz")) as calls:
        rows = sum(1 for contig in calls.contigs for _ in calls.fetch(contig))
    assert int((tmp_path / "calls.txt").read_text()) >= rows
    # Only what the outer workflow asks for is made.
    assert not (tmp_path / "results/toy/report.html").exists()
