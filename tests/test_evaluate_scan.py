"""Evaluation of scans whose truth is known, against scikit-learn and plain counting."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import evaluate_scan
from genomesieve.files import write_table
from genomesieve.labels_on_bins import expand_ranges, label_bins
from genomesieve.scores import decode_scores
from synthetic_scan import write_synthetic_scan

SETTINGS = {"bootstrap": 100, "seed": 1, "precision_targets": [0.75]}
FILES = ("metrics.tsv", "curves.parquet", "reliability.parquet", "promises.tsv", "calls.parquet",
         "draws.parquet", "details.json")  # fmt: skip


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A network and a weaker baseline for two stranded classes."""
    return write_synthetic_scan(tmp_path_factory.mktemp("scan"), length=160_000)


@pytest.fixture(scope="module")
def output(scan):
    """The evaluation of that scan."""
    folder = scan.split.parent / "evaluation"
    assert evaluate_scan.main(scan.evaluation_arguments(folder, **SETTINGS)) == 0
    return folder


@pytest.fixture(scope="module")
def metrics(output) -> pd.DataFrame:
    return pd.read_csv(output / "metrics.tsv", sep="\t")


def value(metrics, model, name, metric, universe="test", column="value") -> float:
    rows = metrics[
        (metrics["model"] == model) & (metrics["class"] == name)
        & (metrics["metric"] == metric) & (metrics["universe"] == universe)
    ]  # fmt: skip
    assert len(rows) == 1
    return float(rows.iloc[0][column])


def truth(scan, index: int, strand: int, leaked: bool = True):
    """Return which bins are positive and which belong to the universe, by painting."""
    contigs = pd.read_csv(scan.genome_folder / "contigs.tsv", sep="\t", dtype={"contig": str})
    rows = {name: row for row, name in enumerate(contigs["contig"])}
    name = ["donor", "acceptor"][index]
    sites = pd.read_parquet(scan.sites).merge(pd.read_parquet(scan.leakage))
    sites = sites[(sites["class"] == name) & (sites["strand"] == "+-"[strand])]
    bins = scan.layout.bins_of(sites["contig"].map(rows).to_numpy(), sites["position"].to_numpy())
    positive, universe = np.zeros((2, scan.layout.bins), dtype=bool)
    positive[bins[bins >= 0]] = True
    universe[:] = scan.scores["dilated"][strand, index] > 0
    contig, start = scan.layout.positions_of(np.arange(scan.layout.bins))
    intervals = pd.read_parquet(scan.intervals)
    for row in intervals[intervals["class"].isin(["", name])].itertuples():
        inside = (contig == rows[row.contig]) & (start >= row.start) & (start < row.end)
        universe[inside & (~positive if row.role == "ignore" else True)] = False
    if not leaked:
        universe[bins[(bins >= 0) & sites["leaked"].to_numpy()]] = False
    return positive, universe


def pooled(scan, model: str, index: int, leaked: bool = True):
    """Return labels and scores of the universe of a class, both strands."""
    labels, scores = [], []
    for strand in range(2):
        positive, universe = truth(scan, index, strand, leaked)
        labels.append(positive[universe])
        scores.append(decode_scores(scan.scores[model][strand, index][universe]))
    return np.concatenate(labels), np.concatenate(scores)


@pytest.mark.parametrize("model", ["dilated", "pwm"])
@pytest.mark.parametrize(("index", "name"), [(0, "donor"), (1, "acceptor")])
@pytest.mark.parametrize("universe", ["test", "test:unleaked"])
def test_metrics_equal_scikit_learn_on_the_same_scores(scan, metrics, model, index, name, universe):
    labels, scores = pooled(scan, model, index, leaked=universe == "test")

    def found(metric):
        return value(metrics, model, name, metric, universe)

    expected = average_precision_score(labels, scores)
    assert found("average_precision") == pytest.approx(expected, abs=1e-9)
    assert found("auroc") == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert found("prevalence") == pytest.approx(labels.mean(), abs=1e-12)
    assert found("bins") == len(labels)


def test_every_metric_is_there_for_every_model_and_class(metrics):
    assert list(metrics.columns) == [
        "genome", "model", "class", "universe", "unit", "metric", "value", "low", "high", "batch"
    ]  # fmt: skip
    wanted = {
        "prevalence", "average_precision", "auroc", "precision_at_recall_0.1",
        "precision_at_recall_0.5", "precision_at_recall_0.9", "recall_at_precision_0.5",
        "recall_at_precision_0.75", "recall_at_precision_0.9", "top_k", "false_positives_per_mb",
        "enrichment", "expected_true_calls", "expected_false_calls", "promised_precision",
        "observed_precision", "observed_recall", "calls", "ece", "brier_skill", "ignored_share",
        "unknown_share", "sites", "bins", "blocks",
    }  # fmt: skip
    for keys, rows in metrics.groupby(["model", "class", "universe"]):
        assert not rows["metric"].duplicated().any()
        if keys[0] != "dilated-pwm":
            assert wanted <= set(rows["metric"])
    bounded = metrics.dropna(subset=["low", "high"])
    assert (bounded["low"] <= bounded["high"]).all()
    assert set(metrics["unit"]) == {"position", "call"}
    # Where sites have a strand, each strand is data of its own.
    assert not metrics["metric"].str.startswith("strand_").any()


def test_paired_differences_say_that_the_network_beats_the_baseline(output, metrics):
    details = json.loads((output / "details.json").read_text())
    for name in ("donor", "acceptor"):
        difference = value(metrics, "dilated-pwm", name, "average_precision")
        network = value(metrics, "dilated", name, "average_precision")
        baseline = value(metrics, "pwm", name, "average_precision")
        assert difference == pytest.approx(network - baseline)
        assert 0 < value(metrics, "dilated-pwm", name, "average_precision", column="low")
        assert details["beats"][name]["pwm"]["beats"] is True


def test_draws_are_those_of_the_intervals_and_paired(output, metrics):
    draws = pd.read_parquet(output / "draws.parquet").set_index(["model", "class", "draw"])
    drawn = draws["average_precision"].unstack("draw")
    for (model, name), row in drawn.iterrows():
        ends = [value(metrics, model, name, "average_precision", column=c) for c in ("low", "high")]
        np.testing.assert_allclose(np.quantile(row, [0.025, 0.975]), ends)
    network, baseline = dict.fromkeys(model for model, _ in drawn.index)
    for name in ("donor", "acceptor"):
        difference = drawn.loc[network, name] - drawn.loc[baseline, name]
        pair = f"{network}-{baseline}"
        ends = [value(metrics, pair, name, "average_precision", column=c) for c in ("low", "high")]
        np.testing.assert_allclose(np.quantile(difference, [0.025, 0.975]), ends)


def test_calls_are_counted_as_by_hand(scan, output):
    promises = pd.read_csv(output / "promises.tsv", sep="\t")
    assert len(promises) == 2 * 2 * 3
    model = json.loads((scan.models["dilated"] / "model.json").read_text())
    for index, name in enumerate(("donor", "acceptor")):
        for threshold in model["calibration"]["classes"][name]["thresholds"]:
            calls = right = sites = 0
            for strand in range(2):
                positive, universe = truth(scan, index, strand)
                codes = scan.scores["dilated"][strand, index]
                made = universe & (codes >= threshold["code"])
                calls, right = calls + made.sum(), right + (made & positive).sum()
                contigs = pd.read_parquet(scan.intervals)
                excluded = contigs[contigs["role"] == "exclude"].iloc[0]
                contig, start = scan.layout.positions_of(np.flatnonzero(positive))
                outside = (contig == 1) & (start >= excluded.start) & (start < excluded.end)
                sites += (~outside).sum()
            row = promises[
                (promises["model"] == "dilated") & (promises["class"] == name)
                & (promises["precision_target"] == threshold["precision_target"])
            ].iloc[0]  # fmt: skip
            assert (row["calls"], row["true_calls"]) == (calls, right)
            assert row["observed"] == pytest.approx(right / calls)
            assert row["recall"] == pytest.approx(right / sites)
            assert row["promised"] == threshold["precision"]
            assert row["low"] < row["promised"] < row["high"]
            assert row["within"] == (row["low"] <= row["observed"] <= row["high"])
            assert row["expected_true"] == pytest.approx(calls * threshold["precision"])
            assert row["expected_true"] + row["expected_false"] == pytest.approx(calls)


def test_promises_hold_on_scores_of_the_same_kind(output):
    promises = pd.read_csv(output / "promises.tsv", sep="\t")
    assert promises["within"].mean() >= 0.75


def test_every_site_of_the_universe_has_one_row_among_the_calls(scan, output, metrics):
    calls = pd.read_parquet(output / "calls.parquet")
    for name in ("donor", "acceptor"):
        mine = calls[calls["class"] == name]
        found = mine[mine["status"].isin(["true", "missed"])]
        assert len(found) == value(metrics, "dilated", name, "sites")
        assert mine[mine["status"] == "true"]["called"].all()
        assert not mine[mine["status"] == "missed"]["called"].any()
        made = mine[mine["called"] & (mine["status"] != "ignored")]
        assert len(made) == value(metrics, "dilated", name, "calls")
    sites = pd.read_parquet(scan.sites)
    keys = set(zip(sites["contig"], sites["position"], sites["strand"], sites["class"]))
    found = calls[calls["status"].isin(["true", "missed"])]
    assert set(zip(found["contig"], found["start"], found["strand"], found["class"])) <= keys
    unscored = found[found["score"].isna()]
    details = json.loads((output / "details.json").read_text())
    unknown = sum(one["on_unknown_bases"] for one in details["sites"].values())
    assert len(unscored) == unknown


def test_curves_and_reliability_are_complete_and_short(output, metrics):
    curves = pd.read_parquet(output / "curves.parquet")
    keys = ["genome", "model", "class", "universe", "curve"]
    sizes = curves.groupby(keys).size()
    assert len(sizes) == 2 * 2 * 2 * 4
    assert sizes.max() <= 500
    assert not curves[["x", "y"]].isna().any().any()
    reliability = pd.read_parquet(output / "reliability.parquet")
    totals = reliability.groupby(["model", "class", "universe"])["bins"].sum()
    for (model, name, universe), bins in totals.items():
        assert bins == value(metrics, model, name, "bins", universe)


def test_pairs_are_compared_as_the_first_model_is(scan, tmp_path, metrics, capsys):
    arguments = scan.evaluation_arguments(tmp_path / "out", **SETTINGS)
    assert evaluate_scan.main([*arguments, "--pair", "pwm", "dilated"]) == 0
    found = pd.read_csv(tmp_path / "out" / "metrics.tsv", sep="\t")
    for name in ("donor", "acceptor"):
        for metric in ("average_precision", "auroc"):
            here = [
                value(found, "pwm-dilated", name, metric, column=c)
                for c in ("value", "low", "high")
            ]
            there = [
                value(metrics, "dilated-pwm", name, metric, column=c)
                for c in ("value", "high", "low")
            ]
            assert here == pytest.approx([-number for number in there])
    rest = found[found["model"] != "pwm-dilated"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, metrics)
    assert evaluate_scan.main([*arguments, "--pair", "pwm", "kmer"]) == 1
    assert "--pair names model kmer; expected some of dilated, pwm" in capsys.readouterr().err


def test_details_say_what_a_reader_must_know(scan, output):
    details = json.loads((output / "details.json").read_text())
    assert details["part"] == "test"
    assert details["models"] == ["dilated", "pwm"]
    assert details["blocks"] == len(scan.layout.blocks)
    assert details["intervals_reliable"] is True
    assert details["settings"]["bootstrap"] == 100
    leaked = pd.read_parquet(scan.leakage)["leaked"].sum()
    assert 0 < sum(one["leaked"] for one in details["sites"].values()) < leaked
    for rows in details["prevalence_table"]["donor"].values():
        assert [row["times"] for row in rows] == pytest.approx([1 / 3, 1, 3])
        assert rows[0]["precision"] < rows[1]["precision"] < rows[2]["precision"]


def test_the_same_input_gives_the_same_files(scan, output, tmp_path):
    assert evaluate_scan.main(scan.evaluation_arguments(tmp_path, **SETTINGS)) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes(), name


def test_bins_without_strand_on_another_genome(tmp_path):
    scan = write_synthetic_scan(
        tmp_path, length=400_000, every=2000, classes=("REB1",), stranded=False, resolution=20,
        min_distance=100, part="screen", genome="relative",
    )  # fmt: skip
    assert evaluate_scan.main(scan.evaluation_arguments(tmp_path / "out", **SETTINGS)) == 0
    metrics = pd.read_csv(tmp_path / "out" / "metrics.tsv", sep="\t")
    contigs = pd.read_csv(scan.genome_folder / "contigs.tsv", sep="\t", dtype={"contig": str})
    labels = label_bins(
        scan.layout, contigs, "relative", pd.read_parquet(scan.sites),
        pd.read_parquet(scan.intervals), ["REB1"], False,
    ).of[0, 0]  # fmt: skip
    codes = scan.scores["dilated"][0, 0]
    kept = codes > 0
    kept[expand_ranges(labels.ignored)] = kept[expand_ranges(labels.excluded)] = False
    truth = np.isin(np.arange(len(codes)), labels.positive)[kept]
    expected = average_precision_score(truth, decode_scores(codes[kept]))
    found = value(metrics, "dilated", "REB1", "average_precision", "screen")
    assert found == pytest.approx(expected, abs=1e-9)
    # 10 of 40 called bins of each shard are called on one strand's reading alone.
    for metric, share in (("strand_disagreement", 0.25), ("strand_difference", 0.05)):
        assert value(metrics, "dilated", "REB1", metric, "screen") == pytest.approx(share)
    details = json.loads((tmp_path / "out" / "details.json").read_text())
    assert details["calibrated_here"] is False
    assert any("carry over from toy" in note for note in details["notes"])
    calls = pd.read_parquet(tmp_path / "out" / "calls.parquet")
    assert set(calls["strand"]) == {"."}
    assert set(calls.loc[calls["status"] != "missed", "end"] - calls["start"]) >= {20}


def test_a_class_without_sites_here_leaves_values_empty(scan, tmp_path):
    sites = pd.read_parquet(scan.sites)
    write_table(tmp_path / "sites.parquet", sites[sites["class"] == "donor"])
    arguments = scan.evaluation_arguments(tmp_path / "out", **SETTINGS)
    arguments[arguments.index("--sites") + 1] = str(tmp_path / "sites.parquet")
    assert evaluate_scan.main(arguments) == 0
    metrics = pd.read_csv(tmp_path / "out" / "metrics.tsv", sep="\t")
    assert np.isnan(value(metrics, "dilated", "acceptor", "average_precision"))
    assert value(metrics, "dilated", "acceptor", "observed_precision") == 0
    assert value(metrics, "dilated", "donor", "average_precision") > 0.5


@pytest.fixture
def damaged(scan, tmp_path):
    """Arguments on a copy of everything that the evaluation reads."""
    folder = shutil.copytree(scan.split.parent, tmp_path / "copy", ignore=_shards)
    arguments = scan.evaluation_arguments(tmp_path / "out", **SETTINGS)
    arguments = [text.replace(str(scan.split.parent), str(folder)) for text in arguments]
    return Path(folder), arguments, tmp_path / "out"


def _shards(folder, names):
    return {"shards", "evaluation"} & set(names)


def lose_scores(folder, arguments):
    (folder / "scan/dilated/scores.npy").unlink()


def shorten_scores(folder, arguments):
    path = folder / "scan/pwm/scores.npy"
    np.save(path, np.load(path)[:, :, :-5])


def scan_another_part(folder, arguments):
    for path in (folder / "scan").glob("*/*.tsv"):
        path.write_text(path.read_text().replace("\ttest\t", "\tvalid\t"))


def scan_elsewhere(folder, arguments):
    path = folder / "scan/pwm/intervals.tsv"
    table = pd.read_csv(path, sep="\t")
    table.loc[0, "end"] -= 10
    table.to_csv(path, sep="\t", index=False)


def change_calibration(folder, arguments):
    path = folder / "models/pwm/model.json"
    model = json.loads(path.read_text())
    model["calibration"]["classes"]["donor"]["floor_code"] += 1
    path.write_text(json.dumps(model))


def change_classes(folder, arguments):
    path = folder / "models/pwm/model.json"
    model = json.loads(path.read_text())
    model["classes"] = ["acceptor", "donor"]
    path.write_text(json.dumps(model))


def forget_a_model(folder, arguments):
    del arguments[-4:-2]


def misspell_a_setting(folder, arguments):
    arguments[arguments.index("--settings") + 1] = '{"bootstraps": 5}'


def lose_the_audit(folder, arguments):
    (folder / "leakage.parquet").unlink()


def lose_a_column(folder, arguments):
    path = folder / "sites.parquet"
    pd.read_parquet(path).drop(columns="strand").to_parquet(path)


def name_another_contig(folder, arguments):
    path = folder / "sites.parquet"
    pd.read_parquet(path).replace({"contig": {"2": "chr2"}}).to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_scores, "scores.npy does not exist"),
        (shorten_scores, "scores.npy hold"),
        (scan_another_part, "has parts valid; expected one of test, screen"),
        (scan_elsewhere, "covers other bins of part test than the network's"),
        (change_calibration, "another calibration than bundle pwm"),
        (change_classes, "expected ['donor', 'acceptor'] as for dilated"),
        (forget_a_model, "expected the same names"),
        (misspell_a_setting, "did you mean 'bootstrap'"),
        (lose_the_audit, "leakage audit"),
        (lose_a_column, "lacks column strand"),
        (name_another_contig, "genome toy has no contig 'chr2'"),
    ],
)
def test_what_does_not_fit_is_refused(damaged, capsys, damage, message):
    folder, arguments, output = damaged
    damage(folder, arguments)
    assert evaluate_scan.main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_full_disk_leaves_nothing(damaged, capsys, monkeypatch):
    """The last file fails, when all tables are written."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(evaluate_scan, "write_json", full)
    _, arguments, output = damaged
    assert evaluate_scan.main(arguments) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(output.iterdir())


def test_a_baseline_in_other_blocks_is_compared_on_the_networks(scan, metrics, damaged):
    folder, arguments, output = damaged
    path = folder / "scan/pwm/blocks.tsv"
    blocks = pd.read_csv(path, sep="\t")
    merged = blocks.assign(block=blocks["block"] // 2).groupby("block", as_index=False)
    merged.agg({"part": "first", "first_bin": "min", "end_bin": "max"}).to_csv(
        path, sep="\t", index=False
    )
    assert evaluate_scan.main(arguments) == 0
    found = pd.read_csv(output / "metrics.tsv", sep="\t")
    pd.testing.assert_frame_equal(found, metrics)


def test_the_script_runs_on_its_own(scan, repository, tmp_path):
    command = [sys.executable, str(repository / "scripts" / "evaluate_scan.py")]
    command += scan.evaluation_arguments(tmp_path / "out", bootstrap=10)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
