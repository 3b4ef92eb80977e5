"""Known motifs, and which of them a found one is most like: Tomtom against JASPAR.

Tomtom (Gupta et al. 2007) is memelite's. Its p-value of two motifs takes every offset and both
strands into account; the q-value is Benjamini and Hochberg's over all targets of one motif, as in
Tomtom itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from memelite import tomtom
from memelite.io import read_meme

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.compression import read_lines
from genomesieve.errors import InputError
from genomesieve.explanation_settings import JASPAR_GROUPS
from genomesieve.found_motifs import FoundMotif
from genomesieve.motifs import Motif, read_jaspar

MATCH_COLUMNS = ("motif", "rank", "match_id", "match_name", "p_value", "q_value", "e_value",
                 "offset", "overlap", "strand")  # fmt: skip


@dataclass(frozen=True)
class MotifDatabase:
    """Known motifs to match against.

    Parameters
    ----------
    label : str
        Where they come from, such as `JASPAR2026 CORE fungi`.
    motifs : list of Motif
    """

    label: str
    motifs: list[Motif]


def load_database(name: str, alphabet: Alphabet = DNA) -> MotifDatabase:
    """Load the motifs of a taxonomic group of JASPAR, or of a file.

    Parameters
    ----------
    name : str
        One of `JASPAR_GROUPS`, `all` of them, `none`, or the path of a file in JASPAR or MEME
        format.
    alphabet : Alphabet

    Raises
    ------
    InputError
        If it is none of these, or the file is not in either format.
    """
    if name == "none":
        return MotifDatabase("none", [])
    if name == "all" or name in JASPAR_GROUPS:
        return _load_jaspar(name, alphabet)
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"--database: {name!r} is no file; expected {', '.join(JASPAR_GROUPS)}, all, none, "
            "or the path of a file in JASPAR or MEME format"
        )
    return MotifDatabase(path.name, read_motif_file(path, alphabet))


def _load_jaspar(group: str, alphabet: Alphabet) -> MotifDatabase:
    """Read the newest CORE motifs of the JASPAR release that pyjaspar brings with it."""
    # Imported late: it needs a second, and a file of motifs does not need it at all.
    from pyjaspar import jaspardb

    source = jaspardb()
    groups = list(JASPAR_GROUPS) if group == "all" else [group]
    found = source.fetch_motifs(collection="CORE", tax_group=groups)
    motifs = [
        Motif(one.matrix_id, one.name, np.array([one.counts[x] for x in alphabet.letters], float))
        for one in found
    ]
    label = f"{source.release} CORE {group}"
    return MotifDatabase(label, sorted(motifs, key=lambda one: one.identifier))


def read_motif_file(path: Path, alphabet: Alphabet = DNA) -> list[Motif]:
    """Read motifs in MEME or JASPAR format, whichever the file begins with."""
    for _, line in read_lines(path, "motif file"):
        if line.strip():
            meme = line.startswith("MEME version")
            motifs = _read_meme(path) if meme else read_jaspar(path, alphabet)
            for one in motifs:
                _check_columns(path, one.identifier, one.counts)
            return motifs
    raise InputError(f"motif file {path} is empty; expected JASPAR or MEME format")


def _read_meme(path: Path) -> list[Motif]:
    """Read a file in MEME format; a name has an identifier and may have a second word."""
    try:
        content = read_meme(str(path))
    except (ValueError, AttributeError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"motif file {path}: {error}; expected MEME format, 4 letters") from None
    if not content:
        raise InputError(f"motif file {path} holds no motif; expected MEME format")
    motifs = []
    for name, matrix in content.items():
        words = name.split() or [""]
        motifs.append(Motif(words[0], words[min(1, len(words) - 1)], matrix))
    return motifs


def _check_columns(path: Path, name: str, matrix: np.ndarray) -> None:
    """Refuse a motif with a column that says nothing."""
    for number, column in enumerate(matrix.T, 1):
        if not ((column >= 0).all() and 0 < column.sum() < np.inf):
            raise InputError(
                f"motif file {path}: motif {name!r}, column {number}: {column.tolist()}; expected "
                "frequencies, not all 0"
            )


def match_motifs(
    found: Sequence[FoundMotif], database: MotifDatabase, most: int = 5
) -> pd.DataFrame:
    """Compare found motifs with known ones.

    Parameters
    ----------
    found : sequence of FoundMotif
    database : MotifDatabase
    most : int
        Best matches of each that are returned.

    Returns
    -------
    pandas.DataFrame
        Columns `MATCH_COLUMNS`. Offset: of the known motif's first column from the found one's
        first; overlap in columns; strand `-` if the known one matches as its reverse complement.
    """
    if not found or not database.motifs:
        return pd.DataFrame(columns=list(MATCH_COLUMNS))
    queries = [one.frequencies() for one in found]
    targets = [one.counts / one.counts.sum(0) for one in database.motifs]
    with warnings.catch_warnings():
        # Few targets: said in the documentation, and a matter of the user's own file.
        warnings.simplefilter("ignore")
        result = tomtom(queries, targets)
    p_values, _, offsets, overlaps, strands = (np.asarray(one) for one in result[:5])
    p_values = np.clip(p_values, 0, 1)
    rows = []
    for number, motif in enumerate(found):
        q_values = adjust(p_values[number])
        # Many motifs are alike to the last digit; the longer overlap is then the better match.
        order = np.lexsort((-overlaps[number], p_values[number]))[:most]
        for rank, target in enumerate(order, 1):
            known, p_value = database.motifs[target], float(p_values[number, target])
            rows.append(
                (motif.name, rank, known.identifier, known.name, p_value, float(q_values[target]),
                 p_value * len(targets), -int(offsets[number, target]),
                 int(overlaps[number, target]), "-" if strands[number, target] else "+")
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(MATCH_COLUMNS))


def adjust(p_values: np.ndarray) -> np.ndarray:
    """Return Benjamini and Hochberg's q-values of p-values, in their order."""
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    result = np.empty(len(p_values))
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return result
