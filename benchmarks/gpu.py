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

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from device_timing import Budget, copy_rate, describe_device, matrix_rate, timed  # noqa: E402
from gpu_cases import FULL, QUICK, Case, Tiled, load_sequence, make_cases, tile  # noqa: E402
from gpu_scan import Agreement, Scan, compare, make_plan, measure_scan, scan_rows  # noqa: E402
from gpu_training import measure_training  # noqa: E402
from measuring import Row, median, print_rows, quick_parser, write_results  # noqa: E402

from genomesieve.devices import choose_device  # noqa: E402
from genomesieve.errors import InputError  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402

TIME_LIMIT = 460


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


class Benchmark:
    """All stages, each of which adds to the record.

    Parameters
    ----------
    arguments : argparse.Namespace
    """

    def __init__(self, arguments: argparse.Namespace):
        self.budget = Budget(arguments.seconds)
        self.sizes = QUICK if arguments.quick else FULL
        self.device = choose_device(arguments.device)
        if self.device.type == "cpu" and not arguments.quick:
            raise InputError("a CPU runs this with --quick only")
        if arguments.quick:
            use_threads(1)
        self.memory_gb, self.weights = arguments.memory_gb, arguments.weights
        self.record = Record(describe_device(self.device), not arguments.quick)
        self.codes, origin = load_sequence(arguments.codes, self.sizes)
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
                self._stage(f"compiled {name}", 200, lambda n=name, m=compiled: m(n), needed=150)
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


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--codes", type=Path, help="sequence from benchmarks/packed_codes.py")
    parser.add_argument("--weights", type=Path, help="published weights of network (a)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu with --quick")
    parser.add_argument("--memory-gb", type=float, default=16, help="memory that a scan may use")
    parser.add_argument(
        "--seconds", type=float, default=TIME_LIMIT, help="time that all stages may take"
    )
    arguments = parser.parse_args()
    try:
        record = Benchmark(arguments).run()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"device: {record.place}; sequence: {record.details['sequence']}")
    if arguments.quick:
        print("small sizes: these numbers are not for tables and were not saved")
    for line in record.failed:
        print(f"failed: {line}", file=sys.stderr)
    return bool(record.failed)


if __name__ == "__main__":
    sys.exit(main())
