"""Draw the figures of the concept pages anew, from recorded results.

    python docs/figures.py            # writes docs/images/*.svg
    python docs/figures.py --check    # writes nothing, fails if one is not what the results say

Numbers are those of `benchmarks/results/*.json`, or of the recorded tables of pages in docs/ where
results have no file of their own. Nothing is measured here. Each panel is a file, so that a page
can stack them on a narrow screen. Colours are those of Okabe and Ito (2008), and nothing is told by
colour alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

sys.path.insert(0, str(ROOT / "scripts"))
from genomesieve.figures import (  # noqa: E402
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Panel,
    Picture,
    draw_panels,
)
from genomesieve.metrics import precision_at_prevalence  # noqa: E402

_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")
_NEAR = 0.05
"""Points that two drawings of the same numbers may differ by (rounding of another machine)."""


def results(name: str) -> dict:
    """Return a file of benchmarks/results."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def page_table(page: str, *titles: str) -> list[list[str]]:
    """Return the rows of the table of a page whose header begins with some titles.

    Raises
    ------
    ValueError
        If no table of the page does.
    """
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        for line in (ROOT / "docs" / page).read_text().splitlines()
    ]
    for place, cells in enumerate(lines):
        if cells and cells[: len(titles)] == list(titles):
            found = lines[place + 2 :]
            return found[: next((i for i, row in enumerate(found) if row is None), len(found))]
    raise ValueError(f"{page} has no table that begins with {titles}")


def first_number(text: str) -> float:
    """Return the first number of a text, such as 0.78 of "0.78 (0.75 to 0.83)"."""
    return float(_NUMBER.search(text.replace("−", "-"))[0])


def draw_interval(axes: Axes, x: float, y: float, low: float, high: float, **style: object) -> None:
    """Draw a value with its interval, upright."""
    axes.errorbar(x, y, [[max(y - low, 0)], [max(high - y, 0)]], capsize=2.5, **style)


def precision_by_prevalence(axes: Axes) -> None:
    """Draw what precision two rates give, as sites get rarer."""
    negatives = np.geomspace(1, 1e5, 200)
    kinds = ((0.01, BLUE, "-"), (0.001, ORANGE, "--"), (0.0001, GREEN, "-."))
    for rate, colour, line in kinds:
        precision = precision_at_prevalence(0.95, rate, 1 / (1 + negatives))
        label = f"false positive rate {rate:g}"
        axes.semilogx(negatives, precision, color=colour, linestyle=line, label=label)
    at = float(precision_at_prevalence(0.95, 0.01, 1 / 1000))
    axes.plot(999, at, "o", color=BLACK, markersize=6)
    axes.annotate(f"1:999, precision {at:.3f}", (999, at), (-12, -4), textcoords="offset points",
                  ha="right", va="center")  # fmt: skip
    axes.set(xlabel="positions without a site, for one with", ylabel="precision", ylim=(0, 1.5))
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.legend(loc="upper left", title="true positive rate 0.95", alignment="left")


def ranking_scores(axes: Axes) -> None:
    """Draw AUROC beside average precision of the same models on the same positions."""
    rows = results("accuracy")["rows"]
    names = {
        ("splice_arabidopsis", "donor"): "A. thaliana, donors",
        ("splice_human", "donor"): "human chr20, donors",
        ("binding_human", "CTCF"): "human chr20, CTCF",
        ("binding_yeast", "Reb1"): "yeast, Reb1",
    }
    found: list[tuple[str, float, float]] = []
    for (task, kind), name in names.items():
        for peer in (None, "pwm"):
            key = "value" if peer is None else "peer_value"
            mine = [r for r in rows if (r["task"], r["class"]) == (task, kind)]
            mine = [r for r in mine if peer is None or _is_matrix(r["peer"])]
            auroc = next(r[key] for r in mine if r["metric"] == "auroc")
            precision = next(r[key] for r in mine if r["metric"] == "average_precision")
            what = "network" if peer is None else "motif"
            found.append((f"{name}: {what}", auroc, precision))
    for place, (_, auroc, precision) in enumerate(found):
        axes.plot([precision, auroc], [place, place], color=GREY, linewidth=1, zorder=1)
        axes.plot(auroc, place, "o", color=ORANGE, label="AUROC" if not place else None)
        axes.plot(precision, place, "D", color=BLUE, label=None if place else "average precision")
    axes.set_yticks(range(len(found)), [name for name, *_ in found])
    axes.set(xlim=(0, 1.04), ylim=(len(found) - 0.5, -2.2))
    axes.legend(loc="upper left")


def _is_matrix(peer: str) -> bool:
    """Tell whether a row compares with a position weight matrix or a motif scan."""
    return "pwm" in peer or "motif" in peer


def symmetry_scores(axes: Axes) -> None:
    """Draw average precision by what is done about the other strand."""
    rows = {row["screen"]: row for row in results("ablation_symmetry")["rows"]}
    for shift, trunk, colour, marker in ((-0.1, "dilated", BLUE, "o"), (0.1, "lstm", ORANGE, "s")):
        for place, mode in enumerate(MODES):
            row = rows[f"{trunk}_{mode}"]
            label = None if place else f"trunk {trunk}"
            draw_interval(axes, place + shift, row["average_precision"], row["low"], row["high"],
                          fmt=marker, color=colour, label=label)  # fmt: skip
    axes.set_xticks(range(len(MODES)), MODES)
    axes.set(ylabel="average precision", ylim=(0, 0.3), xlim=(-0.5, len(MODES) - 0.5))
    axes.legend(loc="upper left")


def symmetry_disagreement(axes: Axes) -> None:
    """Draw the share of predicted sites that are seen on one reading alone."""
    rows = {row["screen"]: row for row in results("ablation_symmetry")["rows"]}
    for shift, trunk, colour, hatch in ((-0.2, "dilated", BLUE, ""), (0.2, "lstm", ORANGE, "//")):
        shares = [rows[f"{trunk}_{mode}"]["strand_disagreement"] for mode in MODES]
        places = np.arange(len(MODES)) + shift
        axes.bar(places, shares, 0.36, color=colour, hatch=hatch, edgecolor="white",
                 label=f"trunk {trunk}")  # fmt: skip
        for place, share in zip(places, shares):
            axes.annotate(f"{share:.2f}", (place, share), (0, 2), textcoords="offset points",
                          ha="center", fontsize=8)  # fmt: skip
    axes.set_xticks(range(len(MODES)), MODES)
    axes.set(ylabel="share of predicted sites", ylim=(0, 0.3))
    axes.legend(loc="upper right")


MODES = ("augment", "average", "equivariant")


def shared_weights(axes: Axes) -> None:
    """Draw average precision by the number of windows, with and without shared weights."""
    rows = results("weight_sharing")["rows"]
    kinds = (("convolution", BLUE, "o"), ("locally connected", VERMILION, "s"))
    for data, line in (("planted word", "--"), ("yeast Abf1", "-")):
        for what, colour, marker in kinds:
            mine = [row for row in rows if (row["part"], row["what"]) == (data, what)]
            mine.sort(key=lambda row: int(row["metric"]))
            windows = [int(row["metric"]) for row in mine]
            values = [row["value"] for row in mine]
            weights = f"{mine[0]['parameters']:,} weights"
            label = f"{what} ({weights})" if data == "yeast Abf1" else None
            axes.semilogx(windows, values, line, color=colour, marker=marker, label=label)
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    axes.annotate("guessing", (8500, 0.5), (0, -11), textcoords="offset points", color=GREY,
                  ha="right")  # fmt: skip
    axes.plot([], [], "k-", label="yeast Abf1")
    axes.plot([], [], "k--", label="planted word")
    axes.set(xlabel="training windows", ylabel="average precision", ylim=(0.4, 1.32))
    axes.set_yticks(np.arange(0.4, 1.01, 0.1))
    axes.legend(loc="upper left")


def long_range(axes: Axes) -> None:
    """Draw average precision of pairs of motifs by their distance, for some trunks."""
    rows = [row for row in results("long_range")["rows"] if row["part"] == "pairs"]
    distances = ("10-100 bp", "100-500 bp", "500-1,500 bp")
    kinds = (
        ("dilated, sees 1,650 bp", BLUE, "-", "o"),
        ("transformer", GREEN, "-.", "^"),
        ("gru", PURPLE, (0, (5, 1)), "D"),
        ("dilated, sees 450 bp", SKY, "--", "s"),
        ("lstm", VERMILION, ":", "v"),
        ("known exactly: motif A", GREY, "-", "x"),
    )
    for what, colour, line, marker in kinds:
        values = {row["metric"]: row["value"] for row in rows if row["what"] == what}
        label = what.replace("known exactly: ", "") + (" alone" if "known" in what else "")
        axes.plot(range(3), [values[name] for name in distances], linestyle=line, color=colour,
                  marker=marker, label=label)  # fmt: skip
    axes.set_xticks(range(3), distances)
    axes.set(xlabel="distance of the partner", ylabel="average precision", ylim=(0, 1.55))
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.legend(loc="upper left", ncols=2)


def probed_properties(axes: Axes) -> None:
    """Draw what is read from a network, from an untrained one and from k-mers."""
    rows = page_table("probes.md", "property", "best layer", "probe", "untrained", "k-mers")
    kinds = ((2, BLUE, "o", "trained network"), (3, ORANGE, "s", "untrained"))
    kinds += ((4, GREEN, "^", "3-mers"),)
    for column, colour, marker, label in kinds:
        values = [first_number(row[column]) for row in rows]
        axes.plot(values, range(len(rows)), marker, color=colour, label=label)
    verdicts = [re.split("[,:]", row[6])[0].upper() for row in rows]
    names = [f"{row[0]}\n{verdict}" for row, verdict in zip(rows, verdicts)]
    axes.set_yticks(range(len(rows)), names)
    axes.set(xlabel="R² or AUROC", xlim=(-0.03, 1), ylim=(len(rows) - 0.5, -2.6))
    axes.legend(loc="upper left")


def batch_norms(axes: Axes) -> None:
    """Draw average precision in laboratories of training and in one that was left out."""
    norms = results("batch_effects")["norms"]
    for place, (_, row) in enumerate(norms.items()):
        pairs = (
            (-0.1, "within", BLUE, "o", "laboratories of training"),
            (0.1, "held_out", VERMILION, "s", "laboratory left out"),
        )
        for shift, key, colour, marker, label in pairs:
            low, high = row[f"{key}_interval"]
            draw_interval(axes, place + shift, row[f"{key}_average_precision"], low, high,
                          fmt=marker, color=colour, label=None if place else label)  # fmt: skip
        if "probe_accuracy" in row:
            axes.text(place, 0.47, f"{row['probe_accuracy']:.2f}", ha="center", color=GREY)
    axes.text(len(norms) - 1, 0.47, "(probe)", ha="center", color=GREY)
    axes.set_xticks(range(len(norms)), [name.replace(" ", "\n") for name in norms])
    axes.set(xlabel="norm", ylabel="average precision", ylim=(0.44, 0.92))
    axes.legend(loc="upper right")


def transferred_precision(axes: Axes) -> None:
    """Draw estimated against found precision, of pairs with and without a warning."""
    rows = results("transfer")["rows"]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for warned, colour, marker in ((False, BLUE, "o"), (True, VERMILION, "x")):
        mine = [row for row in rows if row["warned"] is warned]
        label = f"{'with' if warned else 'without'} a warning ({len(mine)})"
        axes.plot([row["precision"] for row in mine], [row["em_precision"] for row in mine], marker,
                  color=colour, label=label, linestyle="none")  # fmt: skip
    axes.set(xlabel="precision found", ylabel="precision estimated without labels")
    axes.set(xlim=(0, 1), ylim=(0, 1.18))
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.legend(loc="upper right", ncols=2)


def splice_stages() -> list[dict]:
    """Return what every method reached on splice sites, mean of the classes."""
    wanted = ("splice", "full", "mean")
    return [
        row
        for row in results("forgetting")["rows"]
        if (row["sequence"], row["setting"], row["class"]) == wanted
    ]


def kept_knowledge(axes: Axes) -> None:
    """Draw the average precision on the first genome after each stage, by method."""
    rows = [row for row in splice_stages() if row["task"] == "athaliana"]
    stages = ("athaliana", "dmelanogaster", "chr20")
    kinds = (
        ("replay", "replay (reads old data)", GREEN, "-", "^"),
        ("ewc_100", "EWC, lambda 100", BLUE, "--", "s"),
        ("ewc (lambda 1)", "EWC, lambda 1", SKY, "-.", "D"),
        ("finetune", "fine-tuning", VERMILION, ":", "o"),
    )
    for method, label, colour, line, marker in kinds:
        mine = {row["stage"]: row for row in rows if row["method"] == method}
        for place, stage in enumerate(stages):
            one = mine[stage]
            draw_interval(axes, place, one["average_precision"], one["low"], one["high"],
                          fmt="none", ecolor=colour)  # fmt: skip
        values = [mine[stage]["average_precision"] for stage in stages]
        axes.plot(range(3), values, linestyle=line, color=colour, marker=marker, label=label)
    axes.set_xticks(range(3), ["A. thaliana", "then the fly", "then human"])
    axes.set(ylabel="AP on A. thaliana", ylim=(0.2, 0.85), xlim=(-0.25, 2.25))
    axes.legend(loc="lower left")


def kept_and_paid(axes: Axes) -> None:
    """Draw what methods know of the first genome against what they learned of the second."""
    cells = {
        (row["method"], row["task"]): row
        for row in splice_stages()
        if row["stage"] == "dmelanogaster"
    }
    strengths = {
        row["method"]: row["lambda"] for row in cells.values() if row["lambda"] is not None
    }
    line = sorted(strengths, key=strengths.get)
    labels = ["EWC, by lambda", *[None] * (len(line) - 1)]
    points = [
        _draw_kept(axes, cells, method, label, BLUE, "s") for method, label in zip(line, labels)
    ]
    axes.plot(*zip(*points), "--", color=BLUE, zorder=1)
    for method, point in zip(line, points):
        axes.annotate(f"{strengths[method]:g}", point, (4, 4), fontsize="small",
                      textcoords="offset points")  # fmt: skip
    kinds = (
        ("finetune", "fine-tuning", VERMILION, "o"), ("replay", "replay", GREEN, "^"),
        ("joint", "joint", BLACK, "v"), ("head", "head alone", ORANGE, "P"),
        ("lora", "low-rank", PURPLE, "X"), ("scratch", "from scratch", GREY, "d"),
    )  # fmt: skip
    for method, label, colour, marker in kinds:
        _draw_kept(axes, cells, method, label, colour, marker)
    axes.set(xlabel="AP on the fly (new)", ylabel="AP on A. thaliana (old)", ylim=(0.1, 0.85))
    axes.legend(loc="center right", ncols=2)


def _draw_kept(
    axes: Axes, cells: dict, method: str, label: str | None, colour: str, marker: str
) -> tuple[float, float]:
    """Draw one method with its intervals in both directions; return its place, new and old."""
    new, old = cells[method, "dmelanogaster"], cells[method, "athaliana"]
    ends = [
        [[row["average_precision"] - row["low"]], [row["high"] - row["average_precision"]]]
        for row in (old, new)
    ]
    place = new["average_precision"], old["average_precision"]
    axes.errorbar(*place, *ends, fmt=marker, color=colour, label=label, elinewidth=0.7, capsize=0)
    return place


def attention_agreement(axes: Axes) -> None:
    """Draw how far attention agrees with mutagenesis, learned and uniform."""
    rows = page_table("attributions.md", "class", "rollout ~ mutagenesis")
    kinds = ((1, -0.1, BLUE, "o", "attention as learned"), (2, 0.1, ORANGE, "s", "made uniform"))
    for column, shift, colour, marker, label in kinds:
        for place, row in enumerate(rows):
            value, low, high = (float(one) for one in _NUMBER.findall(row[column]))
            draw_interval(axes, place + shift, value, low, high, fmt=marker, color=colour,
                          label=None if place else label)  # fmt: skip
    axes.set_xticks(range(len(rows)), [row[0] for row in rows])
    axes.set(ylabel="rank correlation with mutagenesis", ylim=(0, 1.12))
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.legend(loc="upper right", ncols=2)


def attention_removed(axes: Axes) -> None:
    """Draw how many calls stay calls when attention is made uniform or shuffled."""
    rows = page_table("attributions.md", "class", "rollout ~ mutagenesis")
    kinds = ((-0.2, 0, BLUE, "", "made uniform"), (0.2, 1, ORANGE, "//", "shuffled"))
    for shift, which, colour, hatch, label in kinds:
        shares = []
        for row in rows:
            uniform, shuffled, every = (int(one) for one in re.findall(r"\d+", row[4]))
            shares.append((uniform, shuffled)[which] / every)
        places = np.arange(len(rows)) + shift
        axes.bar(places, shares, 0.36, color=colour, hatch=hatch, edgecolor="white", label=label)
    axes.set_xticks(range(len(rows)), [row[0] for row in rows])
    axes.set(ylabel="calls that stay calls", ylim=(0, 1.2))
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.legend(loc="upper right", ncols=2)


FIGURES: dict[str, list[tuple[str, Callable[[Axes], None]]]] = {
    "imbalance": [
        ("What two rates give", precision_by_prevalence),
        ("The same models, two scores", ranking_scores),
    ],
    "reverse_complement": [
        ("Twelve yeast factors", symmetry_scores),
        ("Seen on one strand alone", symmetry_disagreement),
    ],
    "inductive_biases": [
        ("Weights shared along the sequence", shared_weights),
        ("A partner some way off", long_range),
    ],
    "representations": [("Read from the best layer", probed_properties)],
    "batch_effects": [("Donors with a signal of four laboratories", batch_norms)],
    "transfer_and_forgetting": [
        ("Precision on genomes without labels", transferred_precision),
        ("What a new genome costs the old", kept_knowledge),
        ("What is kept, and what it costs", kept_and_paid),
    ],
    "attention": [
        ("Attention and what matters", attention_agreement),
        ("Without its attention", attention_removed),
    ],
}
"""Title and function of each panel of a figure, by the concept page that shows it."""


def drawings() -> dict[str, str]:
    """Return every panel as SVG, by the name of its file."""
    found = {}
    for name, panels in FIGURES.items():
        picture = Picture(name, [Panel(*panel) for panel in panels])
        for number, svg in enumerate(draw_panels(picture), start=1):
            suffix = f"-{number}" if len(panels) > 1 else ""
            found[f"{name}{suffix}.svg"] = f'<?xml version="1.0" encoding="utf-8"?>\n{svg}\n'
    return found


def same_drawing(one: str, other: str) -> bool:
    """Tell whether two drawings have the same strokes, but for rounding."""
    if _NUMBER.sub("", one) != _NUMBER.sub("", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other))
    return all(a == b or abs(float(a) - float(b)) <= _NEAR for a, b in pairs)


def old_files(folder: Path) -> list[str]:
    """Return files of a folder that are not what the results say, or not there."""
    old = []
    for name, svg in drawings().items():
        path = folder / name
        if not path.is_file() or not same_drawing(path.read_text(), svg):
            old.append(name)
    return old


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the figures, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail if one is old")
    arguments = parser.parse_args(argv)
    if arguments.check:
        old = old_files(IMAGES)
        if old:
            print(f"not what the results say: {', '.join(old)}; run python docs/figures.py",
                  file=sys.stderr)  # fmt: skip
        return int(bool(old))
    IMAGES.mkdir(exist_ok=True)
    for name, svg in drawings().items():
        (IMAGES / name).write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
