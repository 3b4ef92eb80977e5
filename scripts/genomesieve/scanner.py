"""Dense scanning: the scores of all bins of a layout, in rows of fixed shape.

Rows are cut by the plan (see `chunks`) and run in batches of fixed shape, so that the scores of a
bin do not depend on which other bins are scanned with it: shards never change a bit under one plan,
device and thread count. Complement, one-hot, network and the encoding of scores all happen on the
device; a base goes there as one byte and a score comes back as two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.batches import one_hot
from genomesieve.bundle import Bundle
from genomesieve.chunks import Chunks, fill_row, kept_bins, list_chunks
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.inference import prepare_for_scan
from genomesieve.layout import ScanLayout
from genomesieve.networks import log_odds
from genomesieve.planning import ScanPlan
from genomesieve.score_tensors import encode_score_tensor
from genomesieve.scores import UNSCORED


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
        self.context = bundle.architecture.context
        self.network = prepare_for_scan(bundle.network, self._trial(), bundle.labels).to(device)
        complement = torch.from_numpy(alphabet.complement_codes.astype(np.uint8))
        self._complement = complement.to(device)
        self._reduced = plan.precision != "float32"

    def list_chunks(self, layout: ScanLayout, genome: EncodedGenome) -> Chunks:
        """Cut a layout into the rows of the plan."""
        stride = self.bundle.architecture.stride
        return list_chunks(layout, genome.contigs, self.plan.chunk, self.context, stride)

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
        size = self.plan.chunk + 2 * self.context
        resolution = self.bundle.architecture.resolution
        codes = np.empty((self.plan.batch, size), dtype=np.uint8)
        groups = range(wanted.start, wanted.stop, self.plan.batch)
        for group in tqdm(groups, unit="batch", disable=None, ncols=100, desc=genome.name):
            rows = range(group, min(group + self.plan.batch, wanted.stop))
            codes[:] = self.alphabet.unknown
            for target, row in enumerate(rows):
                fill_row(codes[target], genome, chunks, row, self.context)
            scores = self.score(codes)
            for target, row in enumerate(rows):
                first = int(chunks.first_bin[chunks.first_piece[row]])
                yield first, _take(scores[target], kept_bins(chunks, row, resolution))

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
        sequence = torch.from_numpy(codes).to(self.device)
        with torch.inference_mode():
            passes = [encode_score_tensor(self._log_odds(sequence))]
            if self.bundle.stranded:
                other = self._complement[sequence.long()].flip(1)
                passes.append(encode_score_tensor(self._log_odds(other)).flip(-1))
            result = torch.stack(passes, dim=1)
            core = sequence[:, self.context : sequence.shape[1] - self.context]
            bins = core.reshape(len(core), -1, self.bundle.architecture.resolution)
            unknown = (bins == self.alphabet.unknown).any(-1)
            result.masked_fill_(unknown[:, None, None], UNSCORED)
        return result.cpu().numpy().view(np.uint16)

    def _log_odds(self, sequence: Tensor) -> Tensor:
        """Run the network on codes (N, L); return log-odds (N, classes, bins) in float32."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._reduced):
            logits = self.network(one_hot(sequence, self.alphabet))
        return log_odds(logits, self.bundle.labels)

    def _trial(self) -> Tensor:
        """Return a short random sequence, one-hot, on which to compare networks."""
        generator = np.random.default_rng(0)
        length = 16 * self.bundle.architecture.stride + 2 * self.context
        codes = generator.integers(0, self.alphabet.size, (1, length), dtype=np.uint8)
        return one_hot(torch.from_numpy(codes), self.alphabet)


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
