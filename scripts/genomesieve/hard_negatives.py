"""Hard negatives: the best-scoring places of a scan that are no sites.

A bin may be harvested for a class if it is not ignored or excluded for the class and no base of it
lies closer than `min_distance` to a site of the class on its strand; so a bin that holds a site is
never one. Of the rest the best is taken, bins of its strand that start closer than `min_distance`
are dropped, then the next best is taken, and so on. A scan is harvested while it runs, in memory
that does not grow with the genome.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.calls import merge_candidates
from genomesieve.genome import EncodedGenome, contig_rows
from genomesieve.labelled_genome import STRANDS
from genomesieve.labels_on_bins import ScanLabels, in_ranges, overlapped_ranges
from genomesieve.layout import ScanLayout
from genomesieve.scores import UNSCORED, decode_scores, list_candidates

COLUMNS = ("genome", "contig", "position", "strand", "class", "score")


@dataclass(frozen=True)
class HarvestSettings:
    """How much is harvested.

    Parameters
    ----------
    most : int
        Places a class.
    min_distance : int
        Least bp between the starts of two bins of a class and strand, and between a bin and a site.
    """

    most: int = 1000
    min_distance: int = 20


class Harvest:
    """The best non-sites of one genome's scan so far.

    Parameters
    ----------
    layout : ScanLayout
        Of the scanned part.
    labels : ScanLabels
        On the same layout.
    near : dict of (int, int) to numpy.ndarray, shape=(m, 2)
        Ranges of bins that are too close to a site, by class and strand index, from `near_sites`.
    classes : list of str
    settings : HarvestSettings
    """

    def __init__(
        self,
        layout: ScanLayout,
        labels: ScanLabels,
        near: dict[tuple[int, int], np.ndarray],
        classes: list[str],
        settings: HarvestSettings,
    ):
        self._layout, self._labels, self._near = layout, labels, near
        self._classes, self._settings = classes, settings
        # A place that is taken drops at most so many bins on each side, so these many of the best
        # bins hold all places that are taken at the end.
        reach = -(-settings.min_distance // layout.resolution) - 1
        self._kept = settings.most * (1 + 2 * reach)
        self._floors = np.full(len(classes), UNSCORED + 1, dtype=np.uint16)
        self._best = [pd.DataFrame() for _ in classes]

    def add(self, first_bin: int, codes: np.ndarray) -> None:
        """Look at the scores of consecutive bins.

        Parameters
        ----------
        first_bin : int
        codes : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
        """
        found = list_candidates(codes, self._floors, first_bin)
        for index in range(len(self._classes)):
            mine = found[(found["class_index"] == index).to_numpy()]
            mine = mine[self._is_allowed(mine, index)]
            best = pd.concat([self._best[index], mine], ignore_index=True)
            if len(best) > self._kept:
                best = best.sort_values(
                    ["code", "bin", "strand_index"], ascending=[False, True, True]
                )[: self._kept]
                self._floors[index] = best["code"].iloc[-1]
            self._best[index] = best

    def _is_allowed(self, table: pd.DataFrame, index: int) -> np.ndarray:
        """Tell which bins of a class may be harvested."""
        allowed = np.zeros(len(table), dtype=bool)
        strands, bins = table["strand_index"].to_numpy(), table["bin"].to_numpy()
        for strand in np.unique(strands):
            mine, labels = strands == strand, self._labels.of[index, int(strand)]
            hidden = (labels.ignored, labels.excluded, self._near[index, int(strand)])
            allowed[mine] = ~np.any([in_ranges(bins[mine], one) for one in hidden], axis=0)
        return allowed

    def places(self) -> pd.DataFrame:
        """Return what was harvested: class_index, strand_index, code, contig_index, start (bp)."""
        table = pd.concat(self._best, ignore_index=True)
        distances = np.full(len(self._classes), self._settings.min_distance)
        return merge_candidates(table, self._layout, distances)


def near_sites(
    layout: ScanLayout,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    classes: list[str],
    stranded: bool,
    min_distance: int,
) -> dict[tuple[int, int], np.ndarray]:
    """Find the bins with a base closer than `min_distance` to a site, in the part or beside it.

    Parameters
    ----------
    layout : ScanLayout
    genome : EncodedGenome
    sites : pandas.DataFrame
        Columns contig, position, strand, class.
    classes : list of str
    stranded : bool
    min_distance : int
        1 leaves out bins that hold a site and no others.

    Returns
    -------
    dict of (int, int) to numpy.ndarray, shape=(m, 2), dtype=int64
        Sorted disjoint ranges of bins by class and strand index.
    """
    contig = contig_rows(genome.contigs, sites["contig"], genome.name)
    position, found = sites["position"].to_numpy(np.int64), {}
    for index, name in enumerate(classes):
        for side in range(2 if stranded else 1):
            mine = (sites["class"] == name).to_numpy()
            if stranded:
                mine = mine & (sites["strand"] == STRANDS[side]).to_numpy()
            low, high = position[mine] - min_distance + 1, position[mine] + min_distance
            found[index, side] = overlapped_ranges(layout, contig[mine], low, high)
    return found


def join_harvests(
    places: dict[str, pd.DataFrame],
    contigs: dict[str, pd.DataFrame],
    classes: list[str],
    stranded: bool,
    resolution: int,
    most: int,
) -> pd.DataFrame:
    """Return the best places of all genomes together, at most `most` a class.

    Parameters
    ----------
    places : dict of str to pandas.DataFrame
        From `Harvest.places`, by genome.
    contigs : dict of str to pandas.DataFrame
        Contig tables by genome.
    classes : list of str
    stranded : bool
    resolution : int
        bp a bin; the middle base stands for a bin.
    most : int

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; score is the log-odds, best first within a class.
    """
    tables = []
    for name, table in places.items():
        symbols = np.array(STRANDS if stranded else ["."])
        columns = {
            "genome": name,
            "contig": contigs[name]["contig"].to_numpy(str)[table["contig_index"]],
            "position": table["start"].to_numpy(np.int64) + (resolution - 1) // 2,
            "strand": symbols[table["strand_index"]],
            "class": np.array(classes)[table["class_index"]],
            "score": decode_scores(table["code"].to_numpy(np.uint16)),
            "order": table["class_index"].to_numpy(np.int64),
        }
        tables.append(pd.DataFrame(columns))
    joined = pd.concat(tables, ignore_index=True)
    joined = joined.sort_values(["order", "score"], ascending=[True, False], kind="stable")
    best = joined.groupby("order", sort=False).head(most)
    return best[list(COLUMNS)].reset_index(drop=True)


def summarise_harvest(negatives: pd.DataFrame, classes: list[str]) -> dict:
    """Return, for every class, how many places were harvested and the range of their log-odds."""
    result = {}
    for name in classes:
        scores = negatives.loc[negatives["class"] == name, "score"]
        result[name] = {"places": len(scores)}
        if len(scores):
            result[name] |= {"highest": float(scores.max()), "lowest": float(scores.min())}
    return result
