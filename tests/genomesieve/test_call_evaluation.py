"""Promises against what calls turned out to be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve.bootstrap import block_weights
from genomesieve.call_evaluation import judge_promise, list_outcomes

THRESHOLD = {
    "code": 500, "precision": 0.8, "calls": 400, "design_effect": 1.5, "precision_target": 0.75,
    "bootstrap_quantiles": list(np.linspace(0.74, 0.86, 101)),
}  # fmt: skip


def calls_of(right: int, wrong: int, blocks: int = 25) -> pd.DataFrame:
    status = ["true"] * right + ["false"] * wrong + ["ignored"] * 7 + ["false"] * 9
    code = [600] * (right + wrong + 7) + [400] * 9
    return pd.DataFrame({"code": code, "status": status, "block": np.arange(len(code)) % blocks})


def judge(calls: pd.DataFrame, sites: int = 200):
    weights = block_weights(25, 300, 0)
    return judge_promise(THRESHOLD, calls, np.arange(sites) % 25, weights, 1000, 500)


def test_counts_leave_out_ignored_calls_and_those_below_the_threshold():
    kept = judge(calls_of(120, 30))
    assert (kept.calls, kept.true_calls) == (150, 120)
    assert kept.precision == pytest.approx(0.8)
    assert kept.recall == pytest.approx(120 / 200)
    assert kept.precision_interval.low < 0.8 < kept.precision_interval.high
    assert kept.recall_interval.low <= 0.6 <= kept.recall_interval.high
    assert kept.within is True


def test_a_broken_promise_is_seen():
    assert judge(calls_of(60, 90)).within is False


def test_expected_calls_follow_from_the_promise():
    kept = judge(calls_of(120, 30))
    right, of_right = kept.expected(150, True)
    wrong, of_wrong = kept.expected(150, False)
    assert right + wrong == pytest.approx(150)
    assert of_right.low + of_wrong.high == pytest.approx(150)
    assert of_right.low < right < of_right.high
    assert of_wrong.low < wrong < of_wrong.high


def test_without_calls_or_sites_there_is_nothing_to_judge():
    kept = judge(calls_of(0, 0), sites=0)
    assert kept.within is None
    assert np.isnan(kept.precision)
    assert np.isnan(kept.recall)


def test_every_site_has_one_row():
    calls = pd.DataFrame(
        {"code": [600, 450, 620, 430, 700], "site": [10, 12, -1, -1, -1],
         "status": ["true", "true", "false", "false", "ignored"],
         "contig_index": 0, "start": [100, 300, 500, 600, 700], "end": [120, 320, 520, 620, 720],
         "strand_index": [0, 1, 0, 0, 0]}
    )  # fmt: skip
    sites = pd.DataFrame(
        {"contig_index": 0, "position": [105, 311, 900], "strand_index": [0, 1, 1]},
        index=[10, 12, 13],
    )
    codes = np.array([600, 440, 300], dtype=np.uint16)
    table = list_outcomes(calls, sites, codes, 500)
    assert table["start"].tolist() == [100, 311, 500, 600, 700, 900]
    assert table["end"].tolist() == [120, 312, 520, 620, 720, 901]
    assert table["status"].tolist() == ["true", "missed", "false", "false", "ignored", "missed"]
    assert table["called"].tolist() == [True, False, True, False, True, False]
    assert table["code"].tolist() == [600, 440, 620, 430, 700, 300]
