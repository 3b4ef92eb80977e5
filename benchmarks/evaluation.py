"""Evaluate at genome scale: average precision and AUROC from histograms of score codes.

Against scikit-learn on 100 million pairs of score and label. Each side is a process of its own on
one core, in turn. scikit-learn is timed from arrays in memory (average_precision_score and
roc_auc_score); genomesieve from the mapped files of codes and labels to the same two numbers.
Memory is the process's peak, which for scikit-learn includes the arrays.

Then 6.2 billion pairs of each of three classes are streamed through three counters. The codes are a
pool on disk that is mapped and read 400 times over, so that drawing them is not measured; reading,
counting and the metrics are. The metrics must be those of scikit-learn on the pool.

Last, intervals for the same metrics by resampling 256 blocks of a genome 1,000 times.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Before numpy and torch are imported: the rates are those of one core.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import measuring  # noqa: E402
import numpy as np  # noqa: E402
from measuring import Row, median, quick_parser, run_process, save  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from genomesieve import metrics  # noqa: E402
from genomesieve.bootstrap import block_weights, percentile_interval, resample_histograms  # noqa: E402
from genomesieve.evaluation import CURVE_RECALLS  # noqa: E402
from genomesieve.label_counts import PairCounter  # noqa: E402
from genomesieve.scores import CODES, count_codes, decode_scores, encode_scores  # noqa: E402

PREVALENCES = (1 / 1_500, 1 / 3_000, 1 / 17_000)
BLOCKS, BOOTSTRAPS = 256, 1_000
READ_AT_ONCE = 1 << 20
CLOSE = 1e-9


@dataclass(frozen=True)
class Sizes:
    """How many pairs: compared with scikit-learn, in the pool, in each bootstrap block."""

    compared: int
    pool: int
    rounds: int
    block: int
    repeats: int


FULL = Sizes(compared=10**8, pool=15_500_000, rounds=400, block=400_000, repeats=3)
QUICK = Sizes(compared=10**6, pool=200_000, rounds=5, block=4_000, repeats=1)


def draw(pairs: int, prevalence: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return score codes and labels of a rare class that a good model separates."""
    generator = np.random.default_rng(seed)
    codes, labels = np.empty(pairs, np.uint16), np.empty(pairs, np.uint8)
    for first in range(0, pairs, READ_AT_ONCE):
        piece = slice(first, min(first + READ_AT_ONCE, pairs))
        size = piece.stop - piece.start
        labels[piece] = generator.random(size, np.float32) < prevalence
        scores = generator.standard_normal(size, np.float32) * 2.5 - 9 + 8 * labels[piece]
        codes[piece] = encode_scores(scores)
    return codes, labels


def write_pairs(folder: Path, name: str, codes: np.ndarray, labels: np.ndarray) -> None:
    """Write codes and labels as arrays that can be mapped."""
    np.save(folder / f"{name}.codes.npy", codes)
    np.save(folder / f"{name}.labels.npy", labels)


def map_pairs(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Map codes and labels."""
    paths = (folder / f"{name}.codes.npy", folder / f"{name}.labels.npy")
    return tuple(np.load(path, mmap_mode="r") for path in paths)


def count_pairs(counter: PairCounter, codes: np.ndarray, labels: np.ndarray) -> None:
    """Stream pairs into a counter, a bounded number at a time."""
    for first in range(0, len(codes), READ_AT_ONCE):
        piece = slice(first, first + READ_AT_ONCE)
        counter.add(codes[piece], labels[piece])


def summarise(counter: PairCounter) -> dict:
    """Return the metrics of what a counter holds."""
    positives, negatives = counter.counts()
    return {
        "average_precision": float(metrics.average_precision(positives, negatives)),
        "auroc": float(metrics.auroc(positives, negatives)),
        "precisions": metrics.precision_at_recall(positives, negatives, CURVE_RECALLS).tolist(),
        "pairs": int(positives.sum() + negatives.sum()),
    }


def evaluate_ours(folder: Path) -> dict:
    """Time counting and metrics of the compared pairs."""
    begin = time.perf_counter()
    counter = PairCounter()
    count_pairs(counter, *map_pairs(folder, "compared"))
    positives, negatives = counter.counts()
    metrics.average_precision(positives, negatives), metrics.auroc(positives, negatives)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds} | summarise(counter)


def evaluate_peer(folder: Path) -> dict:
    """Time scikit-learn on the compared pairs, from arrays in memory."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    codes, labels = map_pairs(folder, "compared")
    scores, labels = decode_scores(codes), np.array(labels)
    begin = time.perf_counter()
    result = {"average_precision": float(average_precision_score(labels, scores))}
    result["auroc"] = float(roc_auc_score(labels, scores))
    return {"seconds": time.perf_counter() - begin} | result


def evaluate_stream(folder: Path, rounds: int) -> dict:
    """Time counting the pools of all classes many times over, and the metrics."""
    begin = time.perf_counter()
    counters = [PairCounter() for _ in PREVALENCES]
    for _ in range(rounds):
        for number, counter in enumerate(counters):
            count_pairs(counter, *map_pairs(folder, f"pool{number}"))
    results = [summarise(counter) for counter in counters]
    return {"seconds": time.perf_counter() - begin, "classes": results}


def scikit_learn_curve(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return scikit-learn's precision at the highest threshold that reaches each recall."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(labels, decode_scores(codes))
    rows = np.searchsorted(-recall, -CURVE_RECALLS, "right") - 1
    return precision[rows]


def run_side(side: str, folder: Path, rounds: int = 0) -> tuple[dict, int]:
    """Run one side in a process of its own; return what it printed and its peak memory."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = run_process([*command, "--rounds", str(rounds)])
    return json.loads(done.output.splitlines()[-1]), done.anonymous


def compare(sizes: Sizes, folder: Path) -> tuple[list[Row], dict, bool]:
    """Measure both sides on the same pairs; return rows, details, whether the answers agree."""
    from sklearn import __version__ as version

    codes, labels = draw(sizes.compared, PREVALENCES[0], 0)
    write_pairs(folder, "compared", codes, labels)
    runs = {"ours": [], "peer": []}
    for _ in range(sizes.repeats):
        for side, mine in runs.items():
            mine.append(run_side(side, folder))
    seconds = {side: median([run["seconds"] for run, _ in mine]) for side, mine in runs.items()}
    memory = {side: median([peak for _, peak in mine]) / 1e9 for side, mine in runs.items()}
    ours, peer = runs["ours"][0][0], runs["peer"][0][0]
    curve = np.abs(np.array(ours["precisions"]) - scikit_learn_curve(codes, labels)).max()
    apart = max(abs(ours[name] - peer[name]) for name in ("average_precision", "auroc"))
    right, equal = _closeness(max(apart, float(curve)))
    what = f"average precision and AUROC of {sizes.compared:.0e} pairs, one core"
    name = f"scikit-learn {version}"
    ratio = {key: value["peer"] / value["ours"] for key, value in
             {"time": seconds, "memory": memory}.items()}  # fmt: skip
    rate = sizes.compared / seconds["ours"] / 1e6
    rows = [
        Row(what, "time", "s", seconds["ours"], seconds["peer"], name, ratio["time"], ">= 50x",
            right and ratio["time"] >= 50, equal),
        Row(what, "peak anonymous memory", "GB", memory["ours"], memory["peer"], name,
            ratio["memory"], "", right, equal),
        Row(what, "rate", "M pairs/s", rate, sizes.compared / seconds["peer"] / 1e6, name,
            ratio["time"], ">= 200 M pairs/s", right and rate >= 200, equal),
    ]  # fmt: skip
    spread = {side: [run["seconds"] for run, _ in mine] for side, mine in runs.items()}
    values = {key: ours[key] for key in ("average_precision", "auroc")}
    return rows, {"seconds": spread, "compared_values": values}, right


def _closeness(found: float) -> tuple[bool, str]:
    """Return whether answers are close enough, and the words for it."""
    return found <= CLOSE, f"{CLOSE:g} (found {found:.1g})"


def stream(sizes: Sizes, folder: Path) -> tuple[list[Row], dict, bool]:
    """Measure a stream of three classes; its metrics are those of the pools."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    expected = []
    for number, prevalence in enumerate(PREVALENCES):
        codes, labels = draw(sizes.pool, prevalence, number + 1)
        write_pairs(folder, f"pool{number}", codes, labels)
        scores = decode_scores(codes)
        expected.append((average_precision_score(labels, scores), roc_auc_score(labels, scores)))
        expected[-1] += (scikit_learn_curve(codes, labels),)
    result, peak = run_side("stream", folder, sizes.rounds)
    found = [
        (mine["average_precision"], mine["auroc"], np.array(mine["precisions"]))
        for mine in result["classes"]
    ]
    apart = max(np.abs(a - b).max() for one, two in zip(found, expected) for a, b in zip(one, two))
    each = sizes.pool * sizes.rounds
    right, equal = _closeness(float(apart))
    right = right and all(mine["pairs"] == each for mine in result["classes"])
    rate = each * len(found) / result["seconds"] / 1e6
    memory, what = peak / 1e9, f"stream {each / 1e9:.3g} billion pairs x {len(found)} classes"
    rows = [
        Row(f"{what}, one core", "rate", "M pairs/s", rate, None, "", None, ">= 200 M pairs/s",
            right and rate >= 200, equal),
        Row(f"{what}, one core", "peak anonymous memory", "GB", memory, None, "", None, "<= 1 GB",
            right and memory <= 1, equal),
    ]  # fmt: skip
    details = {
        "stream_seconds": result["seconds"],
        "stream_includes": "reading mapped pools of codes and labels, counting, metrics",
        "pool_pairs": sizes.pool,
        "bytes_of_histograms_per_class": 2 * CODES * 8,
    }
    return rows, details, right


def block_histograms(pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positives and negatives of every block over the codes in use."""
    shape = (BLOCKS, CODES)
    positives, negatives = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for block in range(BLOCKS):
        codes, labels = draw(pairs, PREVALENCES[0], 100 + block)
        positives[block] = count_codes(codes[labels == 1])
        negatives[block] = count_codes(codes[labels == 0])
    used = (positives + negatives).any(axis=0)
    return positives[:, used], negatives[:, used]


def bootstrap(sizes: Sizes) -> tuple[list[Row], dict, bool]:
    """Measure intervals by resampling blocks; check some repeats one by one."""
    positives, negatives = block_histograms(sizes.block)
    statistics = {"average precision": metrics.average_precision, "AUROC": metrics.auroc}
    begin = time.perf_counter()
    weights = block_weights(BLOCKS, BOOTSTRAPS, 0)
    drawn = resample_histograms(weights, positives, negatives, statistics)
    intervals = {name: percentile_interval(values) for name, values in drawn.items()}
    seconds = time.perf_counter() - begin
    apart = 0.0
    for repeat in range(5):
        times = np.rint(weights[repeat]).astype(np.int64)
        chosen = np.repeat(np.arange(BLOCKS), times)
        mine = positives[chosen].sum(axis=0), negatives[chosen].sum(axis=0)
        for name, statistic in statistics.items():
            apart = max(apart, abs(float(statistic(*mine)) - drawn[name][repeat]))
    right, equal = _closeness(apart)
    what = f"bootstrap of {BLOCKS} blocks x {BOOTSTRAPS:,} repeats, two metrics, one core"
    row = Row(what, "time", "s", seconds, None, "", None, "<= 30 s", right and seconds <= 30, equal)
    details = {
        "bootstrap_codes_in_use": positives.shape[1],
        "bootstrap_intervals": {name: [one.low, one.high] for name, one in intervals.items()},
    }
    return [row], details, right


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = quick_parser(__doc__)
    parser.add_argument("--folder", type=Path, help="where to put temporary files")
    parser.add_argument("--side", choices=["ours", "peer", "stream"], help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_measured_side(arguments: argparse.Namespace) -> None:
    """Do what one process does, and print its result."""
    sides = {"ours": evaluate_ours, "peer": evaluate_peer}
    if arguments.side == "stream":
        result = evaluate_stream(arguments.folder, arguments.rounds)
    else:
        result = sides[arguments.side](arguments.folder)
    print(json.dumps(result))


def main() -> int:
    """Measure and save."""
    arguments = parse_arguments()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:1])
    if arguments.side:
        run_measured_side(arguments)
        return 0
    from sklearn import __version__ as version

    sizes = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        if arguments.quick:
            measuring.RESULTS = Path(name)  # small sizes must not replace recorded results
        parts = [compare(sizes, Path(name)), stream(sizes, Path(name)), bootstrap(sizes)]
        rows = [row for more, _, _ in parts for row in more]
        details = {key: value for _, more, _ in parts for key, value in more.items()}
        os.sched_setaffinity(0, cores)  # the machine is described as it is
        save("evaluation", rows, {"numpy": np.__version__, "scikit-learn": version}, details)
    agree = all(right for _, _, right in parts)
    # Small sizes cannot reach the rates.
    return 0 if agree and (arguments.quick or all(row.met for row in rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
