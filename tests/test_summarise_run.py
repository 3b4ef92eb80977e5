import json
import subprocess
import sys

import pandas as pd
import pytest

import summarise_run

METRICS = ["genome", "model", "class", "universe", "unit", "metric", "value", "low", "high"]


@pytest.fixture
def results(tmp_path):
    """A finished screen: one genome with known sites, one without."""
    folder = tmp_path / "results" / "splice"
    thresholds = [{"precision_target": 0.9}, {"precision_target": 0.75}]
    model = {
        "name": "dilated",
        "parameters": 12345,
        "context": 40,
        "classes": ["donor"],
        "training": {"genomes": ["home"]},
        "calibration": {"classes": {"donor": {"thresholds": thresholds, "operating": 1}}},
    }
    write(folder / "model" / "model.json", model)
    for genome, calls in (("near", 2100), ("far", 7)):
        summary = {"genome": genome, "bases": 4_000_000, "strands": 2}
        summary["classes"] = {"donor": {"calls": calls}}
        write(folder / "scan" / genome / "summary.json", summary)
    mine = {"genome": "home", "bases": 2_000_000, "strands": 1, "classes": {"donor": {"calls": 5}}}
    write(folder / "scan" / "home" / "summary.json", mine)
    write_evaluation(folder / "evaluation" / "near")
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_evaluation(folder, **changes):
    """Write promises and metrics of one genome."""
    folder.mkdir(parents=True, exist_ok=True)
    row = {"genome": "near", "model": "dilated", "class": "donor", "precision_target": 0.75}
    row |= {"reached": True, "promised": 0.78, "low": 0.7, "high": 0.85, "observed": 0.801}
    row |= {"calls": 2100, "within": True, "recall": 0.66} | changes
    other = row | {"precision_target": 0.9, "observed": 0.111}
    pd.DataFrame([other, row]).to_csv(folder / "promises.tsv", sep="\t", index=False)
    values = [("dilated", "test", 0.81, 0.9991), ("pwm", "test", 0.21, 0.9961)]
    values += [("dilated-pwm", "test", 0.6, 0.003), ("dilated", "test:unleaked", 0.5, 0.5)]
    values += [("dilated-kmer", "test", 0.01, 0.003)]
    rows = []
    for model, universe, precision, area in values:
        for metric, value in (("average_precision", precision), ("auroc", area)):
            ends = (value - 0.05, value + 0.05)
            rows.append(("near", model, "donor", universe, "position", metric, value, *ends))
    pd.DataFrame(rows, columns=METRICS).to_csv(folder / "metrics.tsv", sep="\t", index=False)


def test_says_what_was_trained_screened_promised_and_found(results, capsys):
    assert summarise_run.main(["--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "trained   dilated (12,345 parameters, context 40 bp a side) for donor on home",
        "screened  home, the genome trained on (2.0 Mb): 5 donor calls",
        "    no annotation: calls only",
        "screened  far, not trained on (4.0 Mb, both strands): 7 donor calls",
        "    no annotation: calls only",
        "screened  near, not trained on (4.0 Mb, both strands): 2,100 donor calls",
        "    donor: precision promised 0.780 (0.700-0.850; target 0.75 reached), found 0.801 "
        "(inside the interval), recall 0.660",
        "      average precision / AUROC: dilated 0.810 / 0.9991, pwm 0.210 / 0.9961",
        "      dilated beats pwm (+0.600, 95 % +0.550 to +0.650); does not differ clearly from "
        "kmer (+0.010, 95 % -0.040 to +0.060)",
        f"report    {results / 'report.html'}",
    ]


def test_broken_promises_are_said(results, capsys):
    write_evaluation(results / "evaluation" / "near", within=False, reached=False, observed=0.601)
    (results.parent / "report.zip").touch()
    assert summarise_run.main(["--results", str(results)]) == 0
    text = capsys.readouterr().out
    assert "found 0.601 (BELOW the interval)" in text and "target 0.75 NOT REACHED" in text
    assert text.endswith(f"(and {results.parent / 'report.zip'})\n")


def test_better_than_promised_is_said_too(results, capsys):
    write_evaluation(results / "evaluation" / "near", within=False, observed=0.95)
    assert summarise_run.main(["--results", str(results)]) == 0
    assert "found 0.950 (ABOVE the interval)" in capsys.readouterr().out


def test_no_calls_are_no_precision(results, capsys):
    write_evaluation(results / "evaluation" / "near", calls=0, observed=None, within=False)
    assert summarise_run.main(["--results", str(results)]) == 0
    text = capsys.readouterr().out
    assert "but there are no calls" in text and "nan" not in text


def test_genomes_follow_the_configuration(results, capsys):
    config = results.parent / "config.yaml"
    config.write_text("screens: {splice: {scan_genomes: [near, home, far]}}")
    assert summarise_run.main(["--results", str(results), "--config", str(config)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("screened")]
    assert [line.split()[1] for line in lines] == ["near,", "home,", "far,"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("screens: {other: {}}", "for screen splice ('splice')"),
        ("a: [", "expected the node content"),
    ],
)
def test_configuration_that_does_not_fit_is_named(results, capsys, text, message):
    config = results.parent / "config.yaml"
    if text is not None:
        config.write_text(text)
    assert summarise_run.main(["--results", str(results), "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert "config.yaml" in error and message in error


def test_unfinished_run_is_named(tmp_path, capsys):
    assert summarise_run.main(["--results", str(tmp_path)]) == 1
    assert "model.json does not exist" in capsys.readouterr().err


def test_script_runs_by_itself(repository):
    script = repository / "scripts" / "summarise_run.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--results" in done.stdout
