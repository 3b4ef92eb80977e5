"""The letters of a sequence, their codes and their complements, in one object."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Alphabet:
    """An ordered set of letters with complements; letter i has code i.

    Parameters
    ----------
    letters : str
        Upper-case letters in the order of their codes.
    complements : str
        The complement of each letter, in the same order.
    ambiguous : str
        Upper-case letters that are legal in a sequence but stand for several letters.

    Attributes
    ----------
    size : int
        Number of letters, also the code of an unknown letter.
    unknown : int
        The code of everything that is not one of the letters.
    illegal : int
        What `code_of_byte` holds for a byte that cannot occur in a sequence.
    code_of_byte : numpy.ndarray, shape=(256,), dtype=uint8
        Code of every byte, either case.
    complement_codes : numpy.ndarray, shape=(size + 1,), dtype=uint8
        Code of the complement of every code; unknown stays unknown.
    """

    letters: str
    complements: str
    ambiguous: str
    code_of_byte: np.ndarray = field(init=False, repr=False, compare=False)
    complement_codes: np.ndarray = field(init=False, repr=False, compare=False)

    illegal = 255

    def __post_init__(self) -> None:
        table = np.full(256, self.illegal, dtype=np.uint8)
        for letter in self.ambiguous:
            table[[ord(letter), ord(letter.lower())]] = self.unknown
        for code, letter in enumerate(self.letters):
            table[[ord(letter), ord(letter.lower())]] = code
        complements = [self.letters.index(letter) for letter in self.complements]
        object.__setattr__(self, "code_of_byte", table)
        object.__setattr__(
            self, "complement_codes", np.array([*complements, self.unknown], dtype=np.uint8)
        )

    @property
    def size(self) -> int:
        """Number of letters."""
        return len(self.letters)

    @property
    def unknown(self) -> int:
        """Code of an unknown letter."""
        return len(self.letters)

    def encode(self, text: str | bytes) -> np.ndarray:
        """Turn letters into codes.

        Parameters
        ----------
        text : str or bytes, length=n
            Letters in either case; ambiguous ones become unknown.

        Returns
        -------
        numpy.ndarray, shape=(n,), dtype=uint8

        Raises
        ------
        ValueError
            If a character is neither a letter nor an ambiguity code.
        """
        raw = text.encode("ascii") if isinstance(text, str) else text
        codes = self.code_of_byte[np.frombuffer(raw, dtype=np.uint8)]
        if (codes == self.illegal).any():
            where = int(np.argmax(codes == self.illegal))
            raise ValueError(f"{chr(raw[where])!r} at {where} is not a letter of {self.letters}")
        return codes

    def decode(self, codes: np.ndarray) -> str:
        """Turn codes (shape=(n,), dtype=uint8) into upper-case letters, unknown ones into N."""
        letters = np.frombuffer((self.letters + "N").encode("ascii"), dtype=np.uint8)
        return letters[codes].tobytes().decode("ascii")

    def reverse_complement(self, codes: np.ndarray) -> np.ndarray:
        """Return the codes of the other strand, read in its own direction (last axis)."""
        return self.complement_codes[codes][..., ::-1]


DNA = Alphabet(letters="ACGT", complements="TGCA", ambiguous="NRYSWKMBDHV")
