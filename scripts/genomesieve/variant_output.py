"""Writing what variants do into the INFO column of the records that they came from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genomesieve.variant_effects import Effect, Peak
from genomesieve.variant_records import INFO_COLUMN, MISSING, VariantRecord

EFFECTS, GAIN, LOSS, SKIPPED = "GS", "GS_GAIN", "GS_LOSS", "GS_SKIPPED"
"""Our fields of INFO."""
PARTS = ("ALLELE", "CLASS")
PARTS += tuple(
    f"{score}{way}{part}"
    for score in ("", "LOG_ODDS_")
    for way in ("GAIN", "LOSS")
    for part in ("", "_AT", "_STRAND")
)
"""What stands between the bars of `GS`, in this order."""

_OURS = re.compile(rf"##INFO=<ID=({EFFECTS}|{GAIN}|{LOSS}|{SKIPPED}),|##genomesieve_variants=")
_STRANDS = "+-"
_NONE = Peak()


def describe_fields(source: str) -> list[str]:
    """Return the header lines of our fields.

    Parameters
    ----------
    source : str
        Which model scored them, and how.
    """
    return [
        f"##genomesieve_variants={source}",
        f'##INFO=<ID={EFFECTS},Number=.,Type=String,Description="Effect of an ALT allele (counted '
        "from 1) on each class: the largest gain and loss of the calibrated probability and of its "
        "log-odds, where it lies (bp from POS, negative to the left) and on which strand. "
        f'Format: {"|".join(PARTS)}">',
        f'##INFO=<ID={GAIN},Number=A,Type=Float,Description="Largest gain of probability, any '
        'class">',
        f'##INFO=<ID={LOSS},Number=A,Type=Float,Description="Largest loss of probability, any '
        'class">',
        f'##INFO=<ID={SKIPPED},Number=A,Type=String,Description="Why an ALT allele was not '
        'scored">',
    ]


def extend_header(header: Sequence[str], columns: str, source: str) -> list[str]:
    """Return all header lines: those of the input, in order, and ours in front of the columns.

    Lines that an earlier run wrote of the same fields are replaced.
    """
    kept = [line for line in header if not _OURS.match(line)]
    return [*kept, *describe_fields(source), columns]


def format_record(
    record: VariantRecord,
    effects: Sequence[Sequence[Effect] | None],
    classes: Sequence[str],
    stranded: bool,
) -> str:
    """Return a record's line with our fields at the end of INFO, everything else as it was.

    Parameters
    ----------
    record : VariantRecord
    effects : sequence
        For each ALT allele one Effect a class, or None where it was not scored.
    classes : sequence of str
    stranded : bool
        Whether sites have a strand.
    """
    fields = list(record.fields)
    fields[INFO_COLUMN] = _info(record, effects, classes, stranded)
    return "\t".join(fields)


def _info(
    record: VariantRecord,
    effects: Sequence[Sequence[Effect] | None],
    classes: Sequence[str],
    stranded: bool,
) -> str:
    """Return the INFO column."""
    ours = (EFFECTS, GAIN, LOSS, SKIPPED)
    given = record.fields[INFO_COLUMN]
    items = [] if given == MISSING else given.split(";")
    items = [item for item in items if item.split("=", 1)[0] not in ours]
    entries = [
        _entry(number, name, one, record.start, stranded)
        for number, found in enumerate(effects, start=1)
        for name, one in zip(classes, found or ())
    ]
    if entries:
        items.append(f"{EFFECTS}={','.join(entries)}")
        for key, way in ((GAIN, "gain"), (LOSS, "loss")):
            items.append(f"{key}={','.join(_largest(found, way) for found in effects)}")
    reasons = [one.reason or MISSING for one in record.alternatives]
    if any(reason != MISSING for reason in reasons):
        items.append(f"{SKIPPED}={','.join(reasons)}")
    return ";".join(items) or MISSING


def _entry(number: int, name: str, one: Effect, start: int, stranded: bool) -> str:
    """Return what an allele does to a class, with bars between."""
    found = (one.gain, one.loss, one.log_odds_gain, one.log_odds_loss)
    words = [word for peak in found for word in _peak(peak, start, stranded)]
    return "|".join([str(number), name, *words])


def _peak(peak: Peak | None, start: int, stranded: bool) -> tuple[str, str, str]:
    """Return value, distance from POS and strand; a dot for what is not known or does not apply."""
    if peak is None:
        return MISSING, MISSING, MISSING
    if peak == _NONE:
        return "0", MISSING, MISSING
    strand = _STRANDS[peak.strand] if stranded else MISSING
    return f"{peak.value:.6g}", str(peak.base - start), strand


def _largest(found: Sequence[Effect] | None, way: str) -> str:
    """Return the largest gain or loss of probability of all classes."""
    peaks = [getattr(one, way) for one in found or ()]
    values = [peak.value for peak in peaks if peak is not None]
    return f"{max(values):.6g}" if values else MISSING
