"""Every script runs where only the packages of its rule's environment are installed.

Conda itself is not called: a virtual environment is made that holds the pinned packages of an
environment file, with what they depend on, and nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import yaml
from packaging.requirements import Requirement

from custom_networks import CONTEXT, OUTPUTS, RECIPE, motif_weights
from documented_files import undocumented
from https_server import DIGEST, serving, trust, write_certificate
from planted_genome import write_planted_genome

PIP_NAMES = {"pytorch": "torch"}
NOT_PYTHON = {"python", "bedtools"}
ATTENDING = {
    "preset": "transformer", "channels": 8, "window": 200, "reach": 5, "resolution": 1,
    "stem_pools": [1], "pooling": "none",
}  # fmt: skip


def pinned(path: Path) -> dict[str, str]:
    """Return the Python packages that an environment file names, with their versions if stated."""
    items = yaml.safe_load(path.read_text())["dependencies"]
    names = [item for item in items if isinstance(item, str)]
    names += [name for item in items if isinstance(item, dict) for name in item["pip"]]
    found = {}
    for item in names:
        package, _, version = (part.strip() for part in item.partition("="))
        if package not in NOT_PYTHON:
            found[PIP_NAMES.get(package, package)] = version.lstrip("=")
    return found


def rule_environments(repository: Path) -> dict[str, str]:
    """Return the environment of each script, as the rules state it."""
    found = {}
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        pattern = r'source=source\("(\w+\.py)"\).*?conda:\s+"\.\./\.\./envs/(\w+)\.yaml"'
        found |= dict(re.findall(pattern, path.read_text(), flags=re.S))
    return found


def with_dependencies(names: set[str]) -> set[str]:
    """Return distributions with everything that they need."""
    found: set[str] = set()
    waiting = {name.lower().replace("_", "-") for name in names}
    while waiting:
        name = waiting.pop()
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.add(requirement.name.lower().replace("_", "-"))
        waiting -= found
    return found


def make_environment(folder: Path, packages: set[str]) -> Path:
    """Make a virtual environment that holds links to these distributions only."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", query], capture_output=True, text=True, check=True)
    target = Path(done.stdout.strip())
    for name in packages:
        distribution = importlib.metadata.distribution(name)
        root = Path(str(distribution.locate_file("")))
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (target / top).exists():
                (target / top).symlink_to(root / top)
    return python


@pytest.fixture(scope="module")
def pythons(repository, tmp_path_factory):
    """The interpreter of each environment file."""
    result = {}
    for path in (repository / "envs").glob("*.yaml"):
        folder = tmp_path_factory.mktemp("environments") / path.stem
        result[path.stem] = make_environment(folder, with_dependencies(set(pinned(path))))
    return result


def test_environments_lack_what_they_do_not_name(pythons):
    for name, module in (("genome", "torch"), ("torch", "pysam"), ("report", "torch")):
        done = subprocess.run([pythons[name], "-c", f"import {module}"], capture_output=True)
        assert done.returncode != 0, f"{module} in {name}"


def test_every_script_shows_its_help(repository, pythons):
    environments = rule_environments(repository)
    assert len(environments) >= 14

    def ask(script: str) -> subprocess.CompletedProcess:
        command = [pythons[environments[script]], repository / "scripts" / script, "--help"]
        return subprocess.run(command, capture_output=True, text=True)

    with ThreadPoolExecutor(2) as pool:
        for script, done in zip(environments, pool.map(ask, environments)):
            assert done.returncode == 0, f"{script}: {done.stderr[-500:]}"
            assert "usage:" in done.stdout


class Runner:
    """Runs scripts with the interpreters of their rules' environments, in one folder."""

    def __init__(self, repository: Path, pythons: dict[str, Path], folder: Path):
        self.repository, self.pythons, self.folder = repository, pythons, folder
        self.environments = rule_environments(repository)
        self.done: set[str] = set()

    def __call__(self, script: str, *arguments: object) -> None:
        """Run a script; it must succeed."""
        command = [self.pythons[self.environments[script]], self.repository / "scripts" / script]
        done = subprocess.run(
            [str(item) for item in [*command, *arguments]],
            capture_output=True, text=True, cwd=self.folder,
            env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder)},
        )  # fmt: skip
        assert done.returncode == 0, f"{script}: {done.stderr[-1000:]}"
        self.done.add(script)


def write_wheel(folder: Path) -> str:
    """Write a package with a data file; return its digest."""
    path = folder / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("thing/data/toy.fa", ">unused\nACGT\n")
        wheel.writestr("thing-1.0.dist-info/METADATA", "Name: thing\nVersion: 1.0\n")
        wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_inputs(folder: Path) -> None:
    """Write a planted genome as FASTA, its sites as BED, and how to split it."""
    planted = write_planted_genome(folder / "planted")
    codes, contigs = np.load(planted.folder / "codes.npy"), ("chr1", "chr2")
    first = 120_000
    texts = ["".join(np.array(list("ACGTN"))[part]) for part in (codes[:first], codes[first:])]
    fasta = "".join(f">{name}\n{text}\n" for name, text in zip(contigs, texts))
    (folder / "toy.fa").write_text(fasta)
    sites = pd.read_parquet(planted.sites).assign(score=0)
    columns = ["contig", "start", "end", "class", "score", "strand"]
    sites[columns].to_csv(folder / "sites.bed", sep="\t", header=False, index=False)
    lists = {}
    for row in pd.read_csv(planted.split, sep="\t").itertuples():
        lists[row.part] = [f"{row.contig}:{row.start}-{row.end}"]
    (folder / "split.json").write_text(json.dumps({"contigs": lists}))


def documented_tables(folder: Path) -> dict[str, Path]:
    """Return the tables of the small run, by the paths that docs/file_formats.md names them by."""
    evaluation, scan = "{screen}/evaluation/{genome}", "{screen}/scan/{genome}"
    explain, written = "{screen}/explain/{genome}", {}
    groups = {
        evaluation: ("evaluation", "metrics.tsv promises.tsv calls.parquet curves.parquet "
                     "reliability.parquet draws.parquet"),
        scan: ("scan", "candidates.parquet intervals.tsv blocks.tsv"),
        "{screen}/model": ("attending", "history.tsv score_counts.parquet"),
        "genomes/{genome}": ("toy", "contigs.tsv softmask.parquet"),
        explain: ("explain", "sites.tsv"),
        f"{explain}/motifs": ("motifs", "motifs.tsv matches.tsv hits.tsv"),
        f"{explain}/interventions": (
            "interventions", "positions.tsv marginal.tsv copies.tsv pairs.tsv sites.tsv"
        ),
        f"{explain}/probes": ("probes", "probes.tsv interventions.tsv similarity.tsv"),
        f"{explain}/attention": ("attention", "sites.tsv heads.tsv"),
        "{screen}/designs/{name}": ("designs", "designs.tsv trail.tsv"),
        "pretraining/{name}": ("trunk", "perplexity.tsv"),
    }  # fmt: skip
    for path, (here, names) in groups.items():
        written |= {f"{path}/{name}": folder / here / name for name in names.split()}
    written["comparison.tsv"] = folder / "comparison.tsv"
    single = {
        "sites/{genome}.parquet": "s.parquet",
        "sites/{genome}.intervals.parquet": "i.parquet",
        "split/{genome}.tsv": "split.tsv",
        "leakage/{genome}.parquet": "l.parquet",
        "windows/augmented.parquet": "a.parquet",
        "forgetting/matrix.tsv": "matrix.tsv",
        "forgetting/summary.tsv": "kept.tsv",
    }
    return written | {f"{{screen}}/{path}": folder / name for path, name in single.items()}


@pytest.mark.timeout(1200)
def test_a_small_run_of_every_script(repository, pythons, tmp_path, monkeypatch):
    """From a package and a FASTA to the report, each script in its own environment."""
    run = Runner(repository, pythons, tmp_path)
    write_certificate(tmp_path)
    trust(tmp_path, monkeypatch)
    with serving(tmp_path) as address:
        run("fetch_file.py", "--url", f"{address}/whole", "--sha256", DIGEST,
            "--output", "fetched.fa")  # fmt: skip
    run("fetch_package.py", "--package", "thing", "--version", "1.0",
        "--sha256", write_wheel(tmp_path), "--output", "fetched.whl")  # fmt: skip
    run("unpack_file.py", "--wheel", "fetched.whl", "--member", "toy.fa", "--output", "u.fa")
    write_inputs(tmp_path)
    classes = '{"donor": {"stranded": true}, "acceptor": {"stranded": true}}'
    labels = ("--classes", classes, "--labels", "exclusive")
    track = {"track": "known", "file": "sites.bed", "role": "site", "class": "column:4"}
    run("encode_genome.py", "--genome", "toy", "--fasta", "toy.fa", "--codes", "toy/codes.npy",
        "--contigs", "toy/contigs.tsv", "--softmask", "toy/softmask.parquet",
        "--summary", "toy/summary.json")  # fmt: skip
    run("encode_signal.py", "--genome", "toy", "--genome-folder", "toy", "--track", "known",
        "--file", "sites.bed", "--values", "toy/known.npy",
        "--summary", "toy/known.json")  # fmt: skip
    run("extract_sites.py", "--genome", "toy", "--genome-folder", "toy", *labels,
        "--tracks", json.dumps([track]), "--sites", "s.parquet", "--intervals", "i.parquet",
        "--summary", "s.json")  # fmt: skip
    run("split_genome.py", "--genome", "toy", "--genome-folder", "toy", "--settings", "split.json",
        "--sites", "s.parquet", "--output", "split.tsv", "--summary", "split.summary")  # fmt: skip
    data = ("--genome", "toy=toy", "--sites", "toy=s.parquet", "--intervals", "toy=i.parquet")
    data += ("--split", "toy=split.tsv")
    run("sample_windows.py", *data, "--resolution", "1", "--output", "w.parquet",
        "--settings", '{"length": 1000, "windows": 20}', "--summary", "w.json")  # fmt: skip
    run("augment_windows.py", "--windows", "w.parquet", "--stranded", "true",
        "--output", "a.parquet", "--summary", "a.json")  # fmt: skip
    run("train_model.py", *data, *labels, "--windows", "a.parquet", "--output-dir", "net",
        "--model", '{"preset": "dilated", "channels": 4}', "--device", "cpu",
        "--training", '{"steps": 4, "batch": 4, "validations": 1}')  # fmt: skip
    run("pretrain_model.py", "--genome", "toy=toy", "--split", '{"toy": {"held_out": ["chr2"]}}',
        "--model", '{"preset": "dilated", "channels": 4}', "--training",
        '{"steps": 2, "batch": 4, "length": 500, "validations": 1, "two_sided": 2}',
        "--device", "cpu", "--output-dir", "trunk")  # fmt: skip
    run("harvest_negatives.py", "--model", "net", *data, "--classes", classes, "--device", "cpu",
        "--settings", '{"most": 20}', "--output", "n.parquet", "--summary", "n.json")  # fmt: skip
    sources = '{"length": 1000, "windows": 20, "sources": {"uniform": 0.5, "hard": 0.5}}'
    run("sample_windows.py", *data, "--resolution", "1", "--output", "w1.parquet", "--settings",
        sources, "--negatives", "n.parquet", "--round", "1", "--summary", "w1.json")  # fmt: skip
    run("train_model.py", *data, *labels, "--windows", "w1.parquet", "--output-dir", "net1",
        "--model", '{"preset": "dilated", "channels": 4}', "--device", "cpu", "--seed", "1",
        "--training", '{"steps": 1, "batch": 4}', "--start-from", "net")  # fmt: skip
    run("estimate_fisher.py", "--model", "net", *data, "--windows", "a.parquet", "--device", "cpu",
        "--settings", '{"positions": 5, "windows": 2}',
        "--output", "net/fisher.safetensors")  # fmt: skip
    run("adapt_model.py", "--model", "net", *data, *labels, "--windows", "a.parquet",
        "--settings", '{"method": "ewc", "lambda": 1}', "--device", "cpu",
        "--training", '{"steps": 1, "batch": 4}', "--output-dir", "adapted")  # fmt: skip
    run("combine_seeds.py", "--member", "net", "--member", "net1", "--output-dir", "mean")
    safetensors.torch.save_file(motif_weights(), tmp_path / "own.safetensors")
    run("import_model.py", *labels, "--network-code", f"{RECIPE}:SmallNetwork", "--weights",
        "own.safetensors", "--model", json.dumps({
            "preset": "custom", "arguments": {"channels": 4}, "context": CONTEXT,
            "outputs": OUTPUTS,
        }), "--output-dir", "own")  # fmt: skip
    run("fit_baseline.py", "--method", "pwm", *data, *labels, "--resolution", "1",
        "--output-dir", "pwm")  # fmt: skip
    run("calibrate_model.py", "--model", "pwm", *data, *labels, "--device", "cpu",
        "--settings", '{"bootstrap": 100}', "--output-dir", "model")  # fmt: skip
    scanned = ("--model", "model", "--genome-folder", "toy", "--split", "split.tsv")
    scanned += ("--parts", "test")
    run("scan_genome.py", *scanned, "--keep-scores", "--device", "cpu", "--output-dir", "shard")
    run("merge_scan.py", *scanned, "--shard", "shard", "--output-dir", "scan")
    run("audit_leakage.py", "--train", "toy=toy", "--train-split", "toy=split.tsv",
        "--genome", "toy", "--genome-folder", "toy", "--split", "split.tsv", "--sites", "s.parquet",
        "--output", "l.parquet", "--summary", "l.json")  # fmt: skip
    run("evaluate_scan.py", "--genome", "toy", "--genome-folder", "toy", "--sites", "s.parquet",
        "--intervals", "i.parquet", "--leakage", "l.parquet", "--scan", "pwm=scan",
        "--model", "pwm=model", "--settings", '{"bootstrap": 100}',
        "--output-dir", "evaluation")  # fmt: skip
    run("attribute_sites.py", "--model", "model", "--genome-folder", "toy", "--scan", "scan",
        "--most", "2", "--steps", "2", "--references", "1", "--device", "cpu",
        "--output-dir", "explain")  # fmt: skip
    run("discover_motifs.py", "--model", "model", "--attributions", "explain",
        "--shuffles", "1", "--output-dir", "motifs")  # fmt: skip
    run("probe_model.py", "--model", "net", *data, "--device", "cpu", "--positions", "200",
        "--properties", "gc", "--controls", "1", "--bases", "2000", "--random-removals", "1",
        "--repeats", "20", "--output-dir", "probes")  # fmt: skip
    run("track_contributions.py", "--genome-folder", "toy", "--attributions", "explain",
        "--output-dir", "contributions")  # fmt: skip
    row = " ".join(["0.97", "0.01", "0.01", "0.01"])
    head = "MEME version 4\n\nMOTIF a\nletter-probability matrix: alength= 4 w= 2\n"
    (tmp_path / "a.meme").write_text(f"{head}{row}\n{row}\n")
    run("intervene_motifs.py", "--model", "model", "--genome-folder", "toy", "--motifs", "a.meme",
        "--sites", "explain/sites.tsv", "--flank", "2", "--background-count", "2",
        "--device", "cpu", "--output-dir", "interventions")  # fmt: skip
    (tmp_path / "places.bed").write_text("chr1\t500\t501\tp\t0\t+\n")
    run("design_sequences.py", "--model", "model", "--genome-folder", "toy", "--sites",
        "places.bed", "--target", '{"donor": "high"}', "--edits", "1", "--flank", "2",
        "--device", "cpu", "--output-dir", "designs")  # fmt: skip
    (tmp_path / "few.bed").write_text("chr1\t900\t901\tdonor\t0\t+\n")
    run("train_model.py", *data, *labels, "--windows", "a.parquet", "--output-dir", "attends",
        "--model", json.dumps(ATTENDING),
        "--device", "cpu", "--training", '{"steps": 1, "batch": 4}')  # fmt: skip
    run("calibrate_model.py", "--model", "attends", *data, *labels, "--device", "cpu",
        "--settings", '{"bootstrap": 100}', "--output-dir", "attending")  # fmt: skip
    run("attribute_sites.py", "--model", "attending", "--genome-folder", "toy", "--sites",
        "few.bed", "--steps", "2", "--references", "1", "--device", "cpu",
        "--output-dir", "attended")  # fmt: skip
    run("measure_attention.py", "--model", "attending", "--genome-folder", "toy",
        "--attributions", "attended", "--device", "cpu", "--output-dir", "attention")  # fmt: skip
    run("estimate_transfer.py", "--model", "model", "--genome-folder", "toy", "--scan", "scan",
        "--train", "toy=toy", "--train-split", "toy=split.tsv", "--bootstrap", "20",
        "--output", "transfer.json")  # fmt: skip
    bases = np.array(list("ACGTN"))[np.load(tmp_path / "planted" / "genome" / "codes.npy")]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    row = f"chr1\t500\t.\t{bases[499]}\t{bases[499]}GT\t.\t.\t."
    (tmp_path / "in.vcf").write_text(f"##fileformat=VCFv4.2\n{columns}\n{row}\n")
    run("score_variants.py", "--model", "model", "--genome-folder", "toy", "--variants", "in.vcf",
        "--device", "cpu", "--output", "scored.vcf", "--summary", "v.json")  # fmt: skip
    run("index_variants.py", "--variants", "scored.vcf", "--genome-folder", "toy",
        "--output", "scored.vcf.gz")  # fmt: skip
    stage = {
        "method": "", "before": "", "genome": "toy", "classes": ["donor"], "settings": {},
        "evaluation": "evaluations",
    }  # fmt: skip
    (tmp_path / "evaluations").mkdir()
    (tmp_path / "evaluations" / "toy").symlink_to(tmp_path / "evaluation")
    stages = [stage | {"key": "a", "name": "a"}, stage | {"key": "b", "name": "b", "before": "a"}]
    run("measure_forgetting.py", "--stages", json.dumps(stages), "--matrix", "matrix.tsv",
        "--summary", "kept.tsv")  # fmt: skip
    # A report wants a network's history, which a baseline has not.
    shutil.copy(tmp_path / "net" / "history.tsv", tmp_path / "model" / "history.tsv")
    run("render_report.py", "--screen", "toy", "--settings", "{}", "--model", "model",
        "--genome-folder", "toy=toy", "--genome-summary", "toy=toy/summary.json",
        "--split", "toy=split.tsv", "--scan", "toy=scan", "--evaluation", "toy=evaluation",
        "--transfer", "toy=transfer.json", "--attributions", "toy=explain",
        "--motifs", "toy=motifs", "--interventions", "toy=interventions",
        "--attention", "toy=attention", "--probes", "toy=probes",
        "--windows-summary", "w.json", "--output", "report.html", "--figures", "figures",
        )  # fmt: skip
    run("view_calls.py", "--genome", "toy", "--genome-folder", "toy", "--model", "model",
        "--scan", "scan", "--sites", "s.parquet", "--evaluation", "evaluation", "--most", "1",
        "--output", "view.html")  # fmt: skip
    run("compare_screens.py", "--metrics", "toy/toy=evaluation/metrics.tsv",
        "--output", "comparison.html", "--table", "comparison.tsv")  # fmt: skip
    run("record_provenance.py", "--screen", "toy", "--settings", "{}", "--model", "model",
        "--fasta", "toy=toy.fa", "--genome-summary", "toy=toy/summary.json",
        "--sites-summary", "toy=s.json", "--scan", "toy=scan",
        "--output", "provenance.json")  # fmt: skip
    assert run.done == set(run.environments)
    assert "<svg" in (tmp_path / "report.html").read_text()
    page = repository / "docs" / "file_formats.md"
    assert undocumented(documented_tables(tmp_path), page) == []


@pytest.mark.parametrize("name", ["genome", "torch", "report", "explain", "view"])
def test_pins_equal_the_requirements(repository, name):
    path = repository / "envs" / f"{name}.yaml"
    channels = yaml.safe_load(path.read_text())["channels"]
    assert channels == ["conda-forge", "bioconda", "nodefaults"]
    pins = {}
    for line in (repository / "requirements.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            requirement = Requirement(line)
            pins[requirement.name.lower()] = str(requirement.specifier).removeprefix("==")
    found = {package: version for package, version in pinned(path).items() if version}
    assert found == {package: pins[package] for package in found}
    assert len(found) >= 5
