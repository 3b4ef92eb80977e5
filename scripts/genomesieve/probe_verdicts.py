"""What probes and interventions say together: a property is not read, present, or used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

NOT_READ, PRESENT, USED = "not read", "present", "used"
NOT_TRIED = "present, use not tried"
_PRIMARY = ("r2", "auroc")
_BESIDE = ("untrained", "kmer", "single_unit", "control", "control_unseen", "selectivity")


def judge_property(name: str, probes: pd.DataFrame, interventions: pd.DataFrame) -> dict:
    """Judge a property at the layer where it is read best.

    Parameters
    ----------
    name : str
    probes : pandas.DataFrame
        As in probes.tsv, with the column `chosen` (the score on the valid part).
    interventions : pandas.DataFrame
        As in interventions.tsv.

    Returns
    -------
    dict
        For the summary. `used` means that erasing it costs some class more average precision than
        random erasures do, beyond what chance makes of so many classes.
    """
    mine = probes[(probes["property"] == name) & probes["metric"].isin(_PRIMARY)]
    trained = mine[mine["what"] == "trained"]
    best = trained.loc[trained["chosen"].astype(float).idxmax()]
    here = mine[mine["layer"] == best["layer"]].set_index("what")
    result = {
        "property": name,
        "layer": best["layer"],
        "metric": best["metric"],
        "chance": _number(best["chance"]),
        **_figures("score", best),
        **{what: _figures("score", here.loc[what]) for what in _BESIDE if what in here.index},
    }
    read = bool(best["low"] > best["chance"] and here.loc["selectivity", "low"] > 0)
    erased = interventions[
        (interventions["property"] == name) & (interventions["removed"] == "erasure")
    ]
    users = erased.loc[erased["beyond_random"].fillna(False).astype(bool), "class"].tolist()
    verdict = NOT_READ
    if read:
        verdict = (USED if users else PRESENT) if len(erased) else NOT_TRIED
    result |= {"verdict": verdict, "used_by": users}
    if len(erased):
        result["readable_after_erasure"] = _number(erased["readable_after"].iloc[0])
    if erased["excess"].notna().any():
        worst = erased.loc[erased["excess"].astype(float).idxmax()]
        result["largest_excess"] = {"class": worst["class"], **_figures("excess", worst, "excess_")}
    return result


def _figures(name: str, row: Mapping, before: str = "") -> dict:
    """Return a value with its interval."""
    ends = {end: _number(row[before + end]) for end in ("low", "high")}
    return {name: _number(row[name]), **ends}


def _number(value: float) -> float | None:
    """Return a number as JSON has it: None for NaN."""
    return float(value) if np.isfinite(float(value)) else None


def left_out_sentences(reasons: Mapping[str, str]) -> list[str]:
    """Say which properties were left out, and why."""
    return [f"{name} is left out: {reason}" for name, reason in sorted(reasons.items())]
