"""The network that scans one genome: its laboratory's statistics, known or measured there.

For networks without norm `domain` nothing changes. A laboratory that training saw has running
statistics; those of another one are measured on windows at even distances over the scanned parts of
its own genome, without any label. Both follow from the model and the genome alone, never from the
shard, so that shards do not differ.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genomesieve.architecture import Architecture
from genomesieve.bundle import Bundle
from genomesieve.domain_norm import adapt_to_laboratory, domain_norms, fix_laboratory
from genomesieve.errors import InputError
from genomesieve.gathering import one_hot, with_channels
from genomesieve.genome import EncodedGenome, gather_windows
from genomesieve.layout import ScanLayout
from genomesieve.scan_files import read_layout
from genomesieve.signals import gather_signals
from genomesieve.symmetry import mirrored_inputs

logger = logging.getLogger(__name__)

_WINDOWS = 64
_CORE = 1024
"""Windows that statistics are measured on, and about how many bp each predicts."""


def sample_windows(genome: EncodedGenome, layout: ScanLayout, architecture: Architecture) -> Tensor:
    """Take windows at even distances over the scanned parts of a genome, on both strands.

    Returns
    -------
    torch.Tensor, shape=(2 * N, letters + signals, L), float32
        The plus strand's windows, then the minus strand's.
    """
    bins = np.unique(np.linspace(0, layout.bins - 1, _WINDOWS).round().astype(np.int64))
    table = layout.intervals
    rows = np.searchsorted(table["first_bin"].to_numpy(), bins, "right") - 1
    inside = (bins - table["first_bin"].to_numpy()[rows]) * layout.resolution
    stride, context = architecture.stride, architecture.context
    start = (table["start"].to_numpy()[rows] + inside) // stride * stride - context
    width = -(-_CORE // stride) * stride + 2 * context
    contigs = genome.contigs.iloc[table["contig_index"].to_numpy()[rows]]
    place = contigs["offset"].to_numpy(), contigs["length"].to_numpy(), start, width
    codes = gather_windows(genome.codes, *place, genome.alphabet.unknown)
    signals = None
    if genome.signals:
        signals = torch.from_numpy(gather_signals(genome.signals, *place))
    x = with_channels(one_hot(torch.from_numpy(codes), genome.alphabet), signals)
    return torch.cat([x, x[:, mirrored_inputs(genome.alphabet, x.shape[1])].flip(-1)])


def bundle_for_genome(
    bundle: Bundle, genome: EncodedGenome, layout: ScanLayout, laboratory: str
) -> tuple[Bundle, str]:
    """Return the bundle whose network scans a genome, and where its statistics come from.

    Parameters
    ----------
    bundle : Bundle
        Left as it is; its network is on the CPU.
    genome : EncodedGenome
        With the signals that the network sees.
    layout : ScanLayout
        Everything that is scanned of it, all shards together.
    laboratory : str
        Where its data comes from; empty if nobody says.

    Returns
    -------
    bundle : Bundle
    statistics : str
        `training`, `own data`, or empty for a network without norm `domain`.
    """
    if not domain_norms(bundle.network):
        return bundle, ""
    if laboratory in bundle.laboratories:
        number = bundle.laboratories.index(laboratory)
        return replace(bundle, network=fix_laboratory(bundle.network, number)), "training"
    windows = sample_windows(genome, layout, bundle.architecture)
    logger.info(
        "%s: laboratory %r is not one of training (%s); statistics of %d windows of its own data",
        genome.name,
        laboratory,
        ", ".join(bundle.laboratories),
        len(windows),
    )
    with torch.inference_mode(False):
        network = adapt_to_laboratory(bundle.network, windows)
    return replace(bundle, network=network), "own data"


def bundle_of_scan(
    bundle: Bundle, genome: EncodedGenome, scan: Path | None, laboratory: str
) -> Bundle:
    """Return the bundle with the statistics that its scan of a genome had.

    Parameters
    ----------
    bundle : Bundle
    genome : EncodedGenome
    scan : Path or None
        Folder of merge_scan, which says what was scanned.
    laboratory : str
        Where the genome's data comes from; empty if nobody says.

    Raises
    ------
    InputError
        If there are such statistics and no scan.
    """
    if not domain_norms(bundle.network):
        return bundle
    if scan is None:
        raise InputError(
            f"model {bundle.name} has norm domain, whose statistics follow from the scan; "
            "expected --scan"
        )
    layout = read_layout(scan, bundle.architecture.resolution)
    return bundle_for_genome(bundle, genome, layout, laboratory)[0]
