"""Every script runs where only the packages of its rule's environment are installed.

Conda itself is not called: a virtual environment is made that holds the pinned packages of an
environment file, with what they depend on, and nothing else.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import venv
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from planted_genome import write_planted_genome

PIP_NAMES = {"pytorch": "torch"}
NOT_PYTHON = {"python", "bedtools"}


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
        names = [
            item.split("=")[0].strip() for item in yaml.safe_load(path.read_text())["dependencies"]
        ]
        packages = {PIP_NAMES.get(name, name) for name in names if name not in NOT_PYTHON}
        folder = tmp_path_factory.mktemp("environments") / path.stem
        result[path.stem] = make_environment(folder, with_dependencies(packages))
    return result


def test_environments_lack_what_they_do_not_name(pythons):
    for name, module in (("genome", "torch"), ("torch", "pysam"), ("report", "torch")):
        done = subprocess.run([pythons[name], "-c", f"import {module}"], capture_output=True)
        assert done.returncode != 0, f"{module} in {name}"


def test_every_script_shows_its_help(repository, pythons):
    environments = rule_environments(repository)
    assert len(environments) >= 14
    for script, name in environments.items():
        command = [pythons[name], repository / "scripts" / script, "--help"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{script} in {name}: {done.stderr[-500:]}"


def run(python, repository, script, *arguments):
    command = [python, repository / "scripts" / script, *arguments]
    done = subprocess.run([str(item) for item in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]


def test_small_runs_of_both_halves(repository, pythons, tmp_path):
    (tmp_path / "g.fa").write_text(">a\nACGT\n")
    out = {key: tmp_path / key for key in ("codes.npy", "contigs.tsv", "s.parquet", "s.json")}
    options = dict(zip(("--codes", "--contigs", "--softmask", "--summary"), out.values()))
    pairs = [item for pair in options.items() for item in pair]
    fasta = ("--genome", "g", "--fasta", tmp_path / "g.fa")
    run(pythons["genome"], repository, "encode_genome.py", *fasta, *pairs)
    planted = write_planted_genome(tmp_path / "planted", length=30_000)
    classes = '{"donor": {"stranded": true}, "acceptor": {"stranded": true}}'
    training = '{"steps": 4, "batch": 4, "validations": 1}'
    run(
        pythons["torch"],
        repository,
        "train_model.py",
        *planted.arguments(),
        *("--windows", planted.windows, "--classes", classes, "--labels", "exclusive"),
        *("--model", '{"preset": "dilated", "channels": 4}', "--training", training),
        *("--output-dir", tmp_path / "model"),
    )
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("name", ["genome", "torch", "report"])
def test_pins_equal_the_requirements(repository, name):
    content = yaml.safe_load((repository / "envs" / f"{name}.yaml").read_text())
    assert content["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    pins = {}
    for line in (repository / "requirements.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            requirement = Requirement(line)
            pins[requirement.name.lower()] = str(requirement.specifier).removeprefix("==")
    checked = 0
    for item in content["dependencies"]:
        package, _, version = (part.strip() for part in item.partition("="))
        if version and package not in NOT_PYTHON:
            assert pins[PIP_NAMES.get(package, package)] == version, package
            checked += 1
    assert checked >= 5
