"""Reading the records of a VCF file, checked against the genome that they are said to be on.

Small on purpose: columns are passed on as they are, and only contig, position, REF and ALT are
understood. It needs neither pysam nor memory for more than one line, so that the half of the
workflow that runs networks can stream a file of any length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genomesieve.compression import read_lines
from genomesieve.errors import InputError, first_names
from genomesieve.genome import EncodedGenome

COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
INFO_COLUMN = COLUMNS.index("INFO")
MISSING = "."
_WHAT = "variants"
_LETTERS = re.compile(r"[A-Za-z]+")
_SHOWN = 30
_MOST_DIGITS = 18


@dataclass(frozen=True)
class Alternative:
    """One ALT allele.

    Parameters
    ----------
    codes : numpy.ndarray or None, shape=(n,), dtype=uint8
        Its bases; None where it is no sequence that can be scored.
    reason : str
        Why it cannot be scored: `spanning_deletion` (`*`), `symbolic` (`<DEL>`), `breakend`,
        `same_as_reference` or `too_long`; empty where it can.
    """

    codes: np.ndarray | None
    reason: str = ""


@dataclass(frozen=True)
class VariantRecord:
    """One line of a VCF file.

    Parameters
    ----------
    fields : list of str
        All columns as they stand in the file.
    contig : int
        Row of the genome's contig table.
    start : int
        0-based position of the first base of REF.
    reference : numpy.ndarray, shape=(n,), dtype=uint8
        Codes of REF, equal to the genome's.
    alternatives : tuple of Alternative
        In the order of the file; none where ALT is missing.
    """

    fields: list[str]
    contig: int
    start: int
    reference: np.ndarray
    alternatives: tuple[Alternative, ...]


class VariantReader:
    """A VCF file, plain, gzip or bgzip, read from front to back.

    Parameters
    ----------
    path : path-like
    genome : EncodedGenome
        The genome that positions and REF must fit.
    longest : int
        Longest REF or ALT allele, in bp, that is scored.

    Attributes
    ----------
    header : list of str
        Lines that begin with `##`, in their order.
    columns : str
        The line that begins with `#CHROM`.

    Raises
    ------
    InputError
        If the file is missing, damaged, or has no VCF header.
    """

    def __init__(self, path: str | os.PathLike, genome: EncodedGenome, longest: int):
        self.path, self.genome, self.longest = path, genome, longest
        self._contigs = {name: row for row, name in enumerate(genome.contigs["contig"])}
        self._length = genome.contigs["length"].to_numpy(np.int64)
        self._offset = genome.contigs["offset"].to_numpy(np.int64)
        self._lines = read_lines(path, _WHAT)
        self.header: list[str] = []
        self.columns = self._read_header()
        self._width = self.columns.count("\t") + 1

    def _read_header(self) -> str:
        """Read the lines before the first record; return the last, which names the columns."""
        for number, line in self._lines:
            if number == 1 and not line.startswith("##fileformat=VCF"):
                raise self._error(number, f"begins with {line[:_SHOWN]!r}", "##fileformat=VCFv4.x")
            if not line.startswith("##"):
                if tuple(line.split("\t")[: len(COLUMNS)]) != COLUMNS:
                    raise self._error(number, f"is {line[:_SHOWN]!r}", " ".join(COLUMNS))
                return line
            self.header.append(line)
        raise InputError(f"{_WHAT} {self.path} has no line of columns; expected #CHROM POS ID ...")

    def __iter__(self) -> Iterator[VariantRecord]:
        """Yield record after record; InputError names the line of one that does not fit."""
        finished: set[int] = set()
        contig, start = -1, -1
        for number, line in self._lines:
            if not line:
                continue
            record = self._parse(number, line.split("\t"))
            if record.contig != contig:
                finished.add(contig)
                contig, start = record.contig, -1
            if record.contig in finished or record.start < start:
                place = f"{record.fields[0]}:{record.fields[1]}"
                raise self._error(number, f"{place} comes too late", "records sorted by position")
            start = record.start
            yield record

    def _parse(self, number: int, fields: list[str]) -> VariantRecord:
        """Understand one line."""
        if len(fields) != self._width:
            raise self._error(number, f"has {len(fields)} columns", f"{self._width} as the header")
        name, position, _, text, alternatives = fields[:5]
        if name not in self._contigs:
            absent = f"contig {name!r} is not in genome {self.genome.name}"
            raise self._error(number, absent, first_names(self._contigs))
        contig = self._contigs[name]
        length = int(self._length[contig])
        whole = position.isascii() and position.isdigit() and len(position) <= _MOST_DIGITS
        if not (whole and 1 <= int(position) <= length):
            raise self._error(number, f"POS of {name} is {position[:_SHOWN]!r}", f"1 to {length}")
        start = int(position) - 1
        reference = self._check_reference(number, name, start, text)
        parts = [] if alternatives == MISSING else alternatives.split(",")
        if any(_is_letters(one) for one in parts) and MISSING in parts:
            raise self._error(
                number, f"ALT is {alternatives[:_SHOWN]!r}", "alleles, or a dot alone"
            )
        found = tuple(self._alternative(number, one, reference) for one in parts)
        return VariantRecord(fields, contig, start, reference, found)

    def _check_reference(self, number: int, name: str, start: int, text: str) -> np.ndarray:
        """Return the codes of REF, which must be those of the genome."""
        codes = self._encode(number, "REF", text)
        contig = self._contigs[name]
        place = f"{name}:{start + 1}"
        if start + len(codes) > self._length[contig]:
            raise self._error(
                number,
                f"REF of {len(codes)} bp at {place} ends beyond its contig",
                f"an end of at most {self._length[contig]}",
            )
        first = int(self._offset[contig]) + start
        expected = np.asarray(self.genome.codes[first : first + len(codes)])
        if not np.array_equal(codes, expected):
            there = self.genome.alphabet.decode(expected[:_SHOWN])
            raise self._error(
                number,
                f"REF at {place} is {text[:_SHOWN]!r}",
                f"{there} from genome {self.genome.name} (is the file on another assembly?)",
            )
        return codes

    def _alternative(self, number: int, text: str, reference: np.ndarray) -> Alternative:
        """Understand one ALT allele."""
        reason = _no_sequence(text)
        if reason:
            return Alternative(None, reason)
        codes = self._encode(number, "ALT", text)
        if np.array_equal(codes, reference):
            return Alternative(None, "same_as_reference")
        if max(len(codes), len(reference)) > self.longest:
            return Alternative(None, "too_long")
        return Alternative(codes)

    def _encode(self, number: int, column: str, text: str) -> np.ndarray:
        """Turn an allele into codes."""
        try:
            if not text:
                raise ValueError("empty")
            return self.genome.alphabet.encode(text)
        except ValueError:
            raise self._error(number, f"{column} is {text[:_SHOWN]!r}", "letters of DNA") from None

    def _error(self, number: int, found: str, expected: str) -> InputError:
        """Return the error of a line."""
        return InputError(f"{_WHAT} {self.path}, line {number}: {found}; expected {expected}")


def _is_letters(text: str) -> bool:
    """Tell whether an allele is written in letters alone."""
    return _LETTERS.fullmatch(text) is not None


def _no_sequence(text: str) -> str:
    """Return why an ALT allele is no sequence of bases; empty where it is one."""
    if text == "*":
        return "spanning_deletion"
    if text.startswith("<"):
        return "symbolic"
    if "[" in text or "]" in text or (len(text) > 1 and MISSING in (text[0], text[-1])):
        return "breakend"
    return ""
