import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import measure_forgetting

VALUES = {"one": [0.8, 0.2], "two": [0.5, 0.7], "two.replay": [0.75, 0.6]}


def write_evaluations(root, seeds=()):
    """Write what two stages and another method reach on two genomes."""
    stages = []
    for key, values in VALUES.items():
        for genome, value in zip("AB", values):
            folder = root / key / genome
            folder.mkdir(parents=True)
            models = {"net": value, "net-pwm": 9.0, "pwm": 0.01}
            step = 0.02 if key == "two.replay" else 0.01
            models |= {f"net.seed{seed}": value + step * seed for seed in seeds}
            rows = [
                (model, "x", universe, "position", metric, number)
                for model, number in models.items()
                for universe in ("test", "test:unleaked")
                for metric, number in (("average_precision", number), ("prevalence", 0.001))
                if "-" not in model
            ]
            columns = ["model", "class", "universe", "unit", "metric", "value"]
            pd.DataFrame(rows, columns=columns).to_csv(
                folder / "metrics.tsv", sep="\t", index=False
            )
            draws = [
                pd.DataFrame(
                    {
                        "model": model, "class": "x", "draw": np.arange(100),
                        "average_precision": number + np.linspace(-0.05, 0.05, 100),
                    }
                )
                for model, number in models.items()
                if "-" not in model
            ]  # fmt: skip
            pd.concat(draws).to_parquet(folder / "draws.parquet")
        name, _, method = key.partition(".")
        stages.append(
            {
                "key": key, "name": name, "method": method, "before": "" if key == "one" else "one",
                "genome": "A" if name == "one" else "B", "classes": ["x"],
                "settings": {"method": "ewc", "lambda": 2.0}, "evaluation": str(root / key),
            }
        )  # fmt: skip
    return stages


def run(root, stages):
    paths = root / "matrix.tsv", root / "summary.tsv"
    options = [
        "--stages",
        json.dumps(stages),
        "--matrix",
        str(paths[0]),
        "--summary",
        str(paths[1]),
    ]
    assert measure_forgetting.main(options) == 0
    return [pd.read_csv(path, sep="\t") for path in paths]


def test_every_method_has_its_matrix_and_measures(tmp_path):
    matrix, summary = run(tmp_path, write_evaluations(tmp_path))
    assert matrix["method"].unique().tolist() == ["ewc (lambda 2)", "replay"]
    mean = matrix[matrix["class"] == "mean"].set_index(["method", "after", "task"])
    assert mean.loc[("ewc (lambda 2)", "two", "one"), "average_precision"] == 0.5
    assert mean.loc[("replay", "two", "one"), "average_precision"] == 0.75
    # The first stage is every method's.
    assert mean.loc[("replay", "one", "two"), "average_precision"] == 0.2
    assert (mean["low"] < mean["average_precision"]).all()
    assert (mean["high"] > mean["average_precision"]).all()
    values = summary.set_index(["method", "measure"])["value"]
    assert values["ewc (lambda 2)", "forgetting"] == pytest.approx(0.3)
    assert values["replay", "backward_transfer"] == pytest.approx(-0.05)


def test_seeds_stand_beside_the_stages_own_models(tmp_path):
    matrix, summary = run(tmp_path, write_evaluations(tmp_path, seeds=(0, 1, 2)))
    row = matrix[(matrix["after"] == "two") & (matrix["task"] == "two")].iloc[0]
    values = [0.7, 0.71, 0.72]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert row["seeds"] == 3
    np.testing.assert_allclose(
        row[["seeds_mean", "seeds_low", "seeds_high"]].astype(float), [0.71, low, high]
    )
    assert (summary["seeds"] == 3).all()


def test_a_missing_evaluation_is_named(tmp_path, capsys):
    stages = write_evaluations(tmp_path)
    stages[1]["evaluation"] = str(tmp_path / "nowhere")
    paths = [str(tmp_path / name) for name in ("m.tsv", "s.tsv")]
    options = ["--stages", json.dumps(stages), "--matrix", paths[0], "--summary", paths[1]]
    assert measure_forgetting.main(options) == 1
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "m.tsv").exists()


def test_others_are_compared_with_plain_finetuning(tmp_path):
    stages = write_evaluations(tmp_path)
    stages[1]["settings"] = {}
    stages[2]["settings"] = {"method": "replay"}
    _, summary = run(tmp_path, stages)
    assert summary["method"].unique().tolist() == ["finetune", "replay"]
    table = summary.set_index(["method", "measure"])
    assert table.loc["finetune", "difference"].isna().all()
    row = table.loc[("replay", "average")]
    assert row["compared_with"] == "finetune"
    np.testing.assert_allclose(
        row[["difference", "difference_low", "difference_high"]].astype(float), (0.25 - 0.1) / 2
    )


def test_seeds_are_compared_with_the_same_seeds_of_plain_finetuning(tmp_path):
    stages = write_evaluations(tmp_path, seeds=(0, 1, 2))
    stages[1]["settings"] = {}
    stages[2]["settings"] = {"method": "replay"}
    _, summary = run(tmp_path, stages)
    row = summary.set_index(["method", "measure"]).loc[("replay", "average")]
    gains = [0.075, 0.085, 0.095]
    low, high = stats.t.interval(0.95, 2, np.mean(gains), stats.sem(gains))
    columns = [f"difference_seeds_{end}" for end in ("mean", "low", "high")]
    np.testing.assert_allclose(row[columns].astype(float), [0.085, low, high])


def test_the_screens_own_method_keeps_its_name_apart(tmp_path):
    stages = write_evaluations(tmp_path)
    stages[1]["settings"] = {"method": "replay"}
    matrix, _ = run(tmp_path, stages)
    assert matrix["method"].unique().tolist() == ["replay (the screen's own)", "replay"]
