"""Dense scanning: the scores of all bins of a layout, in rows of fixed shape.

Rows are cut by the plan (see `chunks`) and run in batches of fixed shape, so that the scores of a
bin do not depend on which other bins are scanned with it: shards never change a bit under one plan,
device and thread count. Complement, one-hot, network and the encoding of scores all happen on the
device; a base goes there as one byte and a score comes back as two. On a GPU rows are put together
there too (see `device_scan`), and a score comes back only where it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.batches import one_hot
from genomesieve.bundle import Bundle
from genomesieve.chunks import Chunks, fill_row, fill_signals, kept_bins, list_chunks
from genomesieve.device_reduction import fetch_scores
from genomesieve.device_scan import scan_on_device
from genomesieve.errors import InputError
from genomesieve.fixed_step import FixedStep, compile_network
from genomesieve.gathering import with_channels
from genomesieve.genome import EncodedGenome
from genomesieve.inference import prepare_for_scan
from genomesieve.layout import ScanLayout
from genomesieve.networks import log_odds
from genomesieve.planning import ScanPlan
from genomesieve.progress import watched
from genomesieve.score_tensors import encode_score_tensor
from genomesieve.scores import UNSCORED

logger = logging.getLogger(__name__)


class Scanner:
    """A network that is ready to scan genomes on one device under one plan.

    Parameters
    ----------
    bundle : Bundle
    plan : ScanPlan
    device : torch.device
    alphabet : Alphabet
    on_device : bool or None
        Whether rows are put together on the device; None: on a GPU only, and there only where the
        network sees no signals, which are put together on the host.
    graph : bool
        Whether a GPU replays each batch as a CUDA graph.
    """

    def __init__(
        self,
        bundle: Bundle,
        plan: ScanPlan,
        device: torch.device,
        alphabet: Alphabet = DNA,
        on_device: bool | None = None,
        graph: bool = True,
    ):
        if plan.chunk % bundle.architecture.stride:
            raise InputError(
                f"chunk of {plan.chunk} bp is no multiple of stride {bundle.architecture.stride}"
            )
        self.bundle, self.plan, self.device, self.alphabet = bundle, plan, device, alphabet
        self.context = bundle.architecture.context
        if on_device is None:
            on_device = device.type == "cuda" and not bundle.signals
        self.on_device = on_device
        self._reduced = plan.precision != "float32"
        if device.type == "cuda":
            if device.index is not None:
                torch.cuda.set_device(device)
            _fix_arithmetic(plan.precision)
        self.network = prepare_for_scan(bundle.network, self._trial(), bundle.labels).to(device)
        complement = torch.from_numpy(alphabet.complement_codes.astype(np.uint8))
        self._complement = complement.to(device)
        self._nan = torch.zeros((), dtype=torch.bool, device=device)
        self._step: FixedStep | None = None
        self._graph = graph
        if plan.compile:
            self.network = compile_network(self.network, self._run_once)

    @property
    def row_bases(self) -> int:
        """Bases of a row, context included."""
        return self.plan.chunk + 2 * self.context

    def list_chunks(self, layout: ScanLayout, genome: EncodedGenome) -> Chunks:
        """Cut a layout into the rows of the plan."""
        return cut_rows(self.bundle, self.plan, layout, genome)

    def scan(
        self, genome: EncodedGenome, chunks: Chunks, wanted: range
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the scores of row after row.

        Parameters
        ----------
        genome : EncodedGenome
        chunks : Chunks
        wanted : range
            Numbers of the rows to scan.

        Yields
        ------
        first_bin : int
        codes : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
            Score codes; `UNSCORED` where a bin holds an unknown base. Bins of the minus strand
            stand in the order of the plus strand.
        """
        if self.on_device:
            return fetch_scores(scan_on_device(self, genome, chunks, wanted), self.device)
        return self._scan_on_host(genome, chunks, wanted)

    def _scan_on_host(
        self, genome: EncodedGenome, chunks: Chunks, wanted: range
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Put rows together on the host; what `scan` does there."""
        resolution = self.bundle.architecture.resolution
        codes = np.empty((self.plan.batch, self.row_bases), dtype=np.uint8)
        signals = None
        if self.bundle.signals:
            shape = self.plan.batch, len(self.bundle.signals), self.row_bases
            signals = np.empty(shape, dtype=np.float32)
        groups = range(wanted.start, wanted.stop, self.plan.batch)
        for group in watched(groups, "batch", genome.name):
            rows = range(group, min(group + self.plan.batch, wanted.stop))
            codes[:] = self.alphabet.unknown
            for target, row in enumerate(rows):
                fill_row(codes[target], genome, chunks, row, self.context)
            if signals is not None:
                signals[:] = 0
                for target, row in enumerate(rows):
                    fill_signals(signals[target], genome, chunks, row, self.context)
            scores = self.score(codes, signals)
            for target, row in enumerate(rows):
                first = int(chunks.first_bin[chunks.first_piece[row]])
                yield first, _take(scores[target], kept_bins(chunks, row, resolution))

    def step(self) -> FixedStep:
        """Return the step of one batch of rows; it is recorded when it is first asked for."""
        if self._step is None:
            shape = self.plan.batch, self.row_bases
            self._step = FixedStep(
                self.score_tensor, shape, self.device, self.alphabet.unknown, self._graph
            )
        return self._step

    def forget_step(self) -> None:
        """Give back the memory that the recorded step holds."""
        self._step = None

    def score(self, codes: np.ndarray, signals: np.ndarray | None = None) -> np.ndarray:
        """Score the whole bins between the flanks of some sequences.

        Parameters
        ----------
        codes : numpy.ndarray, shape=(N, bins * resolution + 2 * context), dtype=uint8
        signals : numpy.ndarray or None, shape=(N, signals, same length), dtype=float32
            What the network sees beside the sequence, if anything.

        Returns
        -------
        numpy.ndarray, shape=(N, strands, classes, bins), dtype=uint16
            Score codes, in plus-strand order on both strands.
        """
        values = None if signals is None else torch.from_numpy(signals).to(self.device)
        result = self.score_tensor(torch.from_numpy(codes).to(self.device), values)
        self.check_numbers(self._nan)
        return result.cpu().numpy().view(np.uint16)

    def score_tensor(self, sequence: Tensor, signals: Tensor | None = None) -> Tensor:
        """Score sequences where they are, without waiting for the device.

        Parameters
        ----------
        sequence : torch.Tensor, shape=(N, bins * resolution + 2 * context), uint8
        signals : torch.Tensor or None, shape=(N, signals, same length), float32

        Returns
        -------
        torch.Tensor, shape=(N, strands, classes, bins), int16
            The bits of score codes, in plus-strand order on both strands.
        """
        with torch.inference_mode():
            passes = [self._encode(self._log_odds(sequence, signals))]
            if self.bundle.stranded:
                other = self._complement[sequence.long()].flip(1)
                # A signal has no complement: the other strand reads it backwards.
                backwards = None if signals is None else signals.flip(-1)
                passes.append(self._encode(self._log_odds(other, backwards)).flip(-1))
            result = torch.stack(passes, dim=1)
            return result.masked_fill_(self._unknown_bins(sequence), UNSCORED)

    def log_odds(self, codes: np.ndarray) -> np.ndarray:
        """Return log-odds that are not rounded, for differences between alike sequences.

        Parameters
        ----------
        codes : numpy.ndarray, shape=(N, bins * resolution + 2 * context), dtype=uint8

        Returns
        -------
        numpy.ndarray, shape=(N, strands, classes, bins), dtype=float32
            In plus-strand order on both strands; NaN where a bin holds an unknown base.
        """
        sequence = torch.from_numpy(codes).to(self.device)
        with torch.inference_mode():
            passes = [self._log_odds(sequence, None)]
            if self.bundle.stranded:
                other = self._complement[sequence.long()].flip(1)
                passes.append(self._log_odds(other, None).flip(-1))
            result = torch.stack(passes, dim=1)
            self.check_numbers(torch.isnan(result).any())
            return result.masked_fill_(self._unknown_bins(sequence), torch.nan).cpu().numpy()

    def _unknown_bins(self, sequence: Tensor) -> Tensor:
        """Tell which bins hold an unknown base, shape=(N, 1, 1, bins)."""
        core = sequence[:, self.context : sequence.shape[1] - self.context]
        bins = core.reshape(len(core), -1, self.bundle.architecture.resolution)
        return (bins == self.alphabet.unknown).any(-1)[:, None, None]

    def nan_seen(self) -> Tensor:
        """Return a flag on the device (scalar, bool): whether any score so far was NaN."""
        return self._nan

    def check_numbers(self, flag: Tensor) -> None:
        """Raise InputError where a copy of `nan_seen` is set."""
        if flag:
            raise InputError(
                f"model {self.bundle.name} gives scores that are NaN on {self.device} in "
                f"{self.plan.precision}; expected numbers (are the weights damaged, or too large "
                "for this precision?)"
            )

    def _encode(self, scores: Tensor) -> Tensor:
        """Turn log-odds into the bits of codes and remember whether one was NaN."""
        self._nan.logical_or_(torch.isnan(scores).any())
        return encode_score_tensor(scores)

    def _log_odds(self, sequence: Tensor, signals: Tensor | None) -> Tensor:
        """Run the network on codes (N, L) and signals; return log-odds (N, classes, bins)."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._reduced):
            letters = one_hot(sequence, self.alphabet, self._input_type())
            logits = self.network(with_channels(letters, signals))
        return log_odds(logits, self.bundle.labels)

    def _input_type(self) -> torch.dtype:
        """Return the type of one-hot sequence: the network's own on a GPU, which spares a cast."""
        reduced = self._reduced and self.device.type == "cuda"
        return torch.bfloat16 if reduced else torch.float32

    def _run_once(self, network: torch.nn.Module) -> None:
        """Run a network in the shape of the plan, so that it is compiled for that."""
        shape = self.plan.batch, self.row_bases
        codes = torch.full(shape, self.alphabet.unknown, dtype=torch.uint8, device=self.device)
        signals = None
        if self.bundle.signals:
            shape = self.plan.batch, len(self.bundle.signals), self.row_bases
            signals = torch.zeros(shape, device=self.device)
        before, self.network = self.network, network
        try:
            with torch.inference_mode():
                self._log_odds(codes, signals)
        finally:
            self.network = before

    def _trial(self) -> Tensor:
        """Return a short random sequence, one-hot, with signals, on which to compare networks."""
        generator = np.random.default_rng(0)
        length = 16 * self.bundle.architecture.stride + 2 * self.context
        codes = generator.integers(0, self.alphabet.size, (1, length), dtype=np.uint8)
        x = one_hot(torch.from_numpy(codes), self.alphabet)
        if not self.bundle.signals:
            return x
        values = generator.normal(size=(1, len(self.bundle.signals), length)).astype(np.float32)
        return with_channels(x, torch.from_numpy(values))


def cut_rows(bundle: Bundle, plan: ScanPlan, layout: ScanLayout, genome: EncodedGenome) -> Chunks:
    """Cut a layout into the rows of a plan."""
    architecture = bundle.architecture
    context, stride = architecture.context, architecture.stride
    return list_chunks(layout, genome.contigs, plan.chunk, context, stride)


def _fix_arithmetic(precision: str) -> None:
    """Choose a GPU's arithmetic: float32 in full, and kernels that do not depend on trials.

    TF32 keeps 10 bits and misses the tolerance of float32 (1e-4); timing trials may choose another
    kernel, and so other bits, in every process.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    logger.info("GPU arithmetic: %s, TF32 off, convolutions chosen without timing", precision)


def _take(scores: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Take bins of the last axis; a view where they follow each other."""
    if len(bins) and bins[-1] - bins[0] == len(bins) - 1:
        return scores[..., bins[0] : bins[-1] + 1]
    return scores[..., bins]


def scan_bins(
    scanner: Scanner,
    genome: EncodedGenome,
    chunks: Chunks,
    wanted: range,
    bins: tuple[int, int],
    path: Path,
) -> np.memmap:
    """Score consecutive rows into a mapped file.

    Parameters
    ----------
    scanner : Scanner
    genome : EncodedGenome
    chunks : Chunks
    wanted : range
        Numbers of the rows.
    bins : tuple of int
        The first bin of these rows and the one after their last.
    path : Path
        A `.npy` file that is made.

    Returns
    -------
    numpy.memmap, shape=(strands, classes, bins), dtype=uint16
    """
    first, end = bins
    shape = (scanner.bundle.strands, len(scanner.bundle.classes), end - first)
    scores = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=shape)
    for start, codes in scanner.scan(genome, chunks, wanted):
        scores[..., start - first : start - first + codes.shape[-1]] = codes
    return scores
