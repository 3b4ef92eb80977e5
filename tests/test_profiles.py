"""What the shipped profiles say, read by Snakemake itself, without the plugins that they are for.

Whether a scheduler grants it is tested in tests/slurm.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from test_workflow import copy_checkout, snakemake
from toy_workflow import write_toy

NETWORK_RULES = {"train_model", "calibrate_model", "scan_genome", "harvest_negatives"}


def read_profile(repository: Path, name: str) -> dict:
    """Read a profile as Snakemake does: values by option."""
    with (repository / "profiles" / name / "config.yaml").open() as stream:
        return ProfileConfigFileParser().parse(stream)


def without_plugin(repository: Path, folder: Path, name: str, edit: tuple[str, str]) -> Path:
    """Copy a profile without what only its plugins understand, edited; return the copy."""
    path = repository / "profiles" / name / "config.yaml"
    text = path.read_text()
    assert text.count(edit[0]) >= 1
    profile = yaml.safe_load(text.replace(*edit))
    foreign = ("executor", "slurm-", "kubernetes-", "default-storage-", "directory")
    kept = {key: value for key, value in profile.items() if not key.startswith(foreign)}
    (folder / name).mkdir()
    (folder / name / "config.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
    return folder / name


@pytest.fixture(scope="module")
def toy(repository, tmp_path_factory) -> Path:
    """A toy configuration with every rule, beside a workflow that prints resources."""
    folder = tmp_path_factory.mktemp("profiles")
    checkout = copy_checkout(repository, folder / "checkout")
    # Snakemake prints the resources of rules that have no message.
    for path in (checkout / "workflow" / "rules").glob("*.smk"):
        path.write_text(re.sub(r'\n +message:\n(?: +".*"\n)+', "\n", path.read_text()))
    write_toy(
        folder, seeds=[0, 1], hard_negatives={"rounds": 1, "share": 0.2}, baselines={"pwm": {}}
    )
    return folder


def resources(
    folder: Path, *arguments: str, configuration: str = "config.yaml"
) -> dict[str, set[str]]:
    """Return the resources of the planned jobs, by rule, such as `mem_mb=4000`."""
    options = ("--configfile", configuration, "--dry-run", *arguments)
    plan = snakemake(folder / "checkout", folder, *options)
    assert plan.returncode == 0, plan.stderr[-4000:]
    found: dict[str, set[str]] = {}
    rule = ""
    for line in plan.stdout.splitlines():
        if named := re.match(r" *(?:local)?rule (\w+):", line):
            rule = named[1]
        if (words := line.strip()).startswith("resources: "):
            found[rule] = set(words.removeprefix("resources: ").split(", "))
    return found


def needs(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Keep what the rules declare themselves."""
    names = ("mem_mb=", "runtime=", "gpu=", "gres=", "gpu_model=")
    return {rule: {one for one in items if one.startswith(names)} for rule, items in found.items()}


NO_EDIT = ("retries: 1", "retries: 1")


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("slurm", "--workflow-profile"),
        ("slurm", "--profile"),
        ("kubernetes", "--workflow-profile"),
    ],
)
def test_first_attempts_ask_for_what_the_rules_say(repository, toy, tmp_path, name, option):
    profile = without_plugin(repository, tmp_path, name, NO_EDIT)
    device = ("--config", "device=auto")
    plain = needs(resources(toy, *device))
    asked = needs(resources(toy, option, str(profile), *device))
    plain.pop("all"), asked.pop("all")
    assert asked == plain
    assert {rule for rule, items in plain.items() if "gpu=1" in items} == NETWORK_RULES
    assert all(any(one.startswith("runtime=") for one in items) for items in plain.values())


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("device", "style", "expected"),
    [
        ("cpu", "{}", set()),
        ("cuda:0,1", "{}", {"gpu=2"}),
        ("auto", "{gpu_model: a100}", {"gpu=1", "gpu_model=a100"}),
        ("auto", '{gpu: 0, gres: "gpu:1"}', {"gpu=0", "gres=gpu:1"}),
    ],
)
def test_one_line_says_how_gpus_are_asked_for(repository, toy, tmp_path, device, style, expected):
    profile = without_plugin(repository, tmp_path, "slurm", ("&gpu {}", f"&gpu {style}"))
    found = resources(toy, "--workflow-profile", str(profile), "--config", f"device={device}")
    for rule, items in found.items():
        gpus = {one for one in items if one.startswith("g")}
        assert gpus == (expected if rule in NETWORK_RULES else set()), rule


@pytest.mark.workflow
def test_disk_of_a_genome_follows_its_file(toy):
    size = (toy / "toy.fa").stat().st_size
    assert f"disk_mb={500 + round(size / 1e6)}" in resources(toy)["encode_genome"]


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_profiles_name_rules_that_exist(repository, toy, name):
    # A misspelt name would be ignored without a word.
    listed = snakemake(toy / "checkout", toy, "--configfile", "config.yaml", "--list-rules")
    profile = yaml.safe_load((repository / "profiles" / name / "config.yaml").read_text())
    named = set(profile["set-resources"]) | set(profile.get("groups", {}))
    assert named <= set(listed.stdout.split())


def test_memory_grows_with_attempts_except_in_training(repository):
    """What grows when a job is really tried again is tested in tests/slurm."""
    profile = yaml.safe_load((repository / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["retries"] == 1
    growing = {r for r, one in profile["set-resources"].items() if "attempt" in str(one)}
    others = {"adapt_model", "estimate_fisher", "pretrain_model"}
    others |= {"attribute_sites", "measure_attention", "probe_model", "score_variants"}
    others |= {"intervene_motifs", "design_sequences"}
    assert set(profile["set-resources"]) - growing == NETWORK_RULES | others
    for file, rule in (
        *(("train", "train_model"), ("stages", "adapt_model")),
        ("pretrain", "pretrain_model"),
    ):
        rules = (repository / "workflow" / "rules" / f"{file}.smk").read_text()
        assert "retries: 0" in rules.split(f"rule {rule}:")[1].split("rule ")[0]


@pytest.mark.workflow
def test_memory_of_scans_follows_the_configuration(toy):
    config = yaml.safe_load((toy / "config.yaml").read_text())
    config["screens"]["toy"]["scan"] = {"memory_gb": 12.5}
    (toy / "large.yaml").write_text(yaml.safe_dump(config))
    found = resources(toy, configuration="large.yaml")
    grown = {rule for rule, items in found.items() if "mem_mb=13500" in items}
    assert grown == NETWORK_RULES - {"train_model"}


def test_slurm_profile_is_read_by_snakemake(repository):
    read = read_profile(repository, "slurm")
    assert read["executor"] == "slurm" and read["slurm-status-command"] == "squeue"
    assert Path(read["slurm-partition-config"]).samefile(
        repository / "profiles" / "slurm" / "partitions.yaml"
    )
    assert "encode_genome:mem_mb=1000 * attempt" in read["set-resources"]
    assert "extract_sites=sites" in read["groups"]


def test_default_profile_sets_no_resources(repository):
    # It is also read under --profile: a limit there would make jobs on GPUs wait for each other.
    assert not {"resources", "set-resources", "default-resources", "jobs", "cores"} & set(
        read_profile(repository, "default")
    )


def test_kubernetes_profile_says_that_nobody_has_run_it(repository):
    path = repository / "profiles" / "kubernetes" / "config.yaml"
    assert path.read_text().startswith("# UNTESTED")
    read = read_profile(repository, "kubernetes")
    assert read["kubernetes-persistent-volumes"] == ["genomesieve:/data"]
    assert read["default-storage-provider"] == "fs"
