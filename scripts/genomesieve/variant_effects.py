"""What variants do to the scores of a calibrated model: the largest gain and loss of each class.

For every allele, class and strand the scores of REF and ALT are compared bin by bin (see
`variant_windows`). A gain is the largest rise, a loss the largest fall, both 0 or more, of the
calibrated probability and, separately, of the calibrated log-odds (the probability's logit, which
still tells differences where the probability is all but 0 or 1). Scores are not rounded, unlike
those of a scan: a difference between two alike sequences must not be the rounding's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit

from genomesieve.bundle import Bundle
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome, fetch_window
from genomesieve.model_description import require_calibrated
from genomesieve.planning import ScanPlan
from genomesieve.scanner import Scanner
from genomesieve.variant_records import VariantRecord
from genomesieve.variant_windows import (
    Comparison,
    fetch_changed,
    plan_comparison,
    reduce_alleles,
)

NOISE = {"probability": 1e-6, "log_odds": 1e-5}
"""Differences below are the rounding of float32 and count as none."""

_STEP = 16
"""About bp: window lengths are multiples of it, so that windows of one length fill a batch."""
_VALUES_AT_ONCE = 1 << 22
_ALLELES_AT_ONCE = 512


@dataclass(frozen=True)
class Peak:
    """The largest change of a class in one direction.

    Parameters
    ----------
    value : float
        0 or more.
    base : int
        0-based reference base in the middle of the bin; -1 where the value is 0.
    strand : int
        0 is the plus strand, 1 the minus strand.
    """

    value: float = 0.0
    base: int = -1
    strand: int = 0


@dataclass(frozen=True)
class Effect:
    """What one allele does to one class; None throughout where no bin could be compared."""

    gain: Peak | None
    loss: Peak | None
    log_odds_gain: Peak | None
    log_odds_loss: Peak | None


@dataclass
class _Rows:
    """Sequences that are to be scored, in groups of one length."""

    codes: dict[int, list[np.ndarray]] = field(default_factory=dict)
    known: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, length: int, codes: np.ndarray) -> tuple[int, int]:
        """Add a sequence; return where it will be found."""
        group = self.codes.setdefault(length, [])
        group.append(codes)
        return length, len(group) - 1


class VariantScorer:
    """Scores variants in batches of windows of one length.

    Parameters
    ----------
    scanner : Scanner
        Of a calibrated model that sees the sequence alone.
    genome : EncodedGenome
    calibrations : list of mapping
        `slope` and `intercept` of each class.
    distance : int
        bp around a change in which scores are compared.
    """

    def __init__(
        self,
        scanner: Scanner,
        genome: EncodedGenome,
        calibrations: list[Mapping],
        distance: int,
    ):
        self.scanner, self.genome, self.distance = scanner, genome, distance
        architecture = scanner.bundle.architecture
        self.resolution, self.stride = architecture.resolution, architecture.stride
        self.context = architecture.context
        self._step = self.stride * -(-_STEP // self.stride)
        self._slope, self._intercept = (
            np.array([one[key] for one in calibrations], dtype=np.float64)[:, None]
            for key in ("slope", "intercept")
        )
        plan = scanner.plan
        self._bases = plan.batch * (plan.chunk + 2 * self.context)
        bundle = scanner.bundle
        values = bundle.strands * len(bundle.classes) * (2 * distance / self.resolution + 2)
        self._block = max(1, min(_ALLELES_AT_ONCE, int(_VALUES_AT_ONCE / values)))
        self._place = genome.contigs[["offset", "length"]].to_numpy(np.int64)

    def score(
        self, records: Iterable[VariantRecord]
    ) -> Iterator[tuple[VariantRecord, list[list[Effect] | None]]]:
        """Yield each record, in order, with what its alleles do.

        Yields
        ------
        record : VariantRecord
        effects : list
            For each ALT allele one Effect a class, or None where the allele cannot be scored.
        """
        for block in _blocks(records, self._block):
            plans = [self._plan(record) for record in block]
            rows = _Rows()
            places = [self._add(rows, one) for record in plans for one in record if one]
            scores = {length: self._run(codes) for length, codes in rows.codes.items()}
            found = iter(places)
            for record, comparisons in zip(block, plans):
                yield (
                    record,
                    [
                        self._effects(one, scores, next(found)) if one else None
                        for one in comparisons
                    ],
                )

    def _plan(self, record: VariantRecord) -> list[Comparison | None]:
        """Choose the windows of a record's alleles."""
        size = int(self._place[record.contig, 1])
        grid = self.distance, self.resolution, self.stride, self._step
        return [
            plan_comparison(
                reduce_alleles(record.start, record.reference, one.codes),
                record.contig,
                size,
                *grid,
            )
            if one.codes is not None
            else None
            for one in record.alternatives
        ]

    def _add(self, rows: _Rows, one: Comparison) -> list[tuple[int, int]]:
        """Add the sequences of an allele: the reference, ALT, and ALT in line on the right."""
        start, end = one.start - self.context, one.start + one.length + self.context
        offset, size = map(int, self._place[one.contig])
        key = one.contig, one.start, one.length
        if key not in rows.known:
            beyond = self.genome.alphabet.unknown
            codes = fetch_window(self.genome.codes, offset, size, start, end, beyond)
            rows.known[key] = rows.add(one.length, codes)
        shifts = (0, one.change.shift) if one.change.shift else (0,)
        place = self.genome, (offset, size), one.change
        changed = [fetch_changed(*place, start + shift, end + shift) for shift in shifts]
        return [rows.known[key], *(rows.add(one.length, codes) for codes in changed)]

    def _run(self, codes: list[np.ndarray]) -> np.ndarray:
        """Score sequences of one length, as many at once as the scan plan's memory allows.

        Returns
        -------
        numpy.ndarray, shape=(N, strands, classes, bins), dtype=float32
        """
        most = max(1, self._bases // len(codes[0]))
        batches = [np.stack(codes[first : first + most]) for first in range(0, len(codes), most)]
        return np.concatenate([self.scanner.log_odds(batch) for batch in batches])

    def _effects(
        self, one: Comparison, scores: dict[int, np.ndarray], places: list[tuple[int, int]]
    ) -> list[Effect]:
        """Compare the scores of an allele with those of the reference."""
        reference, *changed = (self._calibrate(scores[length][row]) for length, row in places)
        compared = compare(one, self.resolution, reference, changed)
        log_odds = peaks(compared, NOISE["log_odds"])
        chances = replace(
            compared,
            reference=expit(compared.reference),
            alternative=expit(compared.alternative),
        )
        return [
            Effect(*both, *logs)
            for both, logs in zip(peaks(chances, NOISE["probability"]), log_odds)
        ]

    def _calibrate(self, scores: np.ndarray) -> np.ndarray:
        """Turn a row's log-odds into calibrated ones (float64)."""
        return self._slope * scores + self._intercept


@dataclass(frozen=True)
class Compared:
    """Scores of two alleles side by side.

    Parameters
    ----------
    reference, alternative : numpy.ndarray, shape=(strands, classes, n)
        NaN where one of them is not scored.
    lost_at, gained_at : numpy.ndarray, shape=(strands, classes, n), dtype=int64
        The reference base that a fall or a rise belongs to.
    """

    reference: np.ndarray
    alternative: np.ndarray
    lost_at: np.ndarray
    gained_at: np.ndarray


def compare(
    one: Comparison, resolution: int, reference: np.ndarray, changed: list[np.ndarray]
) -> Compared:
    """Set the scores of two alleles side by side, the group of a shifted change as one.

    Parameters
    ----------
    one : Comparison
    resolution : int
    reference : numpy.ndarray, shape=(strands, classes, bins of the window)
    changed : list of numpy.ndarray
        Scores of the alternative in line with the reference on the left and, where the change
        shifts bases, in line on its right.

    Returns
    -------
    Compared
    """
    first = one.start // resolution
    middle = (resolution - 1) // 2
    bins = np.arange(one.bins.start, one.bins.stop)
    if not one.group:
        at = np.broadcast_to(bins * resolution + middle, (*reference.shape[:2], len(bins)))
        return Compared(reference[..., bins - first], changed[0][..., bins - first], at, at)
    left, right = changed
    group, shift = one.group, one.change.shift
    before, after = bins[bins < group.start], bins[bins >= group.stop]
    inside = np.arange(group.start, group.stop)
    # The last bin before the group's right end, counted along the alternative.
    starts = [*(np.arange(group.start, group.start + one.whole) * resolution),
              (group.stop - 1) * resolution + shift]  # fmt: skip
    own = [one.change.place_of(int(start) + middle) for start in starts]
    whole = slice(group.start - first, group.start - first + one.whole)
    last = group.stop - 1 - first
    both = np.concatenate([left[..., whole], right[..., last : last + 1]], axis=-1)
    lost, lost_at = _best(reference[..., inside - first], inside * resolution + middle)
    gained, gained_at = _best(both, np.array(own))
    at = np.concatenate([before, after]) * resolution + middle
    at = np.broadcast_to(at, (*reference.shape[:2], len(at)))
    outside = np.concatenate([before, after]) - first
    parts = [left[..., before - first], right[..., after - first], gained]
    return Compared(
        np.concatenate([reference[..., outside], lost], axis=-1),
        np.concatenate(parts, axis=-1),
        np.concatenate([at, lost_at], axis=-1),
        np.concatenate([at, gained_at], axis=-1),
    )


def _best(scores: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best score of the last axis (NaN where none is scored) and its place."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    place = known.argmax(axis=-1)[..., None]
    return np.take_along_axis(scores, place, axis=-1), at[place]


def peaks(compared: Compared, noise: float) -> list[tuple[Peak | None, Peak | None]]:
    """Return the largest rise and the largest fall of each class.

    Parameters
    ----------
    compared : Compared
    noise : float
        Smaller changes count as none.

    Returns
    -------
    list of tuple
        Gain and loss a class; None where nothing could be compared. Of equal ones the first
        counts, the plus strand first.
    """
    difference = (compared.alternative - compared.reference).transpose(1, 0, 2)
    columns = difference.shape[-1]
    flat = difference.reshape(len(difference), -1)
    gained, lost = (
        at.transpose(1, 0, 2).reshape(flat.shape) for at in (compared.gained_at, compared.lost_at)
    )
    known = ~np.isnan(flat)
    return [
        (
            _peak(np.where(known[row], flat[row], -np.inf), gained[row], columns, noise),
            _peak(np.where(known[row], -flat[row], -np.inf), lost[row], columns, noise),
        )
        if known[row].any()
        else (None, None)
        for row in range(len(flat))
    ]


def _peak(changes: np.ndarray, at: np.ndarray, columns: int, noise: float) -> Peak:
    """Return the largest of some changes, strand after strand."""
    place = int(changes.argmax())
    if changes[place] < noise:
        return Peak()
    return Peak(float(changes[place]), int(at[place]), place // columns)


def _blocks(records: Iterable[VariantRecord], alleles: int) -> Iterator[list[VariantRecord]]:
    """Collect records until they have so many alleles."""
    block: list[VariantRecord] = []
    count = 0
    for record in records:
        block.append(record)
        count += len(record.alternatives)
        if count >= alleles:
            yield block
            block, count = [], 0
    if block:
        yield block


def variant_scanner_plan(bundle: Bundle, precision: str) -> ScanPlan:
    """Return the scan plan of a calibrated bundle for windows of other lengths.

    Parameters
    ----------
    bundle : Bundle
    precision : str
        `plan` for that of the calibration, or `float32`.

    Raises
    ------
    InputError
        If the model is not calibrated, or sees more than the sequence.
    """
    if bundle.signals:
        raise InputError(
            f"model {bundle.name} sees {', '.join(bundle.signals)} beside the sequence; expected a "
            "model of the sequence alone: nobody knows these signals of the other allele"
        )
    if not bundle.calibration or not bundle.scan_plan:
        raise InputError(
            f"model {bundle.name} is not calibrated; expected one written by calibrate_model"
        )
    require_calibrated(bundle.calibration, bundle.classes, bundle.name)
    plan = ScanPlan(**bundle.scan_plan)
    precision = plan.precision if precision == "plan" else precision
    # A compiled network is compiled for the one shape of a scan.
    return replace(plan, precision=precision, compile=False)
