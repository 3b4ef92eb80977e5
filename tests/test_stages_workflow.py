"""Genomes that are learned one after the other, through the workflow."""

import json
import re

import pandas as pd
import pytest
import yaml

from toy_workflow import planned_jobs, snakemake, write_toy


def write_stages(folder, **stages):
    """Write a screen of two stages on two genomes of one sequence; return its path."""
    path = write_toy(folder)
    config = yaml.safe_load(path.read_text())
    names = ("toy", "other", "third")
    rows = "".join(f"{name}\ttoy.fa\n" for name in names)
    (folder / "genomes.tsv").write_text(f"genome\tfasta\n{rows}")
    rows = "".join(f"known\t{name}\tsites.bed\tsite\tcolumn:4\n" for name in names)
    (folder / "tracks.tsv").write_text(f"track\tgenome\tfile\trole\tclass\n{rows}")
    screen = config["screens"]["toy"]
    del screen["train_genomes"]
    short = {"steps": 6, "validations": 1}
    screen["stages"] = {
        "first": {"genomes": ["toy"]},
        "second": {"genomes": ["other"], "method": "ewc", "lambda": 1, "training": short},
    } | stages
    learned = [name for stage in screen["stages"].values() for name in stage["genomes"]]
    screen["scan_genomes"] = learned
    screen["split"] = dict.fromkeys(learned, screen["split"]["toy"])
    screen["fisher"] = {"positions": 20, "windows": 10}
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.timeout(600)
def test_a_stage_more_trains_that_stage_alone(repository, tmp_path):
    run = ("--configfile", str(write_stages(tmp_path)), "--cores", "2")
    done = snakemake(repository, tmp_path, *run)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    results = tmp_path / "results" / "toy"
    # The short names are those of the last stage, which goes on with what the next one needs.
    lineage = json.loads((results / "model" / "model.json").read_text())["training"]["lineage"]
    assert [stage["genomes"] for stage in lineage] == [["toy"], ["other"]]
    assert (results / "model" / "fisher.safetensors").is_file()
    for genome in ("toy", "other"):
        assert (results / "stages/first/scan" / genome / "calls.bed.gz").is_file()
    matrix = pd.read_csv(results / "forgetting" / "matrix.tsv", sep="\t")
    cells = matrix[matrix["class"] == "mean"].set_index(["after", "task"])["average_precision"]
    # What stands in the matrix is what the evaluations found.
    for after, folder in (("first", results / "stages" / "first"), ("second", results)):
        for task, genome in (("first", "toy"), ("second", "other")):
            metrics = pd.read_csv(folder / "evaluation" / genome / "metrics.tsv", sep="\t")
            mine = metrics[
                (metrics["metric"] == "average_precision") & (metrics["universe"] == "test")
                & (metrics["model"] == "dilated")
            ]  # fmt: skip
            assert cells[after, task] == pytest.approx(mine["value"].mean())
    assert "One genome after the other" in (results / "report.html").read_text()
    longer = write_stages(tmp_path, third={"genomes": ["third"], "training": {"steps": 6}})
    plan = snakemake(repository, tmp_path, "--configfile", str(longer), "--dry-run")
    jobs = planned_jobs(plan)
    assert jobs["adapt_model"] == jobs["sample_windows"] == jobs["augment_windows"] == 1
    assert "train_model" not in jobs


def test_other_methods_share_windows_and_the_first_stage(repository, tmp_path):
    path = write_stages(tmp_path)
    config = yaml.safe_load(path.read_text())
    methods = {"naive": {"method": "finetune"}, "again": {"method": "replay"}}
    config["screens"]["toy"] |= {"stage_methods": methods, "seeds": [0, 1]}
    path.write_text(yaml.safe_dump(config))
    plan = snakemake(
        repository, tmp_path, "--configfile", str(path), "--dry-run", "--printshellcmds"
    )
    jobs = planned_jobs(plan)
    assert (jobs["train_model"], jobs["adapt_model"], jobs["sample_windows"]) == (2, 6, 2)
    # Of each seed after the first stage, and of what the next lab may go on with.
    assert jobs["estimate_fisher"] == 4
    every = re.findall(r"^Shell command: (python .*)$", plan.stdout, re.MULTILINE)
    commands = [line for line in every if "/adapt_model.py" in line]
    assert len(commands) == 6
    old = [line for line in commands if "--old-windows" in line]
    assert len(old) == 2 and all('"method": "replay"' in line for line in old)
    # Without old windows no old genome is named: its data may be gone.
    assert all("toy=results" not in line for line in commands if line not in old)
    for seed in (0, 1):
        start = f"--model results/toy/stages/first/members/seed{seed}/model"
        assert sum(start in line for line in commands) == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"train_genomes": ["toy"]}, "has both train_genomes and stages"),
        ({"scan_genomes": ["toy"]}, "stages.second is measured on other; expected one of"),
        ({"hard_negatives": {"rounds": 1}}, "hard_negatives.rounds is 1 and there are stages"),
        ({"stage_methods": {"x": {"method": "ewx"}}}, "did you mean 'ewc'"),
    ],
)
def test_mistakes_stop_before_anything_runs(repository, tmp_path, change, message):
    path = write_stages(tmp_path)
    config = yaml.safe_load(path.read_text())
    config["screens"]["toy"] |= change
    path.write_text(yaml.safe_dump(config))
    plan = snakemake(repository, tmp_path, "--configfile", str(path), "--dry-run")
    assert plan.returncode == 1
    assert message in plan.stdout + plan.stderr
