"""Parts of contigs written as text: `contig:start-end`, 0-based half-open."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from genomesieve.errors import InputError
from genomesieve.genome import contig_index
from genomesieve.whole_numbers import whole_number

_REGION = re.compile(r"^(?P<contig>.+):(?P<start>[0-9,_]+)-(?P<end>[0-9,_]+)$")


def parse_regions(
    texts: Iterable[str], contigs: pd.DataFrame, genome: str, source: str
) -> pd.DataFrame:
    """Read regions such as `chr1:0-5000` (0-based half-open) or whole contigs such as `chr1`.

    Parameters
    ----------
    texts : iterable of str
        Regions in the FASTA's own contig names; none at all means the whole genome.
    contigs : pandas.DataFrame
        Columns contig, length.
    genome : str
    source : str
        Where the text stands (file and column, or key), for messages.

    Returns
    -------
    pandas.DataFrame
        Columns contig (str), start, end (int64), sorted in the order of `contigs`; adjacent
        regions stay separate.

    Raises
    ------
    InputError
        If a region cannot be read, lies outside its contig, or overlaps another.
    """
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{source}: found {texts!r}; expected a list of text")
    if not texts:
        rows = [(name, 0, length) for name, length in zip(contigs["contig"], contigs["length"])]
        return pd.DataFrame(rows, columns=["contig", "start", "end"])
    names = set(contigs["contig"])
    lengths = dict(zip(contigs["contig"], contigs["length"]))
    order = {name: row for row, name in enumerate(contigs["contig"])}
    rows = []
    for text in texts:
        contig, start, end = _read_region(text, names, lengths, contigs, genome, source)
        rows.append((contig, start, end))
    rows.sort(key=lambda row: (order[row[0]], row[1]))
    for (contig, _, end), (other, start, other_end) in zip(rows, rows[1:]):
        if contig == other and start < end:
            raise InputError(
                f"{source}: region {other}:{start}-{other_end} of genome {genome} overlaps "
                f"another that ends at {end}; expected regions that do not overlap"
            )
    return pd.DataFrame(rows, columns=["contig", "start", "end"])


def _read_region(text, names, lengths, contigs, genome, source) -> tuple[str, int, int]:
    """Return contig, start and end of one region, checked against the contig's length."""
    if text in names:
        return text, 0, int(lengths[text])
    match = _REGION.match(text)
    if match is None:
        if ":" not in text:
            contig_index(contigs, text, genome)
        raise InputError(f"{source}: {text!r} is not a region; expected contig:start-end")
    contig = match["contig"]
    contig_index(contigs, contig, genome)
    try:
        start, end = (whole_number(re.sub("[,_]", "", match[key])) for key in ("start", "end"))
    except ValueError:
        raise InputError(f"{source}: {text!r} is not a region; expected whole numbers") from None
    if not 0 <= start < end <= lengths[contig]:
        raise InputError(
            f"{source}: region {text} of genome {genome} is empty or reaches beyond {contig}; "
            f"expected 0 <= start < end <= {lengths[contig]}"
        )
    return contig, start, end
