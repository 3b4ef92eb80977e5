"""What a run ends with: the table of what was found, and the decisive line of what failed."""

import json

import pytest

from genomesieve.run_outcome import (
    HEADER,
    decisive_line,
    failure_text,
    list_failures,
    outcome_text,
)

PROMISES = "genome model class precision_target reached promised low high observed within recall"


def write_scan(folder, genome, classes, promises=()):
    scan = folder / "scan" / genome
    scan.mkdir(parents=True)
    (scan / "summary.json").write_text(json.dumps({"classes": classes}))
    if promises:
        evaluation = folder / "evaluation" / genome
        evaluation.mkdir(parents=True)
        rows = [PROMISES.split(), *promises]
        text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
        (evaluation / "promises.tsv").write_text(text)


@pytest.fixture
def results(tmp_path):
    """Two genomes of a screen: one with known sites, one without."""
    folder = tmp_path / "results" / "splice"
    item = {"calls": 2100, "precision_target": 0.75, "target_reached": True}
    home = ("home", "dilated", "donor")
    write_scan(
        folder, "home", {"donor": item},
        [
            (*home, 0.9, True, 0.92, 0.9, 0.95, 0.5, False, 0.1),
            (*home, 0.75, True, 0.78, 0.7, 0.85, 0.801, True, 0.664),
            ("home", "pwm", "donor", 0.75, True, 0.1, 0.0, 0.2, 0.1, True, 0.1),
        ],
    )  # fmt: skip
    write_scan(folder, "far", {"donor": item | {"calls": 7}})
    return folder


def test_the_table_says_calls_and_precision_promised_and_found(results):
    (results / "report.html").touch()
    lines = outcome_text(["splice", "planned"], 754, results.parent).splitlines()
    assert lines[1].split() == list(HEADER)
    assert lines[2].split() == "splice far donor 7 0.75 asked no labels -".split()
    assert lines[3].split() == "splice home donor 2,100 0.78 (0.70-0.85) 0.80 0.66".split()
    assert lines[4] == "time    13 min"
    assert lines[5] == f"report  {results / 'report.html'}" and len(lines) == 6


@pytest.mark.parametrize(
    ("observed", "word"), [(0.95, "0.95 (above)"), (0.3, "0.30 (below)"), ("", "no calls")]
)
def test_broken_promises_are_marked(tmp_path, observed, word):
    row = ("home", "net", "a", 0.5, True, 0.5, 0.4, 0.6, observed, False, 0.2)
    item = {"calls": 3, "precision_target": 0.5, "target_reached": True}
    write_scan(tmp_path / "s", "home", {"a": item}, [row])
    assert word in outcome_text(["s"], 1, tmp_path)


def test_nothing_scanned_is_no_row(tmp_path):
    assert outcome_text(["s"], 3, tmp_path).split() == [*HEADER, "time", "3", "s"]


def test_many_rows_are_cut(tmp_path):
    item = {"calls": 1, "precision_target": 0.5}
    write_scan(tmp_path / "s", "home", {f"c{number}": item for number in range(40)})
    text = outcome_text(["s"], 1, tmp_path)
    assert "... and 10 more rows" in text and len(text.splitlines()) == 34


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("INFO a\nerror: x is y; expected z\n", "error: x is y; expected z"),
        ("error: first\nINFO more\nerror: last\n", "error: last"),
        (
            'Traceback (most recent call last):\n  File "x.py", line 3\n'
            "torch.OutOfMemoryError: CUDA out of memory. Tried\n",
            "torch.OutOfMemoryError: CUDA out of memory. Tried",
        ),
        ("ValueError: odd\n  note\n", "ValueError: odd"),
        ("INFO a\ncp: write error: No space left on device\n",
         "cp: write error: No space left on device"),
        ("INFO a\nbash: line 1: something\n", "bash: line 1: something"),
        ("INFO a\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_decisive_line_of_a_log(text, line):
    assert decisive_line(text) == line


SNAKEMAKE_LOG = """
rule train_model:
    log: logs/good.log
Finished jobid: 1 (Rule: encode_genome)
Error in rule {rule}:
    message: None
    jobid: 9
    output: results/a
    log: {log} (check log file(s) for error details)
    shell:
        python train_model.py
        (command exited with non-zero exit code)
Logfile {log}:
========
INFO something
========
Complete log(s): x
"""


def test_failures_are_told_by_rule_log_and_decisive_line(tmp_path):
    job = tmp_path / "train.log"
    job.write_text("INFO step 3\nerror: genomes.tsv, line 2: no; expected yes\n")
    run = tmp_path / "run.log"
    text = SNAKEMAKE_LOG.format(rule="train_model", log=job)
    run.write_text(text + text)
    (failure,) = list_failures([run])
    assert (failure.rule, failure.log) == ("train_model", str(job))
    said = failure_text([run])
    assert "train_model failed" in said and str(job) in said
    assert "error: genomes.tsv, line 2: no; expected yes" in said
    assert "mend what the line names and run the same command again" in said


@pytest.mark.parametrize(
    ("last", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "make room on the disk"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "more memory"),
        ("KeyError: 'x'", "report it with the log"),
        ("interrupted (Ctrl-C)", "run the same command again: it goes on from what was finished\n"),
        ("KeyboardInterrupt", "run the same command again: it goes on from what was finished\n"),
        ("ModuleNotFoundError: No module named 'torch'", "make setup"),
    ],
)
def test_what_to_do_follows_from_the_line(tmp_path, last, advice):
    (tmp_path / "job.log").write_text(f"INFO a\n{last}\n")
    run = tmp_path / "run.log"
    run.write_text(SNAKEMAKE_LOG.format(rule="scan_genome", log=tmp_path / "job.log"))
    assert advice in failure_text([run])


def test_a_job_without_a_log_says_so(tmp_path):
    run = tmp_path / "run.log"
    run.write_text(SNAKEMAKE_LOG.format(rule="scan_genome", log=tmp_path / "missing.log"))
    said = failure_text([run])
    assert "it ended without a word" in said
    assert "run the same command again" in said and "mistake in genomesieve" not in said


def test_no_failure_is_no_text(tmp_path):
    (tmp_path / "run.log").write_text("Error: Directory cannot be locked\n")
    assert failure_text([tmp_path / "run.log"]) == ""
    assert failure_text([tmp_path / "none.log"]) == ""
