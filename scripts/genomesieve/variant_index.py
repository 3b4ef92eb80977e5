"""Compressing and indexing a VCF file as other tools expect it."""

from __future__ import annotations

import os
from pathlib import Path

import pysam

from genomesieve.errors import InputError
from genomesieve.files import whole_file
from genomesieve.tracks import TBI_LONGEST


def write_variants(path: str | os.PathLike, text: Path, longest: int) -> None:
    """Compress sorted VCF text by bgzip, with a .csi index, and a .tbi one where that can be had.

    Parameters
    ----------
    path : path-like
        Ends in `.vcf.gz`.
    text : Path
        VCF, sorted by position.
    longest : int
        Length of the longest contig, bp.

    Raises
    ------
    InputError
        If it is no VCF text that can be indexed.
    """
    with whole_file(path) as packed:
        pysam.tabix_compress(str(text), str(packed), force=True)
        kinds = [True, False] if longest < TBI_LONGEST else [True]
        for csi in kinds:
            with whole_file(f"{path}.{'csi' if csi else 'tbi'}") as temporary:
                try:
                    pysam.tabix_index(
                        str(packed), preset="vcf", force=True, csi=csi, keep_original=True,
                        index=str(temporary),
                    )  # fmt: skip
                except OSError as error:
                    raise InputError(
                        f"variants {text} cannot be indexed: {error}; expected VCF text, sorted by "
                        "position"
                    ) from error
