"""What several seeds and rounds of hard negatives brought, as tables and words of a report."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from genomesieve.report_data import Screen, estimate
from genomesieve.report_numbers import ABSENT, Estimate, count, decimal, listed, with_interval
from genomesieve.report_tables import Table

_PRECISION = "average_precision"
MOST_CLASSES = 4
"""Classes that get a column each; with more of them their mean gets one."""


def seeds_table(screen: Screen) -> Table:
    """List the average precision of the mean of all seeds beside that of each seed."""
    seeds = [name.rpartition(".seed")[2] for name in screen.members]
    rows = []
    for genome, name in screen.pairs():
        whole = estimate(genome, screen.network.name, name, _PRECISION)
        values = [estimate(genome, member, name, _PRECISION).value for member in screen.members]
        if not whole.known or not np.isfinite(values).all():
            continue
        best = int(np.argmax(values))
        pair = f"{screen.network.name}-{screen.members[best]}"
        difference = estimate(genome, pair, name, _PRECISION)
        rows.append(
            [genome.name, name, with_interval(whole), *map(decimal, values),
             f"{decimal(np.mean(values))} ± {decimal(np.std(values, ddof=1))}",
             with_interval(difference), _better(difference, "worse")]
        )  # fmt: skip
    return Table(
        ["genome", "class", "mean of all seeds (95 % interval)",
         *(f"seed {seed}" for seed in seeds), "seeds: mean ± standard deviation",
         "mean of all − best seed (95 % interval)", "better than the best seed?"],
        rows, 2,
    )  # fmt: skip


def _better(difference: Estimate, harm: str) -> str:
    """Say what a paired difference means."""
    if not difference.bounded:
        return "no interval"
    if difference.low > 0:
        return "yes"
    return f"no, it is {harm}" if difference.high < 0 else "not measurably"


def training_rounds(screen: Screen) -> list[tuple[str, list[dict]]]:
    """Return the seeds with what their bundles say of each round."""
    training = screen.network.facts.get("training") or {}
    runs = training.get("members") or [training]
    return [(str(run.get("seed", "")), run["rounds"]) for run in runs if run.get("rounds")]


def rounds_table(screen: Screen) -> Table:
    """List what each round harvested and its best validation, a row a round and seed."""
    classes = screen.classes if len(screen.classes) <= MOST_CLASSES else []
    rows = []
    for seed, rounds in training_rounds(screen):
        for number, one in enumerate(rounds):
            harvest = screen.harvests.get(f"round{number}/seed{seed}", {}).get("classes", {})
            values = [one["best"].get(name) for name in classes] or [_mean(one["best"])]
            kept = "yes" if one["kept"] else "no: those of the round before"
            rows.append(
                [f"{number}", seed, *_harvest_words(harvest), *map(_decimal, values),
                 kept if number else "yes"]
            )  # fmt: skip
    rows.sort(key=lambda row: int(row[0]))
    validation = [f"validation: {name}" for name in classes] or ["validation: mean of all classes"]
    return Table(
        ["round", "seed", "hard negatives", "their log-odds", *validation, "weights kept?"], rows, 2
    )


def _harvest_words(classes: dict[str, dict]) -> tuple[str, str]:
    """Write how many places were harvested and the range of their scores."""
    if not classes:
        return ABSENT, ABSENT
    several = len(classes) <= MOST_CLASSES
    found = {name: item for name, item in classes.items() if item["places"]}
    if not several:
        total = sum(item["places"] for item in found.values())
        found = {"": {"places": total} | _outer_range(found)}
    places = [f"{count(item['places'])} {name}".strip() for name, item in found.items()]
    ranges = [
        f"{decimal(item['lowest'], 1)} to {decimal(item['highest'], 1)}" for item in found.values()
    ]
    return ", ".join(places), ", ".join(ranges)


def _outer_range(found: dict[str, dict]) -> dict:
    """Return the lowest and the highest score of all classes."""
    return {
        "lowest": min(item["lowest"] for item in found.values()),
        "highest": max(item["highest"] for item in found.values()),
    }


def _mean(values: dict[str, float | None]) -> float | None:
    """Return the mean of what was measured."""
    known = [value for value in values.values() if value is not None]
    return float(np.mean(known)) if known else None


def _decimal(value: float | None) -> str:
    """Write a number that may be missing."""
    return ABSENT if value is None else decimal(value)


def round_gains(screen: Screen) -> dict[int, list[tuple[str, str, list[Estimate]]]]:
    """Return, by round, what each pair of genome and class gained over the round before.

    Each is (genome, class, [average precision before, after, difference]).
    """
    names = [*screen.rounds, screen.network.name]
    gains: dict[int, list] = {}
    for number, (before, after) in enumerate(zip(names, names[1:]), start=1):
        gains[number] = []
        for genome, name in screen.pairs():
            models = (before, after, f"{after}-{before}")
            found = [estimate(genome, model, name, _PRECISION) for model in models]
            if found[2].known:
                gains[number].append((genome.name, name, found))
    return gains


def gains_table(screen: Screen) -> Table:
    """List the average precision before and after each round on what was held out."""
    rows = [
        [genome, name, f"{number}", with_interval(before), with_interval(after),
         with_interval(gain), _better(gain, "worse")]
        for number, found in round_gains(screen).items()
        for genome, name, (before, after, gain) in found
    ]  # fmt: skip
    rows.sort(key=lambda row: row[:2])
    return Table(
        ["genome", "class", "round", "average precision before it (95 % interval)",
         "after it (95 % interval)", "gain (95 % interval)", "did it help?"],
        rows, 3,
    )  # fmt: skip


def gain_sentence(screen: Screen) -> Markup:
    """Say for each round in plain words whether it helped."""
    clauses = []
    for number, found in round_gains(screen).items():
        if not found:
            continue
        differences = [gain for _, _, (_, _, gain) in found]
        clauses.append(_round_words(number, differences))
    if not clauses:
        return Markup(
            "No genome with known sites was scanned, so that the validation part alone tells what "
            "the rounds gained."
        )
    return Markup(" ").join(clauses)


def _round_words(number: int, differences: list[Estimate]) -> Markup:
    """Say what one round gained over all pairs of genome and class."""
    better = sum(gain.bounded and gain.low > 0 for gain in differences)
    worse = sum(gain.bounded and gain.high < 0 for gain in differences)
    if better and not worse:
        verdict = "helped"
    elif worse and not better:
        verdict = "did harm"
    else:
        verdict = "helped some and harmed others" if better else "did not help measurably"
    values = sorted(gain.value for gain in differences)
    span = f"{values[0]:+.3f}".replace("-", "−")
    if len(values) > 1:
        span += f" to {values[-1]:+.3f}".replace("-", "−")
    counts = [f"{better} better", f"{worse} worse", f"{len(values) - better - worse} unclear"]
    return Markup(
        "<b>Round {} {}</b>: of {} {} of genome and class, {} (gains in average precision: {})."
    ).format(
        number, verdict, len(values), "pair" if len(values) == 1 else "pairs", listed(counts), span
    )
