"""Pack a FASTA file into two bits a base, small enough to carry to a machine with a GPU.

Contigs are joined; unknown bases are kept as runs beside the packed ones. The file is a NumPy
archive (`numpy.load`) that `benchmarks/gpu.py --codes` reads. Needs NumPy and pandas only.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.fasta import encode_fasta  # noqa: E402


@dataclass(frozen=True)
class PackedCodes:
    """Codes of a sequence, four bases a byte, the first in the lowest bits.

    `packed` has dtype uint8; `unknown` has shape (runs, 2), int64: start and end (0-based
    half-open) of every run of unknown bases, which stand as A in `packed`.
    """

    packed: np.ndarray
    bases: int
    unknown: np.ndarray


def pack(codes: np.ndarray) -> PackedCodes:
    """Pack codes (uint8, 0 to 3 and 4 for unknown)."""
    edges = np.flatnonzero(np.diff(codes == DNA.unknown, prepend=False, append=False))
    known = np.where(codes == DNA.unknown, 0, codes)
    quads = np.pad(known, (0, -len(codes) % 4)).reshape(-1, 4)
    packed = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
    return PackedCodes(packed.astype(np.uint8), len(codes), edges.reshape(-1, 2).astype(np.int64))


def unpack(content: PackedCodes) -> np.ndarray:
    """Return the codes that were packed."""
    shifts = np.arange(0, 8, 2, dtype=np.uint8)
    codes = (content.packed[:, None] >> shifts & 3).reshape(-1)[: content.bases]
    for start, end in content.unknown.tolist():
        codes[start:end] = DNA.unknown
    return codes


def read_codes(path: Path) -> np.ndarray:
    """Read codes from a packed file, or from codes.npy of encode_genome (one byte a base)."""
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return content
    with content:
        return unpack(PackedCodes(content["packed"], int(content["bases"]), content["unknown"]))


def main() -> int:
    """Pack a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fasta", type=Path, help="plain or compressed with gzip")
    parser.add_argument("output", type=Path, help="file to write, such as chr20.npz")
    arguments = parser.parse_args()
    parts: list[bytes] = []
    encode_fasta(arguments.fasta, lambda part: parts.append(bytes(part)), lambda *_: None)
    content = pack(np.frombuffer(b"".join(parts), dtype=np.uint8))
    with arguments.output.open("wb") as handle:
        np.savez(handle, packed=content.packed, bases=content.bases, unknown=content.unknown)
    print(f"{content.bases} bases in {arguments.output.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
