"""Measure scans and training on a GPU: one command, within eight minutes.

Needs the tensor half of genomesieve only (torch, numpy, pandas, pyarrow, safetensors, tqdm) and,
with --codes, sequence that `benchmarks/packed_codes.py` packed elsewhere (16 MB for a chromosome of
63 Mb); random sequence otherwise. The sequence is tiled on the device to 3.1 Gb.

1. roofline: a large bfloat16 matrix product and a copy on the device;
2. correctness: log-odds in float32 and bfloat16 against float32 on the CPU, and calls that differ;
3. scans, both strands, counts and candidates reduced on the device, codes resident: five slices of
   100 Mb or more (median) and one full pass of 3.1 Gb, for (a) the published residual network of 32
   channels and 10,000 nt, (b) the window model every 20 bp, (c) trunks of 128 and 256 channels;
4. training: a step with fresh batches against a step with one constant batch;
5. where time is left, in the details: the same scans with codes sent from the host meanwhile,
   without a CUDA graph, with convolutions chosen by timing, and compiled by torch.compile.

Times are those of events in the device's queue. What is done is written after every stage to
results/gpu.json. `--quick --device cpu` runs everything small on a CPU; its numbers mean nothing
and are not saved.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from device_timing import Budget, copy_rate, describe_device, matrix_rate, timed  # noqa: E402
from measuring import Row, median, print_rows, quick_parser, write_results  # noqa: E402
from networks import DenseWindowModel, SpliceNetwork, WindowModel, bundle_of  # noqa: E402
from packed_codes import read_codes  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.batches import Batch, WindowSource  # noqa: E402
from genomesieve.bundle import Bundle  # noqa: E402
from genomesieve.chunks import Chunks  # noqa: E402
from genomesieve.device_reduction import DeviceReduction  # noqa: E402
from genomesieve.device_scan import scan_on_device  # noqa: E402
from genomesieve.devices import choose_device  # noqa: E402
from genomesieve.gathering import one_hot  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.labelled_genome import LabelledGenome  # noqa: E402
from genomesieve.layout import ScanLayout, make_layout  # noqa: E402
from genomesieve.networks import build_network  # noqa: E402
from genomesieve.planning import ScanPlan, measure_cost, plan_scan  # noqa: E402
from genomesieve.scanner import Scanner  # noqa: E402
from genomesieve.scores import encode_scores  # noqa: E402
from genomesieve.training import weighted_loss  # noqa: E402

TIME_LIMIT = 460
WINDOW, STEP = 1002, 20
CALL_SHARE = 1e-3
FLOAT32_LIMIT, MEDIAN_LIMIT, LARGEST_LIMIT, CALLS_LIMIT = 1e-4, 0.05, 0.5, 0.03


@dataclass(frozen=True)
class Sizes:
    """How much is measured: bp of genome, slice and comparison, matrix size, bytes copied.

    `windows` are batch sizes of training, of windows of `length` bp.
    """

    genome: int
    slice: int
    slices: int
    compared: int
    matrix: int
    copied: int
    repeats: int
    steps: int
    splice_context: int
    wide: tuple[int, ...]
    length: int
    windows: tuple[int, ...]
    chunk: int | None = None


FULL = Sizes(
    3_100_000_000, 100_000_000, 5, 300_000, 8192, 1 << 30, 10, 20, 5000, (128, 256), 5000, (16, 64)
)  # fmt: skip
QUICK = Sizes(20_000, 6_000, 2, 600, 128, 1 << 20, 2, 1, 200, (128,), 500, (2, 4), 3_000)


@dataclass(frozen=True)
class Case:
    """A network that is scanned with; `seconds` is what a full pass may take.

    `trained` tells whether its weights mean something; only then must calls agree.
    """

    name: str
    bundle: Bundle
    seconds: float | None
    cap: float
    trained: bool = False


@dataclass
class Record:
    """What was measured so far."""

    place: dict
    saved: bool
    rows: list[Row] = field(default_factory=list)
    details: dict = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def keep(self) -> None:
        """Write it down."""
        if self.saved:
            versions = {name: version(name) for name in ("torch", "numpy", "pandas")}
            write_results("gpu", self.rows, versions, self.details, self.place)


@dataclass(frozen=True)
class Tiled:
    """Sequence tiled to a genome on the device."""

    genome: EncodedGenome
    resident: Tensor


def make_cases(sizes: Sizes, codes: np.ndarray, weights: Path | None) -> list[Case]:
    """Make the networks; random ones are scaled on a stretch of the sequence."""
    torch.manual_seed(0)
    splice = SpliceNetwork(sizes.splice_context)
    if weights is not None:
        splice.load_published(read_weights(weights))
    window = DenseWindowModel(WindowModel(), WINDOW, STEP)
    names = ["acceptor", "donor"]
    cases = [
        Case(
            f"(a) residual network of 32 channels and {2 * sizes.splice_context:,} nt, "
            f"{'published' if weights else 'random'} weights",
            bundle_of(splice, splice.geometry, names, "exclusive", True), 120, 170,
            weights is not None,
        ),
        Case(
            "(b) window model, 64 channels, 1,002 bp every 20 bp",
            bundle_of(window, window.geometry, ["a", "b"], "independent", True), 4, 30,
        ),
    ]  # fmt: skip
    for channels in sizes.wide:
        architecture = resolve_architecture({"preset": "dilated", "channels": channels})
        network = build_network(architecture, 2, "exclusive").eval()
        bundle = Bundle("dilated", network, architecture, names, True, "exclusive")
        cases.append(Case(f"(c) dilated, {channels} channels", bundle, None, 40))
    for case in cases:
        if not case.trained:
            spread_scores(case.bundle, codes)
    return cases


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict, from safetensors or from a file of tensors only."""
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def spread_scores(bundle: Bundle, codes: np.ndarray) -> None:
    """Scale the head of a random network so that its outputs have mean 0 and deviation 2.

    A fresh head answers nearly the same everywhere, and no precision tells such scores apart.
    """
    context, stride = bundle.architecture.context, bundle.architecture.stride
    stretch = torch.from_numpy(codes[: 200 * stride + 2 * context].copy())[None]
    head = bundle.network.head
    with torch.inference_mode():
        outputs = bundle.network(one_hot(stretch, DNA))[0]
        scale, mean = 2 / outputs.std(1), outputs.mean(1)
    with torch.no_grad():
        head.weight.mul_(scale.view(-1, *[1] * (head.weight.ndim - 1)))
        head.bias.sub_(mean).mul_(scale)


def tile(codes: np.ndarray, length: int, device: torch.device) -> Tiled:
    """Copy a sequence to a device once and repeat it there; contigs are its copies."""
    unit = torch.from_numpy(np.array(codes)).to(device)
    resident = torch.empty(length, dtype=torch.uint8, device=device)
    starts = np.arange(0, length, len(unit))
    for start in starts.tolist():
        part = resident[start : start + len(unit)]
        part.copy_(unit[: len(part)])
    lengths = np.diff(starts, append=length)
    contigs = pd.DataFrame(
        {"contig": [f"c{number}" for number in range(len(starts))], "length": lengths,
         "offset": starts}
    )  # fmt: skip
    return Tiled(EncodedGenome("tiled", np.zeros(0, dtype=np.uint8), contigs), resident)


# --- correctness ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """Differences from float32 on the CPU: relative (float32), absolute (bfloat16), calls."""

    float32: float
    median: float
    largest: float
    calls: float
    floors: np.ndarray
    trained: bool

    @property
    def holds(self) -> bool:
        """Whether all are within the tolerances of the project."""
        return (
            self.float32 <= FLOAT32_LIMIT
            and self.median <= MEDIAN_LIMIT
            and self.largest <= LARGEST_LIMIT
            and (self.calls <= CALLS_LIMIT or not self.trained)
        )

    def __str__(self) -> str:
        limit = f"{CALLS_LIMIT:.0%}" if self.trained else "any, weights being random"
        return (
            f"float32 {FLOAT32_LIMIT:g} (found {self.float32:.1g}); bfloat16 median "
            f"{MEDIAN_LIMIT:g} (found {self.median:.1g}), largest {LARGEST_LIMIT:g} (found "
            f"{self.largest:.1g}), calls that differ {limit} (found {self.calls:.1%})"
        )


def compare(case: Case, codes: np.ndarray, device: torch.device, sizes: Sizes) -> Agreement:
    """Compare log-odds of a stretch of sequence with those of the CPU in float32."""
    context, stride = case.bundle.architecture.context, case.bundle.architecture.stride
    bases = sizes.compared // stride * stride
    stretch = torch.from_numpy(codes[: bases + 2 * context].copy())[None]
    scores = []
    for place, precision in (("cpu", "float32"), (device, "float32"), (device, "bfloat16")):
        scanner = Scanner(case.bundle, ScanPlan(bases, 1, precision), torch.device(place))
        with torch.inference_mode():
            scores.append(scanner._log_odds(stretch.to(place))[0].cpu())
    exact, single, half = scores
    floors = torch.quantile(exact[:, : 1 << 23], 1 - CALL_SHARE, dim=1)
    called, other = (item >= floors[:, None] for item in (exact, half))
    return Agreement(
        float(((single - exact).abs() / exact.abs().clamp(min=1)).max()),
        float((half - exact).abs().median()),
        float((half - exact).abs().max()),
        float((called ^ other).sum() / called.sum()),
        encode_scores(floors.numpy()),
        case.trained,
    )


# --- scans ---------------------------------------------------------------------------------------


class Scan:
    """A scan of the tiled genome with one network.

    Parameters
    ----------
    case : Case
    plan : ScanPlan
    tiled : Tiled
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
    device : torch.device
    graph : bool
    """

    def __init__(
        self,
        case: Case,
        plan: ScanPlan,
        tiled: Tiled,
        floors: np.ndarray,
        device: torch.device,
        graph: bool = True,
    ):
        self.case, self.tiled, self.floors, self.device = case, tiled, floors, device
        self.scanner = Scanner(case.bundle, plan, device, on_device=True, graph=graph)
        self.layout, self.chunks = self._cut(tiled.genome)
        self.candidates = 0

    def _cut(self, genome: EncodedGenome) -> tuple[ScanLayout, Chunks]:
        """Lay out the bins of all contigs and cut them into rows."""
        split = genome.contigs[["contig"]].assign(
            start=0, end=genome.contigs["length"], part="screen"
        )
        geometry = self.case.bundle.architecture
        layout = make_layout(
            split, genome.contigs, ("screen",), geometry.resolution, geometry.context, "tiled"
        )
        return layout, self.scanner.list_chunks(layout, genome)

    def run(self, rows: range, sent_from: np.ndarray | None = None) -> None:
        """Scan and reduce some rows; codes are resident, or sent from an array of the host."""
        bundle = self.case.bundle
        shape = bundle.strands, len(bundle.classes)
        reduction = DeviceReduction(self.floors, self.layout, shape, self.device, False)
        genome, resident = self.tiled.genome, self.tiled.resident
        if sent_from is not None:
            genome, resident = replace(genome, codes=sent_from), None
        scored = scan_on_device(self.scanner, genome, self.chunks, rows, resident)
        for piece in reduction.reduce(scored):
            self.candidates += 0 if piece.candidates is None else len(piece.candidates)

    def bases(self, rows: range) -> int:
        """Return the bp of some rows."""
        first, end = self.chunks.bin_range(rows, self.layout)
        return (end - first) * self.layout.resolution

    def slices(self, bases: int, count: int) -> list[range]:
        """Return ranges of rows of at least so many bp, spread over the genome."""
        rows = min(len(self.chunks), -(-bases // self.scanner.plan.chunk))
        # Tails of contigs make rows short.
        while rows < len(self.chunks) and self.bases(range(rows)) < bases:
            rows += 1
        starts = np.linspace(0, len(self.chunks) - rows, count).astype(int).tolist()
        return [range(start, start + rows) for start in starts]


def make_plan(case: Case, device: torch.device, memory_gb: float, sizes: Sizes) -> ScanPlan:
    """Plan a scan as the workflow does (bfloat16 on a GPU); small runs take a small chunk."""
    plan, reasons = plan_scan(case.bundle, device, memory_gb)
    print("\n".join(reasons), flush=True)
    if sizes.chunk:
        stride = case.bundle.architecture.stride
        plan = replace(plan, chunk=sizes.chunk // stride * stride, batch=2)
    return plan


def measure_scan(scan: Scan, agreement: Agreement, sizes: Sizes, budget: Budget) -> dict:
    """Measure slices and a full pass, as far as time reaches; return the details."""
    slices = scan.slices(sizes.slice, sizes.slices)
    warm = range(
        slices[0].start, slices[0].start + min(len(slices[0]), 2 * scan.scanner.plan.batch)
    )
    scan.run(warm)
    rates = []
    for rows in slices:
        if rates and budget.left() < 1.5 * scan.bases(rows) / median(rates):
            break
        rates.append(scan.bases(rows) / timed(lambda rows=rows: scan.run(rows), scan.device))
    rate = median(rates)
    count = len(scan.chunks)
    whole = scan.bases(range(count))
    # A pass that does not fit into what is left is cut, and said to be.
    share = min(1.0, 0.9 * budget.left() * rate / whole)
    rows = range(count if share == 1 else max(1, int(share * count)))
    scan.candidates = 0
    seconds = timed(lambda: scan.run(rows), scan.device)
    return {
        "slices_bp": [scan.bases(rows) for rows in slices[: len(rates)]],
        "slices_bp_per_s": rates,
        "pass_bp": scan.bases(rows),
        "pass_s": seconds,
        "whole": len(rows) == count,
        "candidates": scan.candidates,
        "cuda_graph": scan.scanner.step().recorded,
        "plan": scan.scanner.plan.to_dict(),
        "agreement": str(agreement),
    }


def scan_rows(
    case: Case, found: dict, agreement: Agreement, roofline: dict, sizes: Sizes
) -> list[Row]:
    """Make the rows of one network; found["share"] is that of the measured matrix rate."""
    what = f"{case.name}, both strands, {found['plan']['precision']}"
    rate = median(found["slices_bp_per_s"])
    architecture = case.bundle.architecture
    cost = measure_cost(case.bundle.network, architecture, DNA.size)
    operations = cost.operations * case.bundle.strands
    found["operations_a_bp"] = operations
    found["share_of_matrix_rate"] = share = operations * rate / roofline["matrix_operations_per_s"]
    rows = [
        Row(what, f"scan rate, median of {len(found['slices_bp'])} slices", "bp/s", rate, None, "",
            None, "", None, str(agreement)),
    ]  # fmt: skip
    metric = f"device time of a pass of {found['pass_bp'] / 1e9:.3g} Gb, codes resident"
    if case.seconds is not None:
        met = bool(found["pass_s"] <= case.seconds and agreement.holds)
        required = f"<= {case.seconds:g} s for {sizes.genome / 1e9:.2g} Gb"
        whole = found["whole"]
        rows.append(
            Row(what, metric if whole else metric + " (cut for time)", "s", found["pass_s"], None,
                "", None, required, met if whole else None, str(agreement))
        )  # fmt: skip
    else:
        rows.append(
            Row(what, "share of the matrix rate measured in this run", "%", 100 * share, None, "",
                None, ">= 40 %", bool(share >= 0.4 and agreement.holds), str(agreement))
        )  # fmt: skip
    return rows


# --- training ------------------------------------------------------------------------------------


def make_source(
    codes: np.ndarray, model: dict, length: int, windows: int, device: torch.device
) -> WindowSource:
    """Make random windows of a genome with one random site in 2,000 bp, resident on the device."""
    generator = np.random.default_rng(0)
    contigs = pd.DataFrame({"contig": ["c"], "length": [len(codes)], "offset": [0]})
    genome = EncodedGenome("g", codes, contigs)
    position = np.sort(generator.integers(0, len(codes), len(codes) // 2000))
    sites = pd.DataFrame(
        {"contig": "c", "position": position, "start": position, "end": position + 1,
         "strand": generator.choice(["+", "-"], len(position)), "class": "x"}
    )  # fmt: skip
    hidden = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])
    labelled = {"g": LabelledGenome(genome, sites, hidden, ["x"], stranded=True)}
    table = pd.DataFrame(
        {"genome": "g", "contig": "c", "length": length,
         "start": generator.integers(0, len(codes) - length, windows),
         "strand": generator.choice(["+", "-"], windows), "inclusion": [np.ones(1)] * windows}
    )  # fmt: skip
    return WindowSource(table, labelled, resolve_architecture(model), device=device)


def train_steps(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    next_batch: Callable[[], Batch],
    steps: int,
) -> None:
    """Train as `training.Trainer` does: the next batch is made before the loss is read."""
    batch = next_batch()
    for _ in range(steps):
        kind = batch.x.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda"):
            logits = network(batch.x)
        loss = weighted_loss(logits, batch, "independent")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        batch = next_batch()
        float(loss.detach()), float(norm)
        optimizer.step()


def measure_training(
    codes: np.ndarray, model: dict, batch: int, sizes: Sizes, device: torch.device
) -> dict:
    """Measure steps with fresh batches and with one constant batch, in turn."""
    # Scans ask for kernels without atomic sums; training does not.
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.allow_tf32 = True
    source = make_source(codes, model, sizes.length, 2000, device)
    network = build_network(source.architecture, 1, "independent").to(device).train()
    optimizer = torch.optim.AdamW(network.parameters())
    generator = np.random.default_rng(1)

    def fresh() -> Batch:
        return source.batch(np.sort(generator.integers(0, len(source), batch)))

    fixed = fresh()
    seconds: dict[str, list[float]] = {"fresh": [], "constant": []}
    makers = {"fresh": fresh, "constant": lambda: fixed}
    for repeat in range(sizes.repeats + 1):
        for name, maker in makers.items():
            run = timed(lambda m=maker: train_steps(network, optimizer, m, sizes.steps), device)
            if repeat:  # the first warms up
                seconds[name].append(run / sizes.steps)
    steps = {name: median(values) for name, values in seconds.items()}
    share = max(0.0, 1 - steps["constant"] / steps["fresh"])
    bases = batch * sizes.length
    return {"seconds_a_step": steps, "share": share, "bp_per_s": bases / steps["fresh"]}


# --- stages --------------------------------------------------------------------------------------


class Benchmark:
    """All stages, each of which adds to the record.

    Parameters
    ----------
    arguments : argparse.Namespace
    """

    def __init__(self, arguments: argparse.Namespace):
        self.budget = Budget(TIME_LIMIT)
        self.sizes = QUICK if arguments.quick else FULL
        self.device = choose_device(arguments.device)
        if arguments.quick:
            torch.set_num_threads(1)
        self.memory_gb, self.weights = arguments.memory_gb, arguments.weights
        self.record = Record(describe_device(self.device), not arguments.quick)
        self.codes, origin = load_sequence(arguments.codes, self.sizes)
        if self.device.type == "cpu" and not arguments.quick:
            raise SystemExit("error: a CPU runs this with --quick only")
        self.record.details |= {"sequence": origin, "memory_gb": self.memory_gb}
        self.roofline: dict[str, float] = {}
        self.scans: dict[str, tuple[Scan, Agreement]] = {}

    def run(self) -> Record:
        """Run all stages; one that fails is named and the others still run."""
        self._stage("roofline", 30, self.measure_roofline)
        tiled = tile(self.codes, self.sizes.genome, self.device)
        for case in make_cases(self.sizes, self.codes, self.weights):
            self._stage(case.name, case.cap, lambda case=case: self.measure_case(case, tiled))
        for preset in ("dilated", "motif_cnn"):
            for batch in self.sizes.windows:
                self._stage(
                    f"training {preset} {batch}", 25,
                    lambda p=preset, b=batch: self.measure_training(p, b),
                )  # fmt: skip
        for name in self.scans:
            self._stage(f"ways of {name}", 60, lambda name=name: self.measure_ways(name))
        if self.device.type == "cuda":
            for name in self.scans:
                compiled = self.measure_compiled
                self._stage(f"compiled {name}", 200, lambda n=name, m=compiled: m(n), needed=100)
        return self.record

    def _stage(self, name: str, most: float, work: Callable[[], None], needed: float = 2) -> None:
        """Run one stage within its time and write down what there is.

        A stage for which less than `needed` seconds are left is left out, and that is written down.
        """
        self.budget.stage(most)
        if self.budget.left() < needed:
            self.record.details.setdefault("left out for time", []).append(name)
            return
        print(f"== {name}", flush=True)
        done = len(self.record.rows)
        try:
            work()
        except Exception as error:  # the other stages still count
            traceback.print_exc()
            self.record.failed.append(f"{name}: {type(error).__name__}: {error}")
        print_rows(self.record.rows[done:])
        self.record.details["failed"] = self.record.failed
        self.record.keep()

    def measure_roofline(self) -> None:
        """Measure what the device can do at most."""
        sizes = self.sizes
        self.roofline = {
            "matrix_operations_per_s": matrix_rate(self.device, sizes.matrix, sizes.repeats),
            "copy_bytes_per_s": copy_rate(self.device, sizes.copied, sizes.repeats),
        }
        self.record.details["roofline"] = self.roofline

    def measure_case(self, case: Case, tiled: Tiled) -> None:
        """Compare and measure one network."""
        agreement = compare(case, self.codes, self.device, self.sizes)
        plan = make_plan(case, self.device, self.memory_gb, self.sizes)
        scan = Scan(case, plan, tiled, agreement.floors, self.device)
        found = measure_scan(scan, agreement, self.sizes, self.budget)
        self.record.rows += scan_rows(case, found, agreement, self.roofline, self.sizes)
        self.record.details[case.name] = found
        scan.scanner.forget_step()
        self.scans[case.name] = scan, agreement

    def measure_training(self, preset: str, batch: int) -> None:
        """Measure the share of the data in a training step."""
        model = {"preset": preset}
        found = measure_training(self.codes, model, batch, self.sizes, self.device)
        what = f"(d) training step, {preset}, {batch} windows of {self.sizes.length:,} bp"
        share = 100 * found["share"]
        self.record.rows.append(
            Row(what, "share of the data, against a constant batch", "%", share, None, "", None,
                "<= 5 %", bool(share <= 5), "batches equal those of the host (tests)")
        )  # fmt: skip
        self.record.details[what] = found

    def measure_ways(self, name: str) -> None:
        """Measure a slice in other ways than the scan's own."""
        scan, agreement = self.scans[name]
        rows = scan.slices(self.sizes.slice, 1)[0]
        host = scan.tiled.resident[: scan.bases(rows) + self.sizes.slice].cpu().numpy()
        plan, floors = scan.scanner.plan, agreement.floors
        plain = Scan(scan.case, plan, scan.tiled, floors, self.device, graph=False)

        def timed_kernels() -> None:
            torch.backends.cudnn.benchmark = True
            plain.run(rows)

        ways = {
            "resident": lambda: scan.run(rows),
            "sent from the host": lambda: scan.run(rows, host),
            "no CUDA graph": lambda: plain.run(rows),
            "no CUDA graph, convolutions chosen by timing": timed_kernels,
        }
        rate = median(self.record.details[name]["slices_bp_per_s"])
        for way, run in ways.items():
            if self.budget.left() > 3 * scan.bases(rows) / rate:
                self._keep_way(name, way, scan, rows, run)
        torch.backends.cudnn.benchmark = False
        scan.scanner.forget_step()

    def measure_compiled(self, name: str) -> None:
        """Measure a slice with the network compiled by torch.compile, which itself takes long."""
        scan, agreement = self.scans[name]
        plan = replace(scan.scanner.plan, compile=True)
        compiled = Scan(scan.case, plan, scan.tiled, agreement.floors, self.device)
        rows = scan.slices(self.sizes.slice, 1)[0]
        self._keep_way(name, "torch.compile", compiled, rows, lambda: compiled.run(rows))

    def _keep_way(
        self, name: str, way: str, scan: Scan, rows: range, run: Callable[[], None]
    ) -> None:
        """Run once to warm up and once for the record."""
        run()
        rate = scan.bases(rows) / timed(run, self.device)
        self.record.details[name].setdefault("ways_bp_per_s", {})[way] = rate


def load_sequence(path: Path | None, sizes: Sizes) -> tuple[np.ndarray, str]:
    """Read the sequence to tile, or draw one; return it and what to say of it."""
    if path is not None:
        codes = read_codes(path)
        # The first megabases of a chromosome are often unknown; comparisons start at known ones.
        known = int(np.argmax(codes != DNA.unknown))
        return np.roll(codes, -known), f"{path.name}, {len(codes)} bases"
    bases = min(sizes.genome, 64_000_000)
    codes = np.random.default_rng(0).integers(0, 4, bases, dtype=np.uint8)
    return codes, f"random, {bases} bases: no --codes were given"


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--codes", type=Path, help="sequence from benchmarks/packed_codes.py")
    parser.add_argument("--weights", type=Path, help="published weights of network (a)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu with --quick")
    parser.add_argument("--memory-gb", type=float, default=16, help="memory that a scan may use")
    arguments = parser.parse_args()
    record = Benchmark(arguments).run()
    print(f"device: {record.place}; sequence: {record.details['sequence']}")
    if arguments.quick:
        print("small sizes: these numbers are not for tables and were not saved")
    for line in record.failed:
        print(f"failed: {line}", file=sys.stderr)
    return bool(record.failed)


if __name__ == "__main__":
    sys.exit(main())
