"""Motifs at real sites: taken out, turned round, or moved, and what that does to the site's score.

A hit is taken out by putting shuffled bases of its own flanks in its place, drawn until no new hit
of the motif arises there; several such draws tell how far the answer depends on them. Moving takes
a hit out in the same way and writes its own bases elsewhere. Nothing else of the site changes. All
of it are effects on the model, in log-odds of the site's class; only an experiment speaks of the
cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.bootstrap import block_weights
from genomesieve.bundle import Bundle
from genomesieve.genome import EncodedGenome
from genomesieve.motif_matrices import MotifMatrix, hit_threshold, match_scores
from genomesieve.mutagenesis import MutantScorer, SiteWindows, cut_windows
from genomesieve.progress import watched
from genomesieve.shuffling import shuffle_dinucleotides

SITE_COLUMNS = ("site", "class", "motif", "offset", "strand", "action", "shift",
                "effect", "low", "high", "regained")  # fmt: skip
_TRIES = 50
_REPEATS = 1000


@dataclass(frozen=True)
class SiteSettings:
    """How hits at sites are changed.

    Parameters
    ----------
    most : int
        Sites of a class, the first ones.
    flank : int
        Hits are looked for at most so many bp from the bin.
    draws : int
        Replacements of every hit.
    shifts : tuple of int
        bp by which hits are moved, in the direction of the site's strand.
    share : float
        Of a motif's best score; what reaches it is a hit.
    seed : int
    """

    most: int = 20
    flank: int = 100
    draws: int = 5
    shifts: tuple[int, ...] = (-40, -20, -10, 10, 20, 40)
    share: float = 0.8
    seed: int = 0


def first_sites(sites: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the first sites of every class; the index stays that of all sites."""
    return sites.groupby("class", sort=False).head(most)


def find_hits(
    windows: SiteWindows,
    numbers: Sequence[int],
    motifs: Sequence[MotifMatrix],
    settings: SiteSettings,
    resolution: int,
) -> pd.DataFrame:
    """Find the best hit of every motif around every site.

    Returns
    -------
    pandas.DataFrame
        Columns site, motif, offset, strand, log_odds, as discover_motifs writes them.
    """
    rows = []
    for motif in motifs:
        scores = match_scores(motif, windows.seen)
        places = scores.shape[2]
        if not places:
            continue
        offsets = np.arange(places) - windows.anchors[:, None]
        end = resolution + settings.flank
        near = (offsets >= -settings.flank) & (offsets + motif.width <= end)
        scores = np.where(near, scores, -np.inf).transpose(1, 0, 2).reshape(len(windows), -1)
        best = scores.argmax(1)
        for row in np.flatnonzero(scores.max(1) >= hit_threshold(motif, settings.share)):
            strand, place = divmod(int(best[row]), places)
            offset = place - int(windows.anchors[row])
            rows.append([numbers[row], motif.name, offset, "+-"[strand], scores[row, best[row]]])
    return pd.DataFrame(rows, columns=["site", "motif", "offset", "strand", "log_odds"])


def best_hits(hits: pd.DataFrame) -> pd.DataFrame:
    """Keep the best hit of every motif at every site."""
    order = hits.sort_values(["site", "motif", "log_odds"], ascending=[True, True, False])
    return order.drop_duplicates(["site", "motif"]).reset_index(drop=True)


class SiteMeter:
    """Changes hits at sites.

    Parameters
    ----------
    bundle : Bundle
    scorer : MutantScorer
        Of all classes.
    genome : EncodedGenome
    sites : pandas.DataFrame
        Columns contig, position, strand, class; the index numbers them.
    settings : SiteSettings
    """

    def __init__(
        self,
        bundle: Bundle,
        scorer: MutantScorer,
        genome: EncodedGenome,
        sites: pd.DataFrame,
        settings: SiteSettings,
    ):
        self.scorer, self.sites, self.settings = scorer, sites, settings
        self.classes, self.resolution = bundle.classes, bundle.architecture.resolution
        minus = sites["strand"].to_numpy() == "-"
        position = sites["position"].to_numpy(np.int64)
        place = genome, sites["contig"].to_list(), position, minus
        self.windows = cut_windows(*place, bundle.architecture)
        self.skipped = 0

    def hits(self, motifs: Sequence[MotifMatrix]) -> pd.DataFrame:
        """Find hits of motifs around all sites."""
        numbers = self.sites.index.to_list()
        return find_hits(self.windows, numbers, motifs, self.settings, self.resolution)

    def measure(self, hits: pd.DataFrame, motifs: Mapping[str, MotifMatrix]) -> pd.DataFrame:
        """Take out, turn round and move every hit.

        Parameters
        ----------
        hits : pandas.DataFrame
            Columns site, motif, offset, strand, log_odds; of other sites than these none counts.
        motifs : mapping of str to MotifMatrix

        Returns
        -------
        pandas.DataFrame
            Columns `SITE_COLUMNS`: the change of the log-odds of the site's class, its smallest
            and largest value over draws, and, where a hit was moved, what it gives at its new place
            over its absence.
        """
        rows = []
        mine = best_hits(hits[hits["site"].isin(self.sites.index)])
        sites = watched(self.sites.iterrows(), "site", "changes", len(self.sites))
        for row, (number, site) in enumerate(sites):
            of_site = mine[mine["site"] == number]
            if of_site.empty:
                continue
            window = self.windows.take(slice(row, row + 1))
            before = self.scorer.reference(window.seen, window.bins)[0]
            column = self.classes.index(site["class"])
            for hit in of_site.itertuples():
                place = hit.offset + int(window.anchors[0])
                named = [number, site["class"], hit.motif, hit.offset, hit.strand]
                changes = self._changes(window.seen[0], place, motifs[hit.motif], number)
                if changes is None:
                    self.skipped += 1
                    continue
                scores = self._score(window.seen, np.concatenate([c for *_, c in changes]))
                effects = scores[:, column].astype(np.float64) - before[column]
                rows.extend([*named, *words] for words in self._tell(changes, effects))
        return pd.DataFrame(rows, columns=list(SITE_COLUMNS))

    def _changes(
        self, codes: np.ndarray, place: int, motif: MotifMatrix, number: int
    ) -> list[tuple[str, int | None, np.ndarray]] | None:
        """Return actions, shifts and changed windows (draws, length); None for a hit unseen."""
        width, length = motif.width, len(codes)
        inside = slice(place, place + width)
        alphabet = motif.alphabet
        if place < 0 or place + width > length or (codes[inside] == alphabet.unknown).any():
            return None
        generator = np.random.default_rng(
            [self.settings.seed, int(number), place, *motif.name.encode()]
        )
        deleted = np.stack(
            [self._without(codes, place, motif, generator) for _ in range(self.settings.draws)]
        )
        turned = codes[None].copy()
        turned[0, inside] = alphabet.reverse_complement(codes[inside])
        changes = [("delete", None, deleted), ("turn", None, turned)]
        for shift in self.settings.shifts:
            if 0 <= place + shift and place + shift + width <= length:
                moved = deleted.copy()
                moved[:, place + shift : place + shift + width] = codes[inside]
                changes.append(("move", shift, moved))
        return changes

    def _without(
        self, codes: np.ndarray, place: int, motif: MotifMatrix, generator: np.random.Generator
    ) -> np.ndarray:
        """Replace a hit by shuffled bases of its flanks that make no hit there again."""
        width = motif.width
        left, right = max(0, place - width), place + 2 * width
        flanks = np.concatenate([codes[left:place], codes[place + width : right]])
        flanks = flanks[flanks != motif.alphabet.unknown]
        if len(flanks) < width:  # at a contig's end: even letters
            missing = generator.integers(0, motif.alphabet.size, width, dtype=np.uint8)
            flanks = np.concatenate([flanks, missing])
        around = slice(max(0, place - width + 1), place + 2 * width - 1)
        least, best = np.inf, codes
        for _ in range(_TRIES):
            changed = codes.copy()
            shuffled = shuffle_dinucleotides(flanks, generator)
            first = int(generator.integers(0, len(shuffled) - width + 1))
            changed[place : place + width] = shuffled[first : first + width]
            score = match_scores(motif, changed[None, around]).max(initial=-np.inf)
            if score < least:
                least, best = score, changed
            if score < hit_threshold(motif, self.settings.share):
                break
        return best

    def _score(self, seen: np.ndarray, changed: np.ndarray) -> np.ndarray:
        """Score changed windows of the site last given to the scorer, (mutants, classes)."""
        columns = np.flatnonzero((changed != seen).any(0))
        first, end = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
        parts = [
            self.scorer.mutants(first, changed[None, low : low + self.scorer.rows, first:end])[0]
            for low in range(0, len(changed), self.scorer.rows)
        ]
        return np.concatenate(parts)

    def _tell(
        self, changes: Sequence[tuple[str, int | None, np.ndarray]], effects: np.ndarray
    ) -> Iterator[list]:
        """Yield action, shift, mean, least and largest effect, and what a moved hit regains."""
        at = 0
        deleted = effects[: self.settings.draws]
        for action, shift, codes in changes:
            mine = effects[at : at + len(codes)]
            at += len(codes)
            regained = float((mine - deleted).mean()) if action == "move" else None
            ends = float(mine.min()), float(mine.max())
            yield [action, shift, float(mine.mean()), *ends, regained]


def summarise_sites(table: pd.DataFrame, seed: int = 0) -> list[dict]:
    """Average over sites, for every class, motif, action and shift, with bootstrap intervals.

    Returns
    -------
    list of dict
        Keys class, motif, action, shift, sites, effect, low, high, regained.
    """
    result = []
    keys = ["class", "motif", "action", "shift"]
    for key, rows in table.groupby(keys, sort=False, dropna=False):
        values = rows["effect"].to_numpy(float)
        means = block_weights(len(values), _REPEATS, seed) @ values / len(values)
        low, high = np.percentile(means, [2.5, 97.5])
        shift, regained = key[3], rows["regained"].astype(float).mean()
        result.append(
            dict(zip(keys[:3], key[:3]))
            | {
                "shift": None if pd.isna(shift) else int(shift),
                "sites": len(values),
                "effect": float(values.mean()),
                "low": float(low),
                "high": float(high),
                "regained": None if pd.isna(regained) else float(regained),
            }
        )
    return result
