"""Baselines that run the same road as the networks: matrices of motifs and models of k-mers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from genomesieve.alphabet import Alphabet
from genomesieve.architecture import Architecture, KmerSettings, PwmSettings
from genomesieve.batches import WindowSource
from genomesieve.errors import InputError
from genomesieve.genome import gather_windows
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.motifs import Motif
from genomesieve.networks import build_network
from genomesieve.validation import validation_average_precision

SPANS = ((8, 8), (40, 10), (10, 40), (40, 40), (80, 80), (160, 160))
"""Bases before and after a site that a matrix may cover; the best is chosen on training data."""


@dataclass(frozen=True)
class Candidate:
    """One matrix that a class could use.

    Parameters
    ----------
    label : str
        What was chosen, for the record.
    log_odds : numpy.ndarray, shape=(letters, width)
    left : int
        Bases before the anchor.
    margin : int
        Bases outside the bin where the anchor may lie.
    """

    label: str
    log_odds: np.ndarray
    left: int
    margin: int


def tile_windows(
    splits: Mapping[str, pd.DataFrame],
    part: str,
    length: int,
    resolution: int,
    strands: tuple[str, ...],
    most_bases: int,
    seed: int,
) -> pd.DataFrame:
    """Tile a part of the split at natural prevalence, at most `most_bases` of it.

    Windows are `length` bp, or as long as the longest interval of the part where that is shorter.

    Returns
    -------
    pandas.DataFrame
        Windows as `WindowSource` takes them, inclusion 1; a random choice where there are more.

    Raises
    ------
    InputError
        If no interval of the part holds a whole bin.
    """
    intervals = [
        (genome, row.contig, -(-row.start // resolution) * resolution, row.end)
        for genome, split in splits.items()
        for row in split[split["part"] == part].itertuples()
    ]
    longest = max((end - first for *_, first, end in intervals), default=0)
    length = min(length, longest // resolution * resolution)
    if length < 1:
        raise InputError(f"no interval of part {part} holds a whole bin of {resolution} bp")
    rows = [
        (genome, contig, at)
        for genome, contig, first, end in intervals
        for at in range(first, end - length + 1, length)
    ]
    windows = pd.DataFrame(rows, columns=["genome", "contig", "start"])
    keep = max(1, most_bases // length)
    if len(windows) > keep:
        chosen = np.random.default_rng(seed).choice(len(windows), keep, replace=False)
        windows = windows.iloc[np.sort(chosen)]
    windows = pd.concat([windows.assign(strand=strand) for strand in strands], ignore_index=True)
    return windows.assign(length=length, inclusion=[np.ones(1)] * len(windows))


def stretches_around(
    labelled: LabelledGenome, starts: np.ndarray, minus: np.ndarray, left: int, right: int
) -> np.ndarray:
    """Copy the sequence around anchors, read in the direction of their strand.

    Parameters
    ----------
    labelled : LabelledGenome
    starts : numpy.ndarray, shape=(n,)
        Anchor bases, counted over all contigs.
    minus : numpy.ndarray, shape=(n,), dtype=bool
    left, right : int
        Bases before and after the anchor on its strand.

    Returns
    -------
    numpy.ndarray, shape=(n, left + 1 + right), dtype=uint8
    """
    genome = labelled.genome
    offsets, lengths = (genome.contigs[name].to_numpy() for name in ("offset", "length"))
    rows = np.searchsorted(offsets, starts, "right") - 1
    first = starts - offsets[rows] - np.where(minus, right, left)
    result = gather_windows(
        genome.codes,
        offsets[rows],
        lengths[rows],
        first,
        left + 1 + right,
        genome.alphabet.unknown,
    )
    result[minus] = genome.alphabet.reverse_complement(result[minus])
    return result


def site_anchors(
    labelled: LabelledGenome, split: pd.DataFrame, row: int, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
    """List the training bins that hold a site, as the first base of the bin on its strand.

    Classes without a strand are listed once a strand, since a motif may point either way.

    Returns
    -------
    anchors : numpy.ndarray, shape=(n,), dtype=int64
        Counted over all contigs.
    minus : numpy.ndarray, shape=(n,), dtype=bool
    """
    anchors = [
        offset + np.unique(positions // resolution) * resolution + side * (resolution - 1)
        for offset, start, end in _training_stretches(labelled, split)
        for side in (0, 1)
        for positions in [
            labelled.positions_between(row, side, offset + start, offset + end) - offset
        ]
    ]
    minus = [np.full(len(item), bool(number % 2)) for number, item in enumerate(anchors)]
    return np.concatenate(anchors), np.concatenate(minus)


def sample_negatives(
    labelled: LabelledGenome,
    split: pd.DataFrame,
    row: int,
    resolution: int,
    count: int,
    generator: np.random.Generator,
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Draw training bins without a site uniformly, on both strands.

    Returns
    -------
    anchors, minus : tuple of numpy.ndarray, shape=(n,)
        As in `site_anchors`.
    total : int
        How many bins they were drawn from.
    """
    stretches = np.array(_training_stretches(labelled, split))
    sizes = (stretches[:, 2] - stretches[:, 1]) // resolution
    which = np.searchsorted(np.cumsum(sizes), generator.integers(0, sizes.sum(), count), "right")
    offset, start, end = stretches[which].T
    first = -(-start // resolution)
    bins = first + generator.integers(0, np.maximum(end // resolution - first, 1))
    minus = generator.random(count) < 0.5
    anchors = offset + bins * resolution + minus * (resolution - 1)
    site, site_minus = site_anchors(labelled, split, row, resolution)
    keep = ~np.isin(anchors * 2 + minus, site * 2 + site_minus)
    return (anchors[keep], minus[keep]), int(2 * sizes.sum())


def _training_stretches(
    labelled: LabelledGenome, split: pd.DataFrame
) -> list[tuple[int, int, int]]:
    """List contig offset, start and end of every training interval."""
    contigs = labelled.genome.contigs.set_index("contig")
    rows = split[split["part"] == "train"]
    return [
        (int(contigs.loc[contig, "offset"]), int(start), int(end))
        for contig, start, end in zip(rows["contig"], rows["start"], rows["end"])
    ]


def count_letters(codes: np.ndarray, alphabet: Alphabet) -> np.ndarray:
    """Count letters per column of aligned sequences (n, width): shape=(letters, width)."""
    return np.stack([(codes == letter).sum(0) for letter in range(alphabet.size)]).astype(float)


def letter_frequencies(
    genomes: Mapping[str, LabelledGenome], splits: Mapping[str, pd.DataFrame]
) -> np.ndarray:
    """Return the frequencies of the letters in the training part, both strands together."""
    counts = 0
    for name, labelled in genomes.items():
        rows = splits[name][splits[name]["part"] == "train"]
        for contig, start, end in zip(rows["contig"], rows["start"], rows["end"]):
            codes = labelled.genome.fetch(contig, int(start), int(end))
            counts = counts + np.bincount(codes, minlength=labelled.genome.alphabet.size + 1)
    alphabet = labelled.genome.alphabet
    known = counts[: alphabet.size].astype(float)
    known += known[alphabet.complement_codes[: alphabet.size]]
    return known / known.sum()


def site_candidates(
    aligned: np.ndarray, reach: int, backgrounds: Mapping[str, np.ndarray], alphabet: Alphabet
) -> list[Candidate]:
    """List matrices counted from aligned training sites, of several spans and backgrounds.

    Parameters
    ----------
    aligned : numpy.ndarray, shape=(sites, 2 * reach + 1), dtype=uint8
        Sequences around the sites of a class, each on the site's strand.
    reach : int
        Bases on each side of the site in `aligned`.
    """
    candidates = []
    for left, right in SPANS:
        counts = count_letters(aligned[:, reach - left : reach + right + 1], alphabet)
        motif = Motif("sites", "sites", counts)
        candidates += [
            Candidate(f"{left}+1+{right} bp, {name} background", motif.log_odds(shares), left, 0)
            for name, shares in backgrounds.items()
        ]
    return candidates


def motif_candidates(
    motifs: list[Motif], backgrounds: Mapping[str, np.ndarray], resolution: int
) -> list[Candidate]:
    """List given motifs with several backgrounds and spans around the bin."""
    return [
        Candidate(
            f"{motif.identifier} {motif.name}, {name} background, margin {margin} bp",
            motif.log_odds(shares),
            motif.counts.shape[1] // 2,
            margin,
        )
        for motif in motifs
        for name, shares in backgrounds.items()
        for margin in (0, resolution // 2)
    ]


def matrix_network(
    chosen: list[Candidate], resolution: int, both_strands: bool, alphabet: Alphabet
) -> tuple[Architecture, nn.Module]:
    """Build the network that scores one matrix a class.

    Matrices are padded with zeros to one width and one anchor; motifs of both strands share the
    anchor of the plus strand.
    """
    left = max(item.left for item in chosen)
    right = max(item.log_odds.shape[1] - 1 - item.left for item in chosen)
    architecture = Architecture(
        PwmSettings(
            resolution=resolution,
            width=left + 1 + right,
            left=left,
            both_strands=both_strands,
            margins=tuple(item.margin for item in chosen),
        )
    )
    network = build_network(architecture, len(chosen), "independent", alphabet=alphabet).eval()
    for row, item in enumerate(chosen):
        first = left - item.left
        # Log2 odds become natural ones, so that scores are log-odds as everywhere.
        values = torch.from_numpy(item.log_odds * np.log(2)).float()
        network.weight[row, :, first : first + values.shape[1]] = values
    return architecture, network


def choose_matrices(
    candidates: list[list[Candidate]],
    source_of: Callable[[Architecture], WindowSource],
    resolution: int,
    both_strands: bool,
    alphabet: Alphabet,
) -> tuple[list[Candidate], list[float]]:
    """Choose the matrix of every class by its average precision on training windows.

    Parameters
    ----------
    candidates : list of list of Candidate
        For every class.
    source_of : callable
        Returns the WindowSource of training windows for an architecture.

    Returns
    -------
    chosen : list of Candidate
    precisions : list of float
        Average precision of each on the training windows.
    """
    best: list[tuple[float, Candidate] | None] = [None] * len(candidates)
    for number in range(max(len(items) for items in candidates)):
        round_of = [items[min(number, len(items) - 1)] for items in candidates]
        architecture, network = matrix_network(round_of, resolution, both_strands, alphabet)
        source: WindowSource = source_of(architecture)
        precisions = validation_average_precision(
            network, source, len(candidates), "independent", torch.device("cpu")
        )
        for row, (value, item) in enumerate(zip(np.nan_to_num(precisions), round_of)):
            if best[row] is None or value > best[row][0]:
                best[row] = (float(value), item)
    return [item for _, item in best], [value for value, _ in best]


@dataclass(frozen=True)
class KmerWeights:
    """A fitted k-mer model of one class: weights of shape (segments, letters**k), and a bias."""

    strength: float
    weights: np.ndarray
    bias: float


def kmer_features(
    codes: np.ndarray, settings: KmerSettings, letters: int
) -> scipy.sparse.csr_matrix:
    """Count k-mers per segment.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(n, width), dtype=uint8
        Column 0 is the base at `settings.edges[0]`; k-mers of the last segment must fit.
    settings : KmerSettings
    letters : int

    Returns
    -------
    scipy.sparse.csr_matrix, shape=(n, segments * letters**k), dtype=float32
        Column `segment * letters**k + k-mer number`.
    """
    k, edges = settings.k, np.asarray(settings.edges)
    starts = int(edges[-1] - edges[0])
    numbers = np.zeros((len(codes), starts), dtype=np.int32)
    known = np.ones((len(codes), starts), dtype=bool)
    for step in range(k):
        letter = codes[:, step : step + starts]
        numbers = numbers * letters + np.where(letter < letters, letter, 0)
        known &= letter < letters
    segment = np.searchsorted(edges, np.arange(starts) + edges[0], "right") - 1
    columns = (numbers + segment * letters**k).astype(np.int32)[known]
    ends = np.concatenate([[0], np.cumsum(known.sum(1))])
    shape = (len(codes), (len(edges) - 1) * letters**k)
    ones = np.ones(len(columns), dtype=np.float32)
    return scipy.sparse.csr_matrix((ones, columns, ends), shape=shape)


def fit_kmer_class(
    positives: np.ndarray,
    negatives: np.ndarray,
    total_negatives: float,
    settings: KmerSettings,
    letters: int,
    strengths: Sequence[float],
) -> list[KmerWeights]:
    """Fit one class against uniformly drawn negatives, once for every strength.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(n, width), dtype=uint8
        Sequences around the bins; negatives are a uniform sample of all negative bins.
    total_negatives : float
        How many negative bins there are, for every positive that was given.
    strengths : sequence of float
        Values of scikit-learn's C, the inverse strength of the penalty.

    Returns
    -------
    list of KmerWeights
        The bias is corrected to the natural rate of sites, which is exact as negatives are uniform.
    """
    features = kmer_features(np.concatenate([positives, negatives]), settings, letters)
    labels = np.repeat([1, 0], [len(positives), len(negatives)])
    shift = np.log(len(negatives) / total_negatives)
    model = LogisticRegression(max_iter=300, warm_start=True)
    fits = []
    for strength in strengths:
        model.set_params(C=strength).fit(features, labels)
        weights = model.coef_[0].reshape(len(settings.edges) - 1, -1)
        fits.append(KmerWeights(strength, weights.copy(), float(model.intercept_[0] + shift)))
    return fits


def choose_kmers(
    fits: list[list[KmerWeights]], network: nn.Module, source: WindowSource
) -> tuple[list[float], list[float]]:
    """Give a k-mer network, class by class, the weights with the best average precision.

    Parameters
    ----------
    fits : list of list of KmerWeights
        For every class, as many for each.
    network : KmerNetwork or StrandAverage of one
        Filled in place.
    source : WindowSource
        Windows at natural prevalence on which to choose: not those that were fitted.

    Returns
    -------
    strengths, precisions : list of float
        What was chosen for each class, and its average precision.
    """
    inner = getattr(network, "network", network)
    precisions = []
    for row_of_fits in zip(*fits):
        inner.fill(row_of_fits)
        precisions.append(
            validation_average_precision(
                network, source, len(fits), "independent", torch.device("cpu")
            )
        )
    table = np.nan_to_num(np.stack(precisions))
    best = table.argmax(0)
    chosen = [fits[row][number] for row, number in enumerate(best)]
    inner.fill(chosen)
    return [item.strength for item in chosen], table.max(0).tolist()
