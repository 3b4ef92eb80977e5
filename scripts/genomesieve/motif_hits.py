"""Where motifs stand in sites, by a stated rule, and how often they would by chance.

A motif stands where its log-odds have a p-value of at most 1e-4 in a random sequence with the
letters of the sites (as in FIMO, Grant et al. 2011); a motif too short for that, only where its
best word stands. One that was read off at a fixed place stands there or not: its log-odds there
must exceed 0. The same rule is applied to shuffles of the sites that keep dinucleotides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.alphabet import DNA
from genomesieve.attributed_sites import AttributedSites
from genomesieve.found_motifs import FoundMotif
from genomesieve.shuffling import shuffle_dinucleotides

P_VALUE = 1e-4
HIT_COLUMNS = ("motif", "class", "site", "offset", "strand", "log_odds", "p_value", "contribution")
_STEPS = 100
"""Log-odds are counted in hundredths of a bit, so that their distribution is exact."""


@dataclass(frozen=True)
class Scoring:
    """A motif made ready to look for.

    Parameters
    ----------
    matrix : numpy.ndarray, shape=(letters, width), dtype=int64
        Log-odds in hundredths of a bit.
    least : int
        The lowest score of a hit.
    tail : numpy.ndarray
        Probability of a score of at least the sum of the matrix's column minima + index.
    lowest : int
        That sum.
    """

    matrix: np.ndarray
    least: int
    tail: np.ndarray
    lowest: int

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """Return the p-values of scores."""
        return self.tail[np.clip(scores - self.lowest, 0, len(self.tail) - 1)]


def letter_frequencies(sequence: np.ndarray, letters: int, both_strands: bool) -> np.ndarray:
    """Return the frequencies of letters; the mean of both strands where these are alike."""
    counts = np.bincount(sequence.ravel(), minlength=letters + 1)[:letters] + 1.0
    if both_strands:
        counts = counts + counts[DNA.complement_codes[:letters]]
    return counts / counts.sum()


def make_scoring(motif: FoundMotif, background: np.ndarray, p_value: float = P_VALUE) -> Scoring:
    """Prepare a motif: log-odds, their distribution in random sequence and the least score.

    Parameters
    ----------
    motif : FoundMotif
    background : numpy.ndarray, shape=(letters,)
    p_value : float
    """
    odds = np.log2(motif.frequencies() / background[:, None])
    matrix = np.round(odds * _STEPS).astype(np.int64)
    tail, lowest = score_tail(matrix, background)
    reached = np.flatnonzero(tail <= p_value * (1 + 1e-9))
    highest = int(matrix.max(0).sum())
    least = int(reached[0]) + lowest if len(reached) else highest
    if motif.offset is not None:
        least = 1
    return Scoring(matrix, min(least, highest), tail, lowest)


def score_tail(matrix: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, int]:
    """Return P(score >= lowest + index) of words drawn from a background, and the lowest score.

    Parameters
    ----------
    matrix : numpy.ndarray, shape=(letters, width), dtype=int64
    background : numpy.ndarray, shape=(letters,)
    """
    steps = matrix - matrix.min(0)
    density = np.ones(1)
    for column in steps.T:
        longer = np.zeros(len(density) + int(column.max()))
        for step, share in zip(column.tolist(), background):
            longer[step : step + len(density)] += share * density
        density = longer
    # Summed from the top, where terms are smallest.
    return np.cumsum(density[::-1])[::-1], int(matrix.min(0).sum())


def score_windows(codes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the score at every start, shape=(sites, starts); a very low one at unknown bases."""
    width = matrix.shape[1]
    starts = codes.shape[1] - width + 1
    unknown = np.full((1, width), np.iinfo(np.int32).min // (2 * width))
    values = np.concatenate([matrix, unknown]).astype(np.int32)
    total = np.zeros((len(codes), max(starts, 0)), dtype=np.int32)
    if starts > 0:
        for column in range(width):
            total += values[:, column][codes[:, column : column + starts]]
    return total


def find_hits(
    motif: FoundMotif, scoring: Scoring, codes: np.ndarray, positions: np.ndarray
) -> pd.DataFrame:
    """Return where a motif stands.

    Parameters
    ----------
    motif : FoundMotif
    scoring : Scoring
    codes : numpy.ndarray, shape=(sites, positions)
    positions : numpy.ndarray, shape=(positions,)

    Returns
    -------
    pandas.DataFrame
        Columns row (of `codes`), start (column of `codes`), strand, score (hundredths of a bit).
    """
    strands = {"+": scoring.matrix}
    if motif.offset is None:
        reverse = DNA.complement_codes[: len(scoring.matrix)]
        strands["-"] = scoring.matrix[reverse][:, ::-1]
    tables = []
    for strand, matrix in strands.items():
        scores = score_windows(codes, matrix)
        hit = scores >= scoring.least
        if motif.offset is not None:
            hit[:, positions[: scores.shape[1]] != motif.offset] = False
        rows, starts = np.nonzero(hit)
        found = {"row": rows, "start": starts, "strand": strand, "score": scores[hit]}
        tables.append(pd.DataFrame(found))
    return pd.concat(tables, ignore_index=True).sort_values(["row", "start", "strand"])


def shuffled_sites(codes: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """Return every site shuffled `copies` times with its dinucleotides kept."""
    generator = np.random.default_rng(seed)
    rows = [shuffle_dinucleotides(row, generator) for row in codes for _ in range(copies)]
    return np.array(rows, dtype=np.uint8).reshape(-1, codes.shape[1])


def locate(
    motifs: Sequence[FoundMotif], sites: AttributedSites, copies: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find all motifs in the sites of their class, and in shuffles of them.

    Parameters
    ----------
    motifs : sequence of FoundMotif
    sites : AttributedSites
    copies : int
        Shuffles of a site.
    seed : int

    Returns
    -------
    hits : pandas.DataFrame
        Columns `HIT_COLUMNS`; site is the row of sites.tsv, counted from 0, and offset that of the
        leftmost base from the bin's first.
    carried : pandas.DataFrame
        A row a motif: sites, carried, share and shuffled_share, and of each carrying site's best
        hit the quartiles of the offset, the share on the site's own strand and the mean
        contribution.
    """
    shuffled = shuffled_sites(sites.sequence, copies, seed)
    stranded = bool((sites.table["strand"].astype(str) != ".").any())
    background = letter_frequencies(sites.sequence, len(sites.letters), not stranded)
    contributions = sites.contributions
    hits, rows = [], []
    for motif in motifs:
        mine = np.flatnonzero((sites.classes == motif.site_class) | (motif.site_class == "all"))
        scoring = make_scoring(motif, background)
        found = find_hits(motif, scoring, sites.sequence[mine], sites.positions)
        chance = shuffled.reshape(len(sites.sequence), copies, -1)[mine]
        chance = chance.reshape(-1, sites.sequence.shape[1])
        by_chance = find_hits(motif, scoring, chance, sites.positions)["row"].nunique()
        table = _as_hits(motif, scoring, found, mine, sites, contributions)
        hits.append(table)
        rows.append(_summarize(motif, table, len(mine), by_chance / max(1, len(chance))))
    empty = pd.DataFrame(columns=list(HIT_COLUMNS))
    return pd.concat(hits, ignore_index=True) if hits else empty, pd.DataFrame(rows)


def _as_hits(
    motif: FoundMotif,
    scoring: Scoring,
    found: pd.DataFrame,
    mine: np.ndarray,
    sites: AttributedSites,
    contributions: np.ndarray,
) -> pd.DataFrame:
    """Return hits as they are written."""
    rows, starts = mine[found["row"].to_numpy(int)], found["start"].to_numpy(int)
    sums = np.concatenate([np.zeros((len(contributions), 1)), contributions.cumsum(1)], axis=1)
    score = found["score"].to_numpy(int)
    return pd.DataFrame(
        {
            "motif": motif.name,
            "class": sites.classes[rows],
            "site": rows,
            "offset": sites.positions[starts],
            "strand": found["strand"].to_numpy(),
            "log_odds": score / _STEPS,
            "p_value": scoring.p_values(score),
            "contribution": sums[rows, starts + scoring.matrix.shape[1]] - sums[rows, starts],
        },
        columns=list(HIT_COLUMNS),
    )


def _summarize(motif: FoundMotif, hits: pd.DataFrame, sites: int, shuffled_share: float) -> dict:
    """Return how many sites carry a motif, and where."""
    best = hits.sort_values(["log_odds", "offset"], ascending=[False, True])
    best = best.drop_duplicates("site")
    quartiles = best["offset"].quantile([0.25, 0.5, 0.75]).to_list() if len(best) else [np.nan] * 3
    return {
        "motif": motif.name,
        "sites": sites,
        "carried": len(best),
        "share": len(best) / sites if sites else np.nan,
        "shuffled_share": shuffled_share,
        "offset_low": quartiles[0],
        "offset_median": quartiles[1],
        "offset_high": quartiles[2],
        "own_strand_share": (best["strand"] == "+").mean() if len(best) else np.nan,
        "mean_contribution": best["contribution"].mean() if len(best) else np.nan,
    }
