"""Dense scanning: the scores of all bins of a layout, in chunks of fixed shape.

Chunks start at multiples of the planned chunk length from each contig's first base and are run in
batches of fixed shape, so that the scores of a bin do not depend on which other bins are scanned
with it: shards never change a bit under one plan, device and thread count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.batches import one_hot
from genomesieve.bundle import Bundle
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome, fetch_codes
from genomesieve.layout import ScanLayout
from genomesieve.networks import log_odds
from genomesieve.scores import UNSCORED, encode_scores


@dataclass(frozen=True)
class ScanPlan:
    """How a scan is cut.

    Parameters
    ----------
    chunk : int
        Bases a chunk; a multiple of the model's stride.
    batch : int
        Chunks run at once.
    precision : str
        `float32` or `bfloat16`; thresholds hold only at the precision they were calibrated in.
    """

    chunk: int
    batch: int
    precision: str

    def to_dict(self) -> dict:
        """Return plain values, as they stand in model.json."""
        return asdict(self)


def make_plan(stride: int, device: torch.device, chunk: int = 40_000) -> ScanPlan:
    """Choose chunk, batch and precision for a device.

    On a CPU one chunk of about 40,000 bp keeps the features of small networks in the cache; a GPU
    wants more work at once, and bfloat16.
    """
    if device.type == "cuda":
        return ScanPlan(chunk=-(-8 * chunk // stride) * stride, batch=4, precision="bfloat16")
    return ScanPlan(chunk=-(-chunk // stride) * stride, batch=1, precision="float32")


@dataclass(frozen=True)
class Chunks:
    """The chunks of a layout, in scan order.

    Each has a contig (row of the contig table), the start of its core (bp), the part [keep_start,
    keep_end) of the core whose bins belong to the layout, and the number of the first such bin.
    """

    contig: np.ndarray
    start: np.ndarray
    keep_start: np.ndarray
    keep_end: np.ndarray
    first_bin: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


def list_chunks(layout: ScanLayout, chunk: int) -> Chunks:
    """Cut the intervals of a layout on each contig's grid of chunks.

    Parameters
    ----------
    layout : ScanLayout
    chunk : int
        Bases a chunk, a multiple of the layout's resolution.

    Returns
    -------
    Chunks
    """
    table: pd.DataFrame = layout.intervals
    start, end = table["start"].to_numpy(np.int64), table["end"].to_numpy(np.int64)
    counts = (end - 1) // chunk - start // chunk + 1
    owner = np.repeat(np.arange(len(table)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = (start[owner] // chunk + step) * chunk
    keep_start = np.maximum(begin, start[owner])
    return Chunks(
        contig=table["contig_index"].to_numpy(np.int64)[owner],
        start=begin,
        keep_start=keep_start,
        keep_end=np.minimum(begin + chunk, end[owner]),
        first_bin=table["first_bin"].to_numpy(np.int64)[owner]
        + (keep_start - start[owner]) // layout.resolution,
    )


def shard_of_chunks(total: int, shard: int, shards: int) -> range:
    """Return the chunk numbers of one shard (counted from 1) of several."""
    if not 1 <= shard <= shards:
        raise InputError(f"shard {shard} of {shards}; expected 1 <= shard <= shards")
    return range((shard - 1) * total // shards, shard * total // shards)


class Scanner:
    """A network that is ready to scan genomes on one device under one plan.

    Parameters
    ----------
    bundle : Bundle
    plan : ScanPlan
    device : torch.device
    alphabet : Alphabet
    """

    def __init__(
        self, bundle: Bundle, plan: ScanPlan, device: torch.device, alphabet: Alphabet = DNA
    ):
        if plan.chunk % bundle.architecture.stride:
            raise InputError(
                f"chunk of {plan.chunk} bp is no multiple of stride {bundle.architecture.stride}"
            )
        self.bundle, self.plan, self.device, self.alphabet = bundle, plan, device, alphabet
        self.network: nn.Module = bundle.network.to(device).eval()
        self._dtype = getattr(torch, plan.precision)

    def scan(
        self, genome: EncodedGenome, chunks: Chunks, wanted: range
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the scores of chunk after chunk.

        Parameters
        ----------
        genome : EncodedGenome
        chunks : Chunks
        wanted : range
            Numbers of the chunks to scan.

        Yields
        ------
        first_bin : int
        codes : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
            Score codes; `UNSCORED` where a bin holds an unknown base. Bins of the minus strand
            stand in the order of the plus strand.
        """
        size = self.plan.chunk + 2 * self.bundle.architecture.context
        for group in range(wanted.start, wanted.stop, self.plan.batch):
            rows = range(group, min(group + self.plan.batch, wanted.stop))
            codes = np.full((self.plan.batch, size), self.alphabet.unknown, dtype=np.uint8)
            for target, row in enumerate(rows):
                codes[target] = self._fetch(genome, chunks, row)
            scores = self.score(codes)
            for target, row in enumerate(rows):
                yield int(chunks.first_bin[row]), self._keep(chunks, row, scores[target])

    def score(self, codes: np.ndarray) -> np.ndarray:
        """Score the whole bins between the flanks of some sequences.

        Parameters
        ----------
        codes : numpy.ndarray, shape=(N, bins * resolution + 2 * context), dtype=uint8

        Returns
        -------
        numpy.ndarray, shape=(N, strands, classes, bins), dtype=uint16
            Score codes, in plus-strand order on both strands.
        """
        context, resolution = (
            self.bundle.architecture.context,
            self.bundle.architecture.resolution,
        )
        passes = [encode_scores(self._log_odds(codes))]
        if self.bundle.stranded:
            other = self._log_odds(self.alphabet.reverse_complement(codes))
            passes.append(encode_scores(other[..., ::-1]))
        result = np.stack(passes, axis=1)
        core = codes[:, context : codes.shape[1] - context]
        unknown = (core.reshape(len(codes), -1, resolution) == self.alphabet.unknown).any(-1)
        result[np.broadcast_to(unknown[:, None, None], result.shape)] = UNSCORED
        return result

    def _log_odds(self, codes: np.ndarray) -> np.ndarray:
        """Run the network on codes (N, L); return log-odds (N, classes, bins) in float32."""
        tensor = torch.from_numpy(np.ascontiguousarray(codes)).to(self.device)
        reduced = self._dtype != torch.float32
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=reduced),
        ):
            logits = self.network(one_hot(tensor, self.alphabet))
        return log_odds(logits, self.bundle.labels).cpu().numpy()

    def _fetch(self, genome: EncodedGenome, chunks: Chunks, row: int) -> np.ndarray:
        """Copy the codes of a chunk with its context, unknown beyond the contig."""
        context = self.bundle.architecture.context
        contig = genome.contigs.iloc[chunks.contig[row]]
        return fetch_codes(
            genome.codes,
            int(contig["offset"]),
            int(contig["length"]),
            int(chunks.start[row]) - context,
            int(chunks.start[row]) + self.plan.chunk + context,
            self.alphabet.unknown,
        )

    def _keep(self, chunks: Chunks, row: int, scores: np.ndarray) -> np.ndarray:
        """Cut the bins that belong to the layout out of a chunk's scores."""
        resolution = self.bundle.architecture.resolution
        first = int(chunks.keep_start[row] - chunks.start[row]) // resolution
        last = int(chunks.keep_end[row] - chunks.start[row]) // resolution
        return scores[..., first:last]


def scan_bins(
    scanner: Scanner,
    genome: EncodedGenome,
    chunks: Chunks,
    wanted: range,
    bins: tuple[int, int],
    path: Path,
) -> np.memmap:
    """Score consecutive chunks into a mapped file.

    Parameters
    ----------
    scanner : Scanner
    genome : EncodedGenome
    chunks : Chunks
    wanted : range
        Numbers of the chunks.
    bins : tuple of int
        The first bin of these chunks and the one after their last.
    path : Path
        A `.npy` file that is made.

    Returns
    -------
    numpy.memmap, shape=(strands, classes, bins), dtype=uint16
    """
    first, end = bins
    shape = (scanner.bundle.strands, len(scanner.bundle.classes), end - first)
    scores = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=shape)
    scanned = tqdm(
        scanner.scan(genome, chunks, wanted),
        total=len(wanted),
        unit="chunk",
        disable=None,
        ncols=100,
        desc=genome.name,
    )
    for start, codes in scanned:
        scores[..., start - first : start - first + codes.shape[-1]] = codes
    return scores


def choose_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu` or `cuda` names.

    Raises
    ------
    InputError
        If a GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda was asked for, but this machine shows no CUDA GPU to PyTorch "
            f"{torch.__version__}; use --device cpu, or auto to take whatever is there"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
