"""Streaming FASTA encoder: blocks of text in, codes and run-length tables out.

Memory is bounded by the block size and the table of contigs. All work inside a block is done by
array operations, whatever the line width and however many contigs a block holds.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.compression import read_blocks
from genomesieve.errors import InputError

BLOCK_BYTES = 4 << 20
_LONGEST_HEADER = 1 << 20
_LINE_ENDS = b"\r\n"

RunWriter = Callable[[list[str], np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class SequenceBlock:
    """Letters of one block of a FASTA file, without headers and line ends.

    Parameters
    ----------
    letters : bytes
    names : list of str
        Contigs that start in this block.
    starts : list of int
        Index in `letters` of the first base of each of `names`.
    headers : list of tuple of int
        Start and end of each header in `text`.
    text : bytes
        The block as it stands in the file.
    first_line : int
        Number (from 1) of the line on which `text` starts.
    """

    letters: bytes
    names: list[str]
    starts: list[int]
    headers: list[tuple[int, int]]
    text: bytes
    first_line: int

    def line_of(self, index: int) -> int:
        """Return the number of the line that holds the letter at `index`."""
        raw = np.frombuffer(self.text, dtype=np.uint8)
        is_letter = (raw != ord("\n")) & (raw != ord("\r"))
        for start, end in self.headers:
            is_letter[start:end] = False
        place = int(np.flatnonzero(is_letter)[index])
        return self.first_line + self.text.count(b"\n", 0, place)


@dataclass
class FastaTotals:
    """What encoding a FASTA file counted.

    Parameters
    ----------
    letter_counts : numpy.ndarray, shape=(alphabet.size + 1,), dtype=int64
        Count of each code.
    names : list of str
        Contigs in file order.
    offsets : array of int64
        Offset of the first base of each contig, in all bases of the file.
    unknown_bases, gaps : array of int64
        Unknown bases and runs of them, per contig.
    bases, soft_masked_bases : int
    ambiguous_counts : numpy.ndarray, shape=(256,), dtype=int64
        Count of each byte that became unknown.
    """

    letter_counts: np.ndarray
    names: list[str] = field(default_factory=list)
    offsets: array = field(default_factory=lambda: array("q"))
    unknown_bases: array = field(default_factory=lambda: array("q"))
    gaps: array = field(default_factory=lambda: array("q"))
    bases: int = 0
    soft_masked_bases: int = 0
    ambiguous_counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))

    def contig_table(self) -> pd.DataFrame:
        """Return columns contig, length, offset, unknown_bases, gaps; one row a contig."""
        offsets = np.array(self.offsets, dtype=np.int64)
        return pd.DataFrame(
            {
                "contig": self.names,
                "length": np.diff(offsets, append=self.bases),
                "offset": offsets,
                "unknown_bases": np.array(self.unknown_bases, dtype=np.int64),
                "gaps": np.array(self.gaps, dtype=np.int64),
            }
        )

    def ambiguous_letters(self) -> dict[str, int]:
        """Return the count of each upper-case letter that became unknown, N among them."""
        counts: dict[str, int] = {}
        for byte in np.flatnonzero(self.ambiguous_counts):
            letter = chr(byte).upper()
            counts[letter] = counts.get(letter, 0) + int(self.ambiguous_counts[byte])
        return dict(sorted(counts.items()))


class RunFinder:
    """Find the runs of True in a mask that arrives block by block."""

    def __init__(self) -> None:
        self._open_start = -1

    def feed(
        self, mask: np.ndarray, breaks: np.ndarray, offset: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return starts and ends of the runs that end in this block.

        Parameters
        ----------
        mask : numpy.ndarray, shape=(n,), dtype=bool
        breaks : numpy.ndarray, shape=(k,), int
            Ascending indices (0 to n) in the mask before which a run ends in any case.
        offset : int
            Place of the mask's first element in the whole sequence.

        Returns
        -------
        tuple of numpy.ndarray, shape=(runs,), dtype=int64
            0-based half-open, in the coordinates of the whole sequence. A run that reaches the
            end of the mask is kept open; `finish` returns it.
        """
        size = len(mask)
        edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
        edges = np.unique(np.concatenate([[0], edges, breaks, [size]])).astype(np.int64)
        values = mask[edges[:-1]]
        starts, ends = edges[:-1][values] + offset, edges[1:][values] + offset
        broken = 0 in breaks[:1]
        if self._open_start >= 0 and (size or broken):
            if not broken and mask[0]:
                starts[0] = self._open_start
            else:
                starts = np.concatenate([[self._open_start], starts])
                ends = np.concatenate([[offset], ends])
            self._open_start = -1
        if size and mask[-1] and size not in breaks[-1:]:
            self._open_start = int(starts[-1])
            starts, ends = starts[:-1], ends[:-1]
        return starts, ends

    def finish(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the open run, if any, as arrays of one start and `end`."""
        starts = [self._open_start] if self._open_start >= 0 else []
        self._open_start = -1
        return np.array(starts, np.int64), np.full(len(starts), end, np.int64)


class FastaEncoder:
    """Turn blocks of letters into codes, counts and runs.

    Parameters
    ----------
    source : str
        The file, for messages.
    write_codes : callable
        Takes the next codes as bytes.
    write_softmask : callable
        Takes contigs, starts and ends (0-based half-open on the contig) of the next lower-case
        runs, in file order.
    alphabet : Alphabet
    """

    def __init__(
        self,
        source: str,
        write_codes: Callable[[bytes], object],
        write_softmask: RunWriter,
        alphabet: Alphabet = DNA,
    ) -> None:
        self.totals = FastaTotals(letter_counts=np.zeros(alphabet.size + 1, np.int64))
        self._source = source
        self._write_codes = write_codes
        self._write_softmask = write_softmask
        self._alphabet = alphabet
        self._table = bytes(alphabet.code_of_byte)
        self._lower, self._unknown = RunFinder(), RunFinder()

    def feed(self, block: SequenceBlock) -> None:
        """Encode one block.

        Raises
        ------
        InputError
            If it holds a character that is no letter of a sequence, or a contig without bases.
        """
        totals, offset = self.totals, self.totals.bases
        starts = np.array(block.starts, dtype=np.int64)
        encoded = block.letters.translate(self._table)
        codes = np.frombuffer(encoded, dtype=np.uint8)
        if len(codes) and codes.max() == self._alphabet.illegal:
            self._refuse_character(block, int(np.argmax(codes == self._alphabet.illegal)))
        first_contig = len(totals.names) - 1
        self._add_contigs(block.names, starts + offset)
        self._count(codes, block.letters)
        self._write_codes(encoded)
        totals.bases += len(codes)
        letters = np.frombuffer(block.letters, dtype=np.uint8)
        masked = self._lower.feed(letters >= ord("a"), starts, offset)
        gaps = self._unknown.feed(codes == self._alphabet.unknown, starts, offset)
        self._close_runs(masked, gaps, first_contig, starts + offset)

    def finish(self) -> FastaTotals:
        """Close open runs and return the totals.

        Raises
        ------
        InputError
            If the file held no contig, or its last one has no bases.
        """
        totals = self.totals
        if not totals.names:
            raise InputError(f"FASTA {self._source} holds no contig; expected a line '>name'")
        self._check_last_contig(totals.bases)
        last = len(totals.names) - 1
        masked, gaps = self._lower.finish(totals.bases), self._unknown.finish(totals.bases)
        self._close_runs(masked, gaps, last, np.array([], np.int64))
        return totals

    def _add_contigs(self, names: list[str], offsets: np.ndarray) -> None:
        """Open contigs at the given offsets."""
        for name, offset in zip(names, offsets.tolist()):
            self._check_last_contig(offset)
            self.totals.names.append(name)
            self.totals.offsets.append(offset)
            self.totals.unknown_bases.append(0)
            self.totals.gaps.append(0)

    def _check_last_contig(self, end: int) -> None:
        """Refuse a contig that ends where it starts."""
        if self.totals.names and self.totals.offsets[-1] == end:
            raise InputError(
                f"FASTA {self._source}: contig {self.totals.names[-1]} is empty; "
                "expected at least one base"
            )

    def _count(self, codes: np.ndarray, letters: bytes) -> None:
        """Add a block to the counts of letters."""
        counts = self.totals.letter_counts
        for code in range(len(counts)):
            counts[code] += np.count_nonzero(codes == code)
        ambiguous = np.frombuffer(letters, dtype=np.uint8)[codes == self._alphabet.unknown]
        self.totals.ambiguous_counts += np.bincount(ambiguous, minlength=256)

    def _close_runs(self, masked, gaps, first_contig: int, starts: np.ndarray) -> None:
        """Assign finished runs (in file coordinates) to contigs; `starts` opened this block."""
        totals = self.totals
        self._add_gaps(first_contig + np.searchsorted(starts, gaps[0], "right"), *gaps)
        if len(masked[0]):
            contigs = first_contig + np.searchsorted(starts, masked[0], "right")
            bases = np.frombuffer(totals.offsets, dtype=np.int64)[contigs]
            totals.soft_masked_bases += int((masked[1] - masked[0]).sum())
            names = [totals.names[contig] for contig in contigs.tolist()]
            self._write_softmask(names, masked[0] - bases, masked[1] - bases)

    def _add_gaps(self, contigs: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Add runs of unknown bases to the counts of their contigs (ascending numbers)."""
        numbers, rows = np.unique(contigs, return_inverse=True)
        bases = np.zeros(len(numbers), dtype=np.int64)
        np.add.at(bases, rows, ends - starts)
        runs = np.bincount(rows, minlength=len(numbers))
        for contig, length, count in zip(numbers.tolist(), bases.tolist(), runs.tolist()):
            self.totals.unknown_bases[contig] += length
            self.totals.gaps[contig] += count

    def _refuse_character(self, block: SequenceBlock, index: int) -> None:
        """Raise an InputError that names the place of the illegal letter at `index`."""
        before = [i for i, start in enumerate(block.starts) if start <= index]
        contig = block.names[before[-1]] if before else self.totals.names[-1]
        character = chr(block.letters[index])
        letters = self._alphabet.letters + self._alphabet.ambiguous
        raise InputError(
            f"FASTA {self._source}, line {block.line_of(index)}, contig {contig}: found "
            f"{character!r}; expected only the letters {letters} in either case"
        )


def read_fasta(path: str | os.PathLike, block_bytes: int = BLOCK_BYTES) -> Iterator[SequenceBlock]:
    """Yield the letters of a FASTA file (plain, gzip or bgzip) block by block.

    Parameters
    ----------
    path : path-like
        Any line width, LF or CRLF; a contig's name is the first word of its header.
    block_bytes : int
        Bytes of text a block.

    Raises
    ------
    InputError
        If the file is missing, damaged or not FASTA, or a contig's name is missing or occurs
        twice.
    """
    seen: dict[str, int] = {}
    line, at_line_start, carried = 1, True, b""
    for block in read_blocks(path, "FASTA", block_bytes):
        block = carried + block
        carried = _open_header(block, at_line_start, path, line)
        text = block[: len(block) - len(carried)]
        if text:
            yield _split_headers(text, at_line_start, line, seen, path)
            line += text.count(b"\n")
            at_line_start = text.endswith(b"\n")
    if carried:
        yield _split_headers(carried, at_line_start, line, seen, path)


def encode_fasta(
    path: str | os.PathLike,
    write_codes: Callable[[bytes], object],
    write_softmask: RunWriter,
    alphabet: Alphabet = DNA,
    block_bytes: int = BLOCK_BYTES,
) -> FastaTotals:
    """Encode a FASTA file in one pass (see `read_fasta` and `FastaEncoder` for arguments).

    Returns
    -------
    FastaTotals

    Raises
    ------
    InputError
        If the file is not a FASTA file of this alphabet.
    """
    encoder = FastaEncoder(str(path), write_codes, write_softmask, alphabet)
    for block in read_fasta(path, block_bytes):
        encoder.feed(block)
    return encoder.finish()


def _open_header(block: bytes, at_line_start: bool, path, line: int) -> bytes:
    """Return the header line that the block ends in the middle of, or nothing."""
    last_line = block.rfind(b"\n") + 1
    starts_line = last_line > 0 or at_line_start
    if not (starts_line and block[last_line : last_line + 1] == b">"):
        return b""
    if len(block) - last_line > _LONGEST_HEADER:
        number = line + block.count(b"\n")
        raise InputError(
            f"FASTA {path}, line {number}: found a header of more than {_LONGEST_HEADER} "
            "characters; expected '>name' and a line end"
        )
    return block[last_line:]


def _split_headers(
    text: bytes, at_line_start: bool, line: int, seen: dict[str, int], path
) -> SequenceBlock:
    """Separate headers from letters; `seen` maps the names so far to their lines."""
    pieces, names, starts, headers, length, position = [], [], [], [], 0, 0
    for start, end, number in _header_places(text, at_line_start, line):
        piece = text[position:start].translate(None, _LINE_ENDS)
        _check_preceded(piece, bool(seen), path, line)
        pieces.append(piece)
        length += len(piece)
        names.append(_contig_name(text[start + 1 : end], number, seen, path))
        starts.append(length)
        headers.append((start, end))
        position = end
    piece = text[position:].translate(None, _LINE_ENDS)
    _check_preceded(piece, bool(seen), path, line)
    pieces.append(piece)
    return SequenceBlock(b"".join(pieces), names, starts, headers, text, line)


def _header_places(text: bytes, at_line_start: bool, line: int) -> list[tuple[int, int, int]]:
    """Return start, end (its line end) and line number of each header in a block."""
    if b">" not in text:
        return []
    raw = np.frombuffer(text, dtype=np.uint8)
    newlines = np.flatnonzero(raw == ord("\n"))
    marks = np.flatnonzero(raw == ord(">"))
    at_start = np.where(marks == 0, at_line_start, raw[marks - 1] == ord("\n"))
    starts = marks[at_start]
    rows = np.searchsorted(newlines, starts)
    ends = np.append(newlines, len(text))[rows]
    return list(zip(starts.tolist(), ends.tolist(), (line + rows).tolist()))


def _check_preceded(piece: bytes, has_contig: bool, path, line: int) -> None:
    """Refuse letters that no header precedes."""
    if piece and not has_contig:
        raise InputError(
            f"FASTA {path}, line {line}: found {piece[:20].decode('latin-1')!r} before the first "
            "header; expected a line '>name'"
        )


def _contig_name(header: bytes, line: int, seen: dict[str, int], path) -> str:
    """Return the first word of a header, checked against the names so far."""
    words = header.split(None, 1)
    if not words or header[:1].isspace():
        raise InputError(f"FASTA {path}, line {line}: found a header without a name")
    name = words[0].decode("utf-8", errors="replace")
    if not name.isprintable() or name.startswith("#") or "\ufffd" in name:
        raise InputError(
            f"FASTA {path}, line {line}: contig name {name[:40]!r} holds characters that other "
            "files cannot hold; expected printable UTF-8, not beginning with #"
        )
    if name in seen:
        raise InputError(
            f"FASTA {path}, line {line}: contig {name} occurs again (first on line {seen[name]}); "
            "expected every name once"
        )
    seen[name] = line
    return name
