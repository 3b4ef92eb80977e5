"""Make training windows: one-hot sequence of random strand and a label, windows per second.

Every side reads the same FASTA (--fasta: at least two contigs of 10,000 bp or more; default: three
contigs of random letters, 30 Mb) and makes windows of 1,000 bp with one label for their middle
200 bp, against one BED file of regions, in batches of 256 on the processor:

- `WindowSource.batch` of genomesieve, in one process, from a genome that `scripts/encode_genome.py`
  encoded (once a genome; its seconds are in the details);
- Selene's `RandomPositionsSampler.sample`, in one process;
- a `torch.utils.data.Dataset` that reads a window with pyfaidx and looks its letters up in a table,
  in a `DataLoader` with two persistent workers. Its labels are drawn beforehand and cost nothing,
  and the batches that its workers prepared before the clock started count for it. The row's loop is
  the fastest of this kind (raw letters, complements by a second table); details also hold one
  with pyfaidx's sequence objects and their `-` for reverse complements, as its manual shows.

Each side's sequence is compared at the same places and strands. Details also hold smaller and
larger batches, a label a base, and the share of a training step (16 windows) of the networks
`dilated` (a label a base) and `motif_cnn` (one a window) that the data take, on the processor and,
where there is one, on a GPU.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx
import pysam
import torch
from measuring import Row, median, quick_parser, save, side_by_side
from selene_sdk.samplers import RandomPositionsSampler
from selene_sdk.sequences import Genome
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from genomesieve.architecture import Architecture, resolve_architecture  # noqa: E402
from genomesieve.batches import Batch, WindowSource  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.labelled_genome import LabelledGenome  # noqa: E402
from genomesieve.losses import weighted_loss  # noqa: E402
from genomesieve.networks import build_network  # noqa: E402

WIDTH, CENTRE = 1000, 200
BATCH, STEP_BATCH = 256, 16
WORKERS = 2
REQUIRED = 40
# Kernel, margin and bin of this geometry add up to one label for the middle of each window.
MIDDLE = {"preset": "motif_cnn", "resolution": CENTRE, "stem_kernels": [21], "pool_margin": 390}
SITE_COLUMNS = ["contig", "position", "start", "end", "strand", "class"]


@dataclass(frozen=True)
class Sizes:
    """How much is made and measured; ours, Selene and loader count windows of one repeat."""

    bases: int
    windows: int
    ours: int
    selene: int
    loader: int
    steps: int
    repeats: int


FULL = Sizes(30_000_000, 200_000, 102_400, 2_560, 10_240, 8, 9)
QUICK = Sizes(300_000, 2_000, 2_560, 512, 512, 2, 2)


def write_fasta(path: Path, bases: int) -> None:
    """Write three contigs of random letters, 60 a line."""
    generator = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with path.open("wb") as out:
        for contig in range(3):
            lines = letters[generator.integers(0, 4, (bases // 180, 60))]
            out.write(b">chr%d\n" % (contig + 1))
            out.write(np.pad(lines, ((0, 0), (0, 1)), constant_values=ord("\n")).tobytes())


def encode(fasta: Path, folder: Path) -> tuple[EncodedGenome, float]:
    """Encode the FASTA file as the workflow does; return the genome and the seconds."""
    outputs = {"codes": "codes.npy", "contigs": "contigs.tsv"}
    outputs |= {"softmask": "softmask.parquet", "summary": "summary.json"}
    command = [sys.executable, str(SCRIPTS / "encode_genome.py"), "--genome", "g"]
    command += ["--fasta", str(fasta)]
    for option, name in outputs.items():
        command += [f"--{option}", str(folder / name)]
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    return EncodedGenome.open(folder, "g"), time.perf_counter() - begin


def draw_regions(contigs: pd.DataFrame) -> pd.DataFrame:
    """Draw one region of 200 bp in 5,000 bases, sorted by contig and start."""
    generator = np.random.default_rng(1)
    tables = []
    for name, length in zip(contigs["contig"], contigs["length"]):
        starts = np.sort(generator.integers(0, length - CENTRE, length // 5000))
        tables.append(pd.DataFrame({"contig": name, "start": starts, "end": starts + CENTRE}))
    return pd.concat(tables, ignore_index=True)


def draw_windows(contigs: pd.DataFrame, count: int) -> pd.DataFrame:
    """Draw windows of either strand: contig, strand and start of the middle 200 bp."""
    generator = np.random.default_rng(2)
    length = contigs["length"].to_numpy(np.int64)
    row = generator.choice(len(length), count, p=length / length.sum())
    # Selene keeps a window's length away from both ends of a contig; so do all.
    start = (WIDTH + generator.random(count) * (length[row] - 3 * WIDTH)).astype(np.int64)
    strand = generator.choice(["+", "-"], count)
    return pd.DataFrame(
        {"contig": contigs["contig"].to_numpy()[row], "start": start, "strand": strand}
    )


def label_genome(genome: EncodedGenome, regions: pd.DataFrame) -> dict[str, LabelledGenome]:
    """Attach the regions, of one class and without strand, to the genome."""
    sites = regions.assign(strand=".", **{"class": "x"})
    sites["position"] = (sites["start"] + sites["end"] - 1) // 2
    hidden = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])
    return {"g": LabelledGenome(genome, sites[SITE_COLUMNS], hidden, ["x"], stranded=False)}


def make_source(
    windows: pd.DataFrame,
    genomes: dict[str, LabelledGenome],
    architecture: Architecture,
    length: int = CENTRE,
    device: torch.device | None = None,
) -> WindowSource:
    """Make the source of the windows' batches."""
    inclusion = [np.ones(1)] * len(windows)
    table = windows.assign(genome="g", length=length, inclusion=inclusion)
    return WindowSource(table, genomes, architecture, device=device)


def draw_batches(source: WindowSource, count: int, size: int) -> None:
    """Make batches in a random order of windows until `count` windows are done."""
    order = np.random.default_rng().permutation(len(source))
    for begin in range(0, count, size):
        source.batch(np.sort(np.take(order, range(begin, begin + size), mode="wrap")))


def make_sampler(fasta: Path, regions: pd.DataFrame, contigs: pd.DataFrame, folder: Path):
    """Make Selene's sampler; one contig is its validation part, as its documentation shows."""
    bed = folder / "regions.bed"
    regions.assign(feature="x").to_csv(bed, sep="\t", header=False, index=False)
    packed = pysam.tabix_index(str(bed), preset="bed", force=True)
    held_out = contigs["contig"].iloc[int(contigs["length"].argmin())]
    return RandomPositionsSampler(
        Genome(str(fasta)),
        packed,
        ["x"],
        validation_holdout=[held_out],
        test_holdout=None,
        sequence_length=WIDTH,
        center_bin_to_predict=CENTRE,
    )


def draw_samples(sampler: RandomPositionsSampler, count: int) -> None:
    """Sample batches until `count` windows are done."""
    for _ in range(0, count, BATCH):
        sampler.sample(BATCH)


def letter_table(letters: bytes) -> np.ndarray:
    """One-hot row (float32) of every byte; the letters in order, either case, others zero."""
    table = np.zeros((256, 4), dtype=np.float32)
    for column, letter in enumerate(letters):
        table[[letter, letter + 32], column] = 1
    return table


class FaidxWindows(Dataset):
    """Windows read with pyfaidx, as a loop that one would write: read, look up, draw a strand.

    Parameters
    ----------
    fasta : Path
    windows : pandas.DataFrame
        Columns contig, start (of the middle 200 bp), strand.
    raw : bool
        Read plain letters instead of pyfaidx's sequence objects, which is faster.
    """

    def __init__(self, fasta: Path, windows: pd.DataFrame, raw: bool):
        self.fasta, self.raw = str(fasta), raw
        flank = (WIDTH - CENTRE) // 2
        self.places = list(zip(windows["contig"], (windows["start"] - flank).tolist()))
        self.labels = torch.zeros(len(windows), 1)
        self.plus, self.minus = letter_table(b"ACGT"), letter_table(b"TGCA")
        self._reader = None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        """Return one-hot sequence (4, 1000) of a random strand and the label."""
        return self.encode(row, random.choice("+-")), self.labels[row]

    def encode(self, row: int, strand: str) -> Tensor:
        """Return one-hot sequence (4, 1000) of a strand."""
        if self._reader is None:
            # Opened in the worker: processes must not share a file's position.
            self._reader = pyfaidx.Fasta(self.fasta, as_raw=self.raw)
        contig, start = self.places[row]
        found = self._reader[contig][start : start + WIDTH]
        if not self.raw:
            found, strand = (found if strand == "+" else -found).seq, "+"
        text = np.frombuffer(found.encode(), dtype=np.uint8)
        return torch.from_numpy(self.plus[text] if strand == "+" else self.minus[text[::-1]]).T


def endless_batches(dataset: Dataset) -> Iterator:
    """Yield the batches of a loader with workers, epoch after epoch."""
    loader = DataLoader(
        dataset, batch_size=BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    return chain.from_iterable(repeat(loader))


def draw_loaded(batches: Iterator, count: int) -> None:
    """Take batches from the loader until `count` windows are done."""
    done = 0
    while done < count:
        done += len(next(batches)[0])


def compare(
    windows: pd.DataFrame, source: WindowSource, encode: Callable[[int, str, int, str], np.ndarray]
) -> tuple[int, int]:
    """Count the windows whose one-hot sequence differs from a peer's, and those compared.

    `encode` gets the window's number, contig, first base and strand and returns (4, 1000).
    """
    count = min(1000, len(windows))
    found = source.batch(np.arange(count)).x.numpy()
    first = (windows["start"] - (WIDTH - CENTRE) // 2).tolist()
    different = 0
    for row, (contig, strand) in enumerate(zip(windows["contig"][:count], windows["strand"])):
        different += not np.array_equal(found[row], encode(row, contig, first[row], strand))
    return different, count


def selene_encoding(sampler: RandomPositionsSampler) -> Callable[..., np.ndarray]:
    """Return Selene's encoding of a window; it writes unknown bases as 0.25, we as 0."""

    def encode(_: int, contig: str, start: int, strand: str) -> np.ndarray:
        genome = sampler.reference_sequence
        found = genome.get_encoding_from_coords(contig, start, start + WIDTH, strand).T
        return np.where(found == 0.25, 0, found)

    return encode


def make_row(
    what: str, peer: str, both: tuple[list[float], list[float]], compared: tuple[int, int]
) -> Row:
    """Return the row of one peer from the windows per second of each repeat."""
    ours, theirs = (median(values) for values in both)
    different, count = compared
    ratio = ours / theirs
    return Row(
        what, "windows per second", "windows/s", ours, theirs, peer, ratio, f">= {REQUIRED}x",
        ratio >= REQUIRED and different == 0,
        f"0 windows that differ (found {different} of {count})",
    )  # fmt: skip


def rates(seconds: list[float], count: int) -> list[float]:
    """Turn the seconds of repeats into windows per second."""
    return [count / value for value in seconds]


def measure_peers(
    fasta: Path, folder: Path, windows: pd.DataFrame, source: WindowSource, sizes: Sizes
) -> tuple[list[Row], dict]:
    """Measure both peers, each in turn with ours."""
    genome = next(iter(source.genomes.values())).genome
    sampler = make_sampler(fasta, draw_regions(genome.contigs), genome.contigs, folder)
    dataset = FaidxWindows(fasta, windows, raw=True)
    batches = endless_batches(dataset)
    of_objects = endless_batches(FaidxWindows(fasta, windows, raw=False))
    against_selene = side_by_side(
        {
            "ours": lambda: draw_batches(source, sizes.ours, BATCH),
            "peer": lambda: draw_samples(sampler, sizes.selene),
        },
        sizes.repeats,
    )
    against_loader = side_by_side(
        {
            "ours": lambda: draw_batches(source, sizes.ours, BATCH),
            "peer": lambda: draw_loaded(batches, sizes.loader),
            # Workers fill their queue now instead of disturbing what is measured next.
            "pause": lambda: time.sleep(0.5),
            "objects": lambda: draw_loaded(of_objects, sizes.loader),
            "second pause": lambda: time.sleep(0.5),
        },
        sizes.repeats,
    )
    what = f"training windows, {WIDTH} bp one-hot, random strand, a label, batches of {BATCH}"
    names = [
        f"selene-sdk {importlib.metadata.version('selene-sdk')} RandomPositionsSampler, 1 process",
        f"pyfaidx {importlib.metadata.version('pyfaidx')} + DataLoader, {WORKERS} workers",
    ]
    encodings = [selene_encoding(sampler), lambda row, _, __, strand: dataset.encode(row, strand)]
    rows, details = [], {}
    measured = zip(names, (against_selene, against_loader), encodings, (sizes.selene, sizes.loader))
    for name, seconds, encode_peer, count in measured:
        both = rates(seconds["ours"], sizes.ours), rates(seconds["peer"], count)
        rows.append(make_row(what, name, both, compare(windows, source, encode_peer)))
        details[name] = {"ours_windows_per_s": both[0], "peer_windows_per_s": both[1]}
    slower = median(rates(against_loader["objects"], sizes.loader))
    details[names[1]]["peer_with_sequence_objects_windows_per_s"] = slower
    return rows, details


def measure_batches(
    windows: pd.DataFrame, genomes: dict[str, LabelledGenome], sizes: Sizes
) -> dict[str, float]:
    """Measure windows per second of other batch sizes, and with a label a base."""
    middle = make_source(windows, genomes, resolve_architecture(MIDDLE))
    dense = make_source(windows, genomes, resolve_architecture({"preset": "dilated"}), WIDTH)
    cases = {f"batches of {size}": (middle, size) for size in (16, 64, 256, 1024)}
    cases[f"batches of {BATCH}, a label a base, context of 'dilated'"] = (dense, BATCH)
    count = sizes.ours // 4
    runs = {
        name: lambda source=source, size=size: draw_batches(source, count, size)
        for name, (source, size) in cases.items()
    }
    seconds = side_by_side(runs, sizes.repeats)
    return {name: median(rates(values, count)) for name, values in seconds.items()}


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    """Run one optimiser step."""
    reduced = batch.x.device.type == "cuda"
    with torch.autocast(batch.x.device.type, dtype=torch.bfloat16, enabled=reduced):
        logits = network(batch.x)
    optimizer.zero_grad(set_to_none=True)
    weighted_loss(logits, batch, "exclusive").backward()
    optimizer.step()


def measure_steps(
    windows: pd.DataFrame,
    genomes: dict[str, LabelledGenome],
    model: dict,
    device: torch.device,
    sizes: Sizes,
) -> dict[str, float]:
    """Measure training steps of a network with fresh batches and with one batch."""
    architecture = resolve_architecture(model)
    place = device if device.type == "cuda" else None
    # A label a base takes whole windows, a label a bin one bin a window.
    length = WIDTH if architecture.resolution == 1 else CENTRE
    source = make_source(windows, genomes, architecture, length, place)
    network = build_network(architecture, 1, "exclusive", "augment").to(device).train()
    optimizer = torch.optim.AdamW(network.parameters())
    fixed = source.batch(np.arange(STEP_BATCH))
    generator = np.random.default_rng(3)

    def run(learn: bool, load: bool) -> None:
        for _ in range(sizes.steps):
            batch = fixed
            if load:
                batch = source.batch(np.sort(generator.integers(0, len(source), STEP_BATCH)))
            if learn:
                train_step(network, optimizer, batch)
        if device.type == "cuda":
            torch.cuda.synchronize()

    runs = {
        "step with fresh batches": lambda: run(True, True),
        "step with one fixed batch": lambda: run(True, False),
        "batch alone": lambda: run(False, True),
    }
    seconds = side_by_side(runs, sizes.repeats)
    result = {f"{name}, ms": median(s) / sizes.steps * 1e3 for name, s in seconds.items()}
    alone, whole = result["batch alone, ms"], result["step with fresh batches, ms"]
    return result | {"share of data in a step": alone / whole}


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Measure everything and save."""
    sizes = QUICK if arguments.quick else FULL
    # Workers of a peer suffer more than one process where others use the machine: keep a witness.
    load = [os.getloadavg()[0]]
    fasta = folder / "genome.fa"
    if arguments.fasta:
        # Peers write their index beside the file they read.
        fasta.symlink_to(arguments.fasta.resolve())
    else:
        write_fasta(fasta, sizes.bases)
    genome, encoding = encode(fasta, folder)
    if len(genome.contigs) < 2 or genome.contigs["length"].min() < 10 * WIDTH:
        raise SystemExit("error: the FASTA needs two contigs or more, each of 10,000 bp or more")
    windows = draw_windows(genome.contigs, sizes.windows)
    genomes = label_genome(genome, draw_regions(genome.contigs))
    source = make_source(windows, genomes, resolve_architecture(MIDDLE))
    rows, details = measure_peers(fasta, folder, windows, source, sizes)
    details["other batches, windows_per_s"] = measure_batches(windows, genomes, sizes)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for name in devices:
        for model in ({"preset": "dilated"}, MIDDLE):
            step = measure_steps(windows, genomes, model, torch.device(name), sizes)
            what = f"training step of '{model['preset']}', {STEP_BATCH} windows of {WIDTH} bp"
            details[f"{what}, {name}"] = step
    details |= {"sequence": arguments.fasta.name if arguments.fasta else "random letters"}
    details |= {"bases": len(genome.codes), "encode_genome_s": encoding, "repeats": sizes.repeats}
    details |= {"torch_threads": torch.get_num_threads(), "quick": arguments.quick}
    details["load_average_before_and_after"] = [*load, os.getloadavg()[0]]
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    versions |= {
        name: importlib.metadata.version(name) for name in ("selene-sdk", "pyfaidx", "pandas")
    }
    save("training_data", rows, versions, details)


def main() -> int:
    """Measure in a temporary folder."""
    parser = quick_parser(__doc__)
    parser.add_argument("--fasta", type=Path, help="genome to read; default: random letters")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
