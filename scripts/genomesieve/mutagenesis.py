"""In-silico mutagenesis: what every small change of a sequence does to the log-odds of a site.

All is said in the reading direction of the site's strand, with positions counted from the first
base of the bin that is looked at. Effects are log-odds of the mutant less log-odds of the sequence
as it is. They are effects on the model; only an experiment speaks of the cell.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.architecture import Architecture
from genomesieve.bundle import Bundle
from genomesieve.differencing import Differencer, NotTraceable
from genomesieve.gathering import one_hot
from genomesieve.genome import EncodedGenome, contig_rows, gather_windows
from genomesieve.inference import prepare_for_scan
from genomesieve.networks import log_odds
from genomesieve.progress import watched

logger = logging.getLogger(__name__)

_ROWS = 768
"""Mutants that run together, about: fewer leave a processor waiting for the next small step."""
_WHOLE_ROWS = 256
"""The same where windows run as a whole: more leave the cache."""
_MOST_PLACES = 8
"""Neighbouring places that are changed together; all of them count as changed in every mutant."""
_MOST_SITES = 128
_REFERENCE_BYTES = 1 << 29
"""Most memory for the features of the references that run together, and for those of mutants."""
_BYTES_A_BASE = 1024
"""Of the features of a whole window, about."""


@dataclass(frozen=True)
class SiteWindows:
    """Sequence around sites, each read in the direction of its strand.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(sites, 1 + length + 1), dtype=uint8
        All that the bin's prediction sees and one base more on each side, which deletions pull in.
    anchors : numpy.ndarray, shape=(sites,), dtype=int64
        Where the bin's first base stands among the `length` bases.
    bins : numpy.ndarray, shape=(sites,), dtype=int64
        Which prediction of the window is the site's.
    """

    codes: np.ndarray
    anchors: np.ndarray
    bins: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def length(self) -> int:
        """Bases that the network sees."""
        return self.codes.shape[1] - 2

    @property
    def seen(self) -> np.ndarray:
        """The bases that the network sees, shape=(sites, length)."""
        return self.codes[:, 1:-1]

    def take(self, rows: np.ndarray | slice) -> SiteWindows:
        """Return some of the sites."""
        return SiteWindows(self.codes[rows], self.anchors[rows], self.bins[rows])


def cut_windows(
    genome: EncodedGenome,
    contigs: Sequence[str],
    positions: np.ndarray,
    minus: np.ndarray,
    architecture: Architecture,
) -> SiteWindows:
    """Cut the windows of sites out of a genome.

    Parameters
    ----------
    genome : EncodedGenome
    contigs : sequence of str, length=sites
    positions : numpy.ndarray, shape=(sites,), dtype=int64
        A base of the bin to look at, 0-based.
    minus : numpy.ndarray, shape=(sites,), dtype=bool
        Sites that are read on the minus strand.
    architecture : Architecture
        A window is one stride of its grid and the context on both sides.

    Returns
    -------
    SiteWindows
        Unknown bases past the ends of contigs.
    """
    stride, resolution = architecture.stride, architecture.resolution
    context = architecture.context
    rows = contig_rows(genome.contigs, contigs, genome.name)
    offset, length = (
        genome.contigs[name].to_numpy(np.int64)[rows] for name in ("offset", "length")
    )
    start = positions // stride * stride
    bins = (positions - start) // resolution
    width = stride + 2 * context + 2
    unknown = genome.alphabet.unknown
    codes = gather_windows(genome.codes, offset, length, start - context - 1, width, unknown)
    codes[minus] = genome.alphabet.reverse_complement(codes[minus])
    bins = np.where(minus, stride // resolution - 1 - bins, bins)
    return SiteWindows(codes, context + bins * resolution, bins)


class MutantScorer:
    """Scores mutants of windows for one class, or for all.

    Parameters
    ----------
    bundle : Bundle
    class_index : int or None
        None for all classes: scores then have a last axis of classes.
    device : torch.device
    alphabet : Alphabet
    differencing : bool
        Whether only what a mutation reaches is computed again; False runs every mutant's window as
        a whole, and so does a network that cannot be traced.
    rows : int
        Mutants that run together, about.
    """

    def __init__(
        self,
        bundle: Bundle,
        class_index: int | None = None,
        device: torch.device | None = None,
        alphabet: Alphabet = DNA,
        differencing: bool = True,
        rows: int = _ROWS,
    ):
        self.class_index, self.labels, self.alphabet = class_index, bundle.labels, alphabet
        self.classes = len(bundle.classes)
        self.device = device or torch.device("cpu")
        architecture = bundle.architecture
        length = architecture.stride + 2 * architecture.context
        self.rows = max(1, min(rows, _REFERENCE_BYTES // (length * _BYTES_A_BASE)))
        codes = np.random.default_rng(0).integers(0, alphabet.size, (1, length), dtype=np.uint8)
        trial = one_hot(torch.from_numpy(codes), alphabet)
        self.network = prepare_for_scan(bundle.network, trial, bundle.labels).to(self.device)
        self._differencer: Differencer | None = None
        self._bytes_a_site = 4 * length * alphabet.size
        with torch.inference_mode():
            if differencing:
                try:
                    self._differencer = Differencer(self.network, trial.to(self.device))
                    self._differencer.reference(trial.to(self.device))
                    self._bytes_a_site = self._differencer.bytes_of_references()
                except NotTraceable as reason:
                    logger.warning("every mutant runs as a whole: %s", reason)
        if not self.follows:
            self.rows = min(self.rows, _WHOLE_ROWS)

    @property
    def follows(self) -> bool:
        """Whether only what a change reaches is computed again."""
        return self._differencer is not None

    @property
    def sites(self) -> int:
        """How many sites may run together."""
        most = min(_MOST_SITES, self.rows // (self.alphabet.size - 1))
        return max(1, min(most, _REFERENCE_BYTES // self._bytes_a_site))

    def reference(self, codes: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """Score sequences as they are and remember them for `mutants`.

        Parameters
        ----------
        codes : numpy.ndarray, shape=(sites, length), dtype=uint8
        bins : numpy.ndarray, shape=(sites,), dtype=int64
            Which prediction of the window is wanted.

        Returns
        -------
        numpy.ndarray, shape=(sites,) or (sites, classes), dtype=float32
            Log-odds.
        """
        with torch.inference_mode():
            self._bins = torch.from_numpy(bins).to(self.device)
            self._codes = torch.from_numpy(np.ascontiguousarray(codes)).to(self.device)
            x = one_hot(self._codes, self.alphabet)
            run = self.network if self._differencer is None else self._differencer.reference
            return self._pick(run(x).unsqueeze(1))[:, 0].cpu().numpy()

    def mutants(self, first: int, changed: np.ndarray) -> np.ndarray:
        """Score mutants of the sequences last given to `reference`.

        Parameters
        ----------
        first : int
            Place of the first base that may differ.
        changed : numpy.ndarray, shape=(sites, mutants, n), dtype=uint8
            The codes of n bases from there on.

        Returns
        -------
        numpy.ndarray, shape=(sites, mutants) or (sites, mutants, classes), dtype=float32
            Log-odds.
        """
        with torch.inference_mode():
            codes = torch.from_numpy(np.ascontiguousarray(changed)).to(self.device)
            if self._differencer is None:
                return self._run_whole(first, codes).cpu().numpy()
            letters = one_hot(codes.flatten(0, 1), self.alphabet).unflatten(0, codes.shape[:2])
            return self._pick(self._differencer.mutants(first, letters)).cpu().numpy()

    def _run_whole(self, first: int, changed: Tensor) -> Tensor:
        """Run the whole windows of mutants."""
        codes = self._codes.unsqueeze(1).repeat(1, changed.shape[1], 1)
        codes[..., first : first + changed.shape[2]] = changed
        logits = self.network(one_hot(codes.flatten(0, 1), self.alphabet))
        return self._pick(logits.unflatten(0, codes.shape[:2]))

    def _pick(self, logits: Tensor) -> Tensor:
        """Turn logits (sites, mutants, outputs, bins) into log-odds of the sites' bins."""
        index = self._bins[:, None, None, None].expand(*logits.shape[:3], 1)
        scores = log_odds(logits.gather(3, index).flatten(0, 1), self.labels).squeeze(2)
        scores = scores.unflatten(0, logits.shape[:2])
        return scores if self.class_index is None else scores[..., self.class_index]


@dataclass(frozen=True)
class Effects:
    """What changes do to the log-odds of sites; NaN where the base is unknown.

    Parameters
    ----------
    scores : numpy.ndarray, shape=(sites,), dtype=float32
        Log-odds of the sequences as they are.
    substitutions : numpy.ndarray, shape=(sites, positions, letters), dtype=float32
        The letter in place of the base; 0 for the base itself.
    deletions : numpy.ndarray, shape=(sites, positions), dtype=float32, or None
        The base taken out; its flank moves up, so that the bin stays where it is.
    insertions : numpy.ndarray, shape=(sites, positions, letters), dtype=float32, or None
        The letter put before the base; the flank moves outwards.
    """

    scores: np.ndarray
    substitutions: np.ndarray
    deletions: np.ndarray | None = None
    insertions: np.ndarray | None = None


def measure_effects(
    scorer: MutantScorer, windows: SiteWindows, offsets: range, indels: bool = False
) -> Effects:
    """Measure the effects of all changes of one base around sites.

    Parameters
    ----------
    scorer : MutantScorer
    windows : SiteWindows
    offsets : range
        Positions to change, from the first base of the bin; what the bin does not see has effect 0.
    indels : bool
        Whether to delete and insert single bases too.

    Returns
    -------
    Effects
    """
    size = scorer.alphabet.size
    shape = len(windows), len(offsets)
    scores = np.zeros(len(windows), dtype=np.float32)
    substitutions = np.zeros((*shape, size), dtype=np.float32)
    deletions = np.zeros(shape, dtype=np.float32) if indels else None
    insertions = np.zeros_like(substitutions) if indels else None
    groups = list(_groups(windows.anchors, scorer.sites))
    for rows in watched(groups, "group", "mutagenesis"):
        mine = windows.take(rows)
        anchor = int(mine.anchors[0])
        scores[rows] = before = scorer.reference(mine.seen, mine.bins)
        places = places_in_reach(offsets, anchor, mine.length)
        if not len(places):
            continue
        columns = slice(places.start - anchor - offsets.start, places.stop - anchor - offsets.start)
        known = mine.seen[:, places.start : places.stop] != scorer.alphabet.unknown
        found = score_substitutions(scorer, mine, places) - before[:, None, None]
        own = mine.seen[:, places.start : places.stop, None] == np.arange(size)
        substitutions[rows, columns] = np.where(own, 0, _known(found, known))
        if indels:
            found = _delete(scorer, mine, places) - before[:, None]
            deletions[rows, columns] = _known(found, known)
            found = _insert(scorer, mine, places) - before[:, None, None]
            insertions[rows, columns] = _known(found, known)
    return Effects(scores, substitutions, deletions, insertions)


def _known(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Set to NaN what belongs to unknown bases."""
    mask = known if found.ndim == 2 else known[..., None]
    return np.where(mask, found, np.float32(np.nan))


def _groups(anchors: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Yield rows whose bins stand at one place of their windows, some at a time."""
    for anchor in np.unique(anchors):
        rows = np.flatnonzero(anchors == anchor)
        yield from (rows[first : first + most] for first in range(0, len(rows), most))


def places_in_reach(offsets: range, anchor: int, length: int) -> range:
    """Return the places of a window that stand at some of the offsets from its anchor."""
    first = max(offsets.start + anchor, 0)
    return range(first, max(first, min(offsets.stop + anchor, length)))


def score_substitutions(scorer: MutantScorer, windows: SiteWindows, places: range) -> np.ndarray:
    """Score every other letter at every place of the windows last given to `reference`.

    Parameters
    ----------
    scorer : MutantScorer
    windows : SiteWindows
        At most `scorer.sites`.
    places : range
        Of the bases that the network sees, step 1.

    Returns
    -------
    numpy.ndarray, shape=(sites, places, letters) or (sites, places, letters, classes)
        Log-odds, float32; 0 for the letter that stands there. What is said of an unknown base
        means nothing.
    """
    size, seen = scorer.alphabet.size, windows.seen
    classes = (scorer.classes,) if scorer.class_index is None else ()
    result = np.zeros((len(windows), len(places), size, *classes), dtype=np.float32)
    together = max(1, scorer.rows // (len(windows) * (size - 1)))
    if scorer.follows:
        together = min(together, _MOST_PLACES)
    for first in range(places.start, places.stop, together):
        span = seen[:, first : min(first + together, places.stop)]
        width = span.shape[1]
        # (site, place, alternative): unknown bases take the first ones, and are masked later.
        own = np.where(span == scorer.alphabet.unknown, size - 1, span)[..., None]
        letters = (own + np.arange(1, size, dtype=np.uint8)) % size
        changed = np.repeat(span[:, None], width * (size - 1), axis=1)
        changed = changed.reshape(len(windows), width, size - 1, width)
        each = np.arange(width)
        changed[:, each, :, each] = letters.transpose(1, 0, 2)
        scores = scorer.mutants(first, changed.reshape(len(windows), -1, width))
        scores = scores.reshape(*letters.shape, *classes)
        part = result[:, first - places.start : first - places.start + width]
        where = letters.astype(np.int64).reshape(*letters.shape, *(1 for _ in classes))
        np.put_along_axis(part, where, scores, axis=2)
    return result


def _delete(scorer: MutantScorer, windows: SiteWindows, places: range) -> np.ndarray:
    """Score the loss of the base at every place; (sites, places)."""
    codes, length, anchor = windows.codes, windows.length, int(windows.anchors[0])
    result = np.zeros((len(windows), len(places)), dtype=np.float32)
    for column, place in enumerate(places):
        # In `codes` every place is one further on.
        if place < anchor:
            first, changed = 0, codes[:, : place + 1]
        else:
            first, changed = place, codes[:, place + 2 : length + 2]
        result[:, column] = scorer.mutants(first, changed[:, None])[:, 0]
    return result


def _insert(scorer: MutantScorer, windows: SiteWindows, places: range) -> np.ndarray:
    """Score every letter before every place; (sites, places, letters)."""
    seen, anchor, size = windows.seen, int(windows.anchors[0]), scorer.alphabet.size
    result = np.zeros((len(windows), len(places), size), dtype=np.float32)
    letters = np.arange(size, dtype=np.uint8)[None, :, None].repeat(len(windows), axis=0)
    for column, place in enumerate(places):
        if place <= anchor:
            flank, first = seen[:, None, 1:place], 0
            parts = [np.repeat(flank, size, axis=1), letters]
        else:
            flank, first = seen[:, None, place:-1], place
            parts = [letters, np.repeat(flank, size, axis=1)]
        changed = np.concatenate(parts, axis=2)
        if place == 0:  # it would stand before the first base that is seen
            changed, first = seen[:, None, :1].repeat(size, axis=1), 0
        result[:, column] = scorer.mutants(first, changed)
    return result
