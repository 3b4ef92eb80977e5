"""Which places of a genome are worth looking at: the best calls, misses and false positives."""

from __future__ import annotations

import pandas as pd

RIGHT, MISSED, WRONG, CALL = "right call", "missed site", "wrong call", "call"
"""Kinds of places; `CALL` where no annotation says whether a call is right."""

VIEWED_COLUMNS = ("kind", "class", "contig", "start", "end", "strand", "score", "probability")


def judged_places(calls: pd.DataFrame, classes: list[str], most: int) -> pd.DataFrame:
    """Choose the best-scoring right calls, missed sites and wrong places of each class.

    Parameters
    ----------
    calls : pandas.DataFrame
        calls.parquet of evaluate_scan: contig, start, end (0-based half-open), class, strand,
        score, probability, status, called.
    classes : list of str
        In the order of the model's outputs.
    most : int
        Of each class and kind.

    Returns
    -------
    pandas.DataFrame
        Columns `VIEWED_COLUMNS`, by class, kind and falling score. A place that is wrong need not
        be called: where the threshold lets none through, these are the next ones that it would.
        Sites on unknown bases have no score and are left out.
    """
    called = calls["called"].astype(bool)
    kinds = {
        RIGHT: called & (calls["status"] == "true"),
        MISSED: calls["status"] == "missed",
        WRONG: calls["status"] == "false",
    }
    return _best(calls, kinds, classes, most)


def called_places(calls: pd.DataFrame, classes: list[str], most: int) -> pd.DataFrame:
    """Choose the best-scoring calls of each class where no annotation can judge them.

    Parameters
    ----------
    calls : pandas.DataFrame
        calls.bed.gz: contig, start, end, class, strand, probability; `score` is 0 to 1000.
    classes : list of str
    most : int
        Of each class.

    Returns
    -------
    pandas.DataFrame
        Columns `VIEWED_COLUMNS`; `score` is missing, since the file has no log-odds.
    """
    ranked = calls.assign(score=calls["probability"].fillna(calls["score"] / 1000))
    found = _best(ranked, {CALL: ranked["score"].notna()}, classes, most)
    return found.assign(score=float("nan"))


def _best(
    table: pd.DataFrame, kinds: dict[str, pd.Series], classes: list[str], most: int
) -> pd.DataFrame:
    """Return the rows of each class and kind that score highest, ties in order of place."""
    chosen = []
    for name in classes:
        for kind, mine in kinds.items():
            rows = table[mine & (table["class"] == name)].dropna(subset=["score"])
            best = rows.sort_values("score", ascending=False, kind="stable").head(most)
            chosen.append(best.assign(kind=kind))
    return pd.concat(chosen, ignore_index=True)[list(VIEWED_COLUMNS)]


def merged_windows(
    places: pd.DataFrame, reach: int, lengths: dict[str, int]
) -> dict[str, list[tuple[int, int]]]:
    """Return the stretches around places, overlapping ones joined, by contig.

    Parameters
    ----------
    places : pandas.DataFrame
        contig, start, end: 0-based half-open.
    reach : int
        Bases on either side.
    lengths : dict of str to int
        Of the contigs; stretches end there.

    Returns
    -------
    dict of str to list of (int, int)
        0-based half-open, ascending.
    """
    result: dict[str, list[tuple[int, int]]] = {}
    for row in places.sort_values(["contig", "start"]).itertuples():
        start = max(int(row.start) - reach, 0)
        end = min(int(row.end) + reach, lengths[row.contig])
        mine = result.setdefault(row.contig, [])
        if mine and start <= mine[-1][1]:
            mine[-1] = (mine[-1][0], max(mine[-1][1], end))
        else:
            mine.append((start, end))
    return result
