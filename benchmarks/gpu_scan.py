"""Scans of a tiled genome on a device: compared with the CPU, then measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from device_timing import Budget, timed  # noqa: E402
from gpu_cases import Case, Sizes, Tiled  # noqa: E402
from measuring import Row, median  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.chunks import Chunks  # noqa: E402
from genomesieve.device_reduction import DeviceReduction  # noqa: E402
from genomesieve.device_scan import scan_on_device  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.layout import ScanLayout, make_layout  # noqa: E402
from genomesieve.planning import ScanPlan, measure_cost, plan_scan  # noqa: E402
from genomesieve.scanner import Scanner  # noqa: E402
from genomesieve.scores import encode_scores  # noqa: E402

CALL_SHARE = 1e-3
FLOAT32_LIMIT, MEDIAN_LIMIT, LARGEST_LIMIT, CALLS_LIMIT = 1e-4, 0.05, 0.5, 0.03


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
            scores.append(scanner._log_odds(stretch.to(place), None)[0].cpu())
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
            None, "", agreement.holds, str(agreement)),
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
