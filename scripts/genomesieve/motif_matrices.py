"""Motifs of a MEME or JASPAR file as words to implant, and where sequence carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.compression import read_lines
from genomesieve.errors import InputError
from genomesieve.files import existing_file
from genomesieve.motifs import Motif, read_jaspar

_PSEUDOCOUNT = 0.01
"""Added to every probability, so that a letter that a motif never has counts finitely."""
_SUM_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class MotifMatrix:
    """A motif's letter probabilities and its consensus.

    Parameters
    ----------
    name : str
    probabilities : numpy.ndarray, shape=(letters, width)
        Every column sums to 1.
    information : float
        Bits from which on a position belongs to the consensus.
    alphabet : Alphabet
    """

    name: str
    probabilities: np.ndarray
    information: float = 0.5
    alphabet: Alphabet = DNA

    @property
    def width(self) -> int:
        """Positions of the matrix."""
        return self.probabilities.shape[1]

    @property
    def consensus(self) -> np.ndarray:
        """Codes, shape=(width,), of the likeliest letters; unknown where a position says little."""
        p = self.probabilities
        bits = np.log2(self.alphabet.size) + (p * np.log2(np.where(p > 0, p, 1))).sum(0)
        codes = p.argmax(0).astype(np.uint8)
        return np.where(bits >= self.information - 1e-9, codes, self.alphabet.unknown)

    @property
    def log_odds(self) -> np.ndarray:
        """Bits against even letter frequencies, shape=(letters, width)."""
        size = self.alphabet.size
        return np.log2((self.probabilities + _PSEUDOCOUNT) / (1 + size * _PSEUDOCOUNT) * size)

    def word(self, strand: str) -> np.ndarray:
        """Return the consensus as it stands in a sequence that carries the motif on a strand."""
        codes = self.consensus
        return codes if strand == "+" else self.alphabet.reverse_complement(codes)


def read_motifs(path: Path, information: float, alphabet: Alphabet = DNA) -> list[MotifMatrix]:
    """Read the motifs of a MEME file, of which there may be none, or of a JASPAR file.

    Raises
    ------
    InputError
        Naming the motif, if the file or a matrix cannot be read.
    """
    _, first = next(read_lines(path, "motif file"), (0, ""))
    if first.startswith(">"):
        return [
            MotifMatrix(
                f"{motif.identifier} {motif.name}",
                _frequencies(path, motif),
                information,
                alphabet,
            )
            for motif in read_jaspar(path, alphabet)
        ]
    return _read_meme(path, information, alphabet)


def choose_motifs(
    motifs: Sequence[MotifMatrix], names: Sequence[str], path: Path
) -> list[MotifMatrix]:
    """Return the motifs with some names, in their order; all where no name is given.

    A name is a motif's own, or a word of it in any case: an identifier, or what follows it.

    Raises
    ------
    InputError
        If no motif has a name.
    """
    chosen = [] if names else list(motifs)
    for name in names:
        found = [motif for motif in motifs if motif.name == name]
        found = found or [m for m in motifs if name.upper() in m.name.upper().split()]
        if not found:
            raise InputError(f"motif file {path} has no motif {name!r}; expected a name or a word")
        chosen.extend(motif for motif in found if motif not in chosen)
    return chosen


def _frequencies(path: Path, motif: Motif) -> np.ndarray:
    """Turn counts into probabilities."""
    sums = motif.counts.sum(0)
    if not (sums > 0).all():
        raise InputError(f"motif file {path}: motif {motif.identifier!r} has an empty column")
    return motif.counts / sums


def _read_meme(path: Path, information: float, alphabet: Alphabet) -> list[MotifMatrix]:
    """Read the motifs of a MEME file."""
    # Imported here, since only the environment of these scripts has it.
    from memelite.io import read_meme

    path = existing_file(path, "motif file")
    try:
        text = path.read_text(encoding="utf-8")
        if "MEME version" not in text:
            raise InputError(f"motif file {path} has no line 'MEME version'; expected MEME format")
        found = read_meme(str(path))
    except (OSError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"motif file {path} cannot be read as MEME format: {error}") from error
    named = [" ".join(line[5:].split()) for line in text.splitlines() if line[:5] == "MOTIF"]
    repeated = sorted({name for name in named if named.count(name) > 1})
    missing = [name for name in named if name not in found]
    if repeated or missing:
        words = "is there twice" if repeated else "has no whole matrix"
        raise InputError(f"motif file {path}: motif {(repeated or missing)[0]!r} {words}")
    return [
        MotifMatrix(name, _checked(path, name, np.array(matrix)), information, alphabet)
        for name, matrix in found.items()
    ]


def _checked(path: Path, name: str, matrix: np.ndarray) -> np.ndarray:
    """Return a matrix whose columns sum to 1."""
    sums = matrix.sum(0)
    if not (np.isfinite(matrix).all() and (matrix >= 0).all() and matrix.size):
        raise InputError(f"motif file {path}: motif {name!r} holds what is no probability")
    wrong = np.abs(sums - 1) > _SUM_TOLERANCE
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"motif file {path}: row {at + 1} of motif {name!r} sums to {sums[at]:.4g}; expected 1"
        )
    return matrix / sums


def match_scores(motif: MotifMatrix, codes: np.ndarray) -> np.ndarray:
    """Score a motif at every place of sequences, on both strands.

    Parameters
    ----------
    motif : MotifMatrix
    codes : numpy.ndarray, shape=(n, length), dtype=uint8

    Returns
    -------
    numpy.ndarray, shape=(2, n, length - width + 1)
        Bits, plus strand first, by the first base in the direction of `codes`; minus infinity where
        a base is unknown.
    """
    size, odds = motif.alphabet.size, motif.log_odds
    places = max(0, codes.shape[1] - motif.width + 1)
    complement = motif.alphabet.complement_codes[:size].astype(np.int64)
    result = np.zeros((2, len(codes), places))
    for strand, matrix in enumerate((odds, odds[complement][:, ::-1])):
        lookup = np.vstack([matrix, np.full((1, motif.width), -np.inf)])
        for column in range(motif.width):
            result[strand] += lookup[codes[:, column : column + places], column]
    return result


def hit_threshold(motif: MotifMatrix, share: float) -> float:
    """Return the score that counts as a hit: a share of the best that the motif allows."""
    return share * float(motif.log_odds.max(0).sum())
