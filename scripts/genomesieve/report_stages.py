"""What a screen with stages kept and lost, as tables and words of a report."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from genomesieve.report_data import Screen
from genomesieve.report_numbers import ABSENT, Estimate, decimal, with_interval
from genomesieve.report_tables import Table

OLDER = "older"
"""Task of the matrix that stands for everything that earlier stages taught."""
_MEASURES = {
    "average": "average precision after the last stage",
    "gain": "gain over the first stage's network",
    "forgetting": "forgetting",
    "backward_transfer": "backward transfer",
    "forward_transfer": "forward transfer",
}
_ENDS = ("mean", "low", "high")


def stage_names(screen: Screen) -> list[str]:
    """Return the stages in the order in which they were learned."""
    return list(dict.fromkeys(screen.stage_matrix["after"]))


def stage_methods(screen: Screen) -> list[str]:
    """Return the methods, the screen's own first."""
    return list(dict.fromkeys(screen.stage_matrix["method"]))


def stage_cell(
    screen: Screen, method: str, after: str, task: str, class_name: str = "mean"
) -> Estimate:
    """Look up the average precision of a method after a stage on what a stage taught."""
    table = screen.stage_matrix
    rows = table[
        (table["method"] == method) & (table["after"] == after)
        & (table["task"] == task) & (table["class"] == class_name)
    ]  # fmt: skip
    if rows.empty:
        return Estimate()
    return Estimate(
        *(float(rows.iloc[0][column]) for column in ("average_precision", "low", "high"))
    )


def summary_table(screen: Screen) -> Table:
    """List average, forgetting and transfer of every method."""
    table = screen.stage_summary.set_index(["method", "measure"])
    several = table["seeds"].max() > 1
    rows = []
    for method in stage_methods(screen):
        cells = [method]
        for measure in _MEASURES:
            row = table.loc[(method, measure)]
            cells += _beside(row, ("value", "low", "high"), "seeds", several)
        rows.append(cells)
    return Table(["method", *_headings(list(_MEASURES.values()), several)], rows)


def differences_table(screen: Screen) -> Table:
    """List how far each method is from plain fine-tuning, where it is among them."""
    table = screen.stage_summary
    several = table["seeds"].max() > 1
    table = table[table["difference"].notna()]
    rows = []
    for method in dict.fromkeys(table["method"]):
        mine = table[table["method"] == method].set_index("measure")
        cells = [method, mine["compared_with"].iloc[0]]
        for measure in ("average", "forgetting"):
            cells += _beside(mine.loc[measure], ("difference", "difference_low", "difference_high"),
                             "difference_seeds", several)  # fmt: skip
        rows.append(cells)
    titles = [f"{name}, difference" for name in ("average precision", "forgetting")]
    return Table(["method", "compared with", *_headings(titles, several)], rows, 2)


def _beside(row: pd.Series, own: tuple[str, str, str], seeds: str, several: bool) -> list[str]:
    """Write a number with its interval over blocks, and that over seeds if there are several."""
    cells = [with_interval(Estimate(*row[list(own)]))]
    if several:
        cells.append(with_interval(Estimate(*(row[f"{seeds}_{end}"] for end in _ENDS))))
    return cells


def _headings(titles: list[str], several: bool) -> list[str]:
    """Name the columns that `_beside` writes."""
    found = []
    for title in titles:
        found.append(f"{title} (95 % interval over blocks)")
        if several:
            found.append(f"{title}: single seeds (95 % interval over seeds)")
    return found


def matrix_table(screen: Screen) -> Table:
    """List the average precision after every stage on what every stage taught, by class."""
    rows = []
    for row in screen.stage_matrix.itertuples():
        if row.task == OLDER:
            continue
        found = Estimate(row.average_precision, row.low, row.high)
        chance = Estimate(row.prevalence)
        class_name = screen.stage_matrix.at[row.Index, "class"]
        rows.append(
            [row.method, row.after, row.task, row.genome, class_name, with_interval(found),
             f"{chance.value:.2g}" if chance.known else ABSENT]
        )  # fmt: skip
    return Table(
        ["method", "after stage", "what stage taught", "measured on", "class",
         "average precision (95 % interval)", "prevalence"],
        rows, 5,
    )  # fmt: skip


def lineage_table(screen: Screen) -> Table:
    """List the stages that the screen's own model has behind it."""
    training = screen.network.facts.get("training") or {}
    runs = training.get("members") or [training]
    rows = []
    for stage in runs[0].get("lineage") or []:
        chosen = stage.get("chosen", {})
        best = chosen.get("validation_average_precision")
        settings = stage.get("settings", {})
        kept = {True: "yes", False: "no: those of the stage before"}.get(stage.get("kept"), ABSENT)
        rows.append(
            [stage["stage"], ", ".join(stage["genomes"]), settings.get("method", "training"),
             _number(chosen.get("learning_rate")), _number(chosen.get("lambda")),
             _decimal(stage.get("started_at")), _decimal(best), kept]
        )  # fmt: skip
    return Table(
        ["stage", "genomes", "method", "learning rate", "lambda",
         "validation at its start", "validation at its best", "new weights kept?"],
        rows, 3,
    )  # fmt: skip


def _number(value: float | None) -> str:
    """Write a setting that may be missing."""
    return ABSENT if value is None else f"{value:g}"


def _decimal(value: float | None) -> str:
    """Write a number that may be missing."""
    return ABSENT if value is None else decimal(value)


def forgetting_sentence(screen: Screen) -> Markup:
    """Say in plain words which method forgot least and which knows most."""
    table = screen.stage_summary
    clauses = []
    for measure, title, best in (
        ("forgetting", "Least forgetting", "idxmin"),
        ("average", "Highest average precision over all stages", "idxmax"),
    ):
        rows = table[(table["measure"] == measure) & table["value"].notna()]
        if rows.empty:
            continue
        row = rows.loc[getattr(rows["value"], best)()]
        words = with_interval(Estimate(row["value"], row["low"], row["high"]))
        clauses.append(Markup("{}: <b>{}</b>, {}.").format(title, row["method"], words))
    clauses += [_gain_words(table), _data_words(screen.stage_matrix)]
    return Markup(" ").join(filter(None, clauses))


def _gain_words(summary: pd.DataFrame) -> Markup:
    """Say which methods are better than to leave the first network alone; nothing if undefined."""
    rows = summary[(summary["measure"] == "gain") & summary["value"].notna()]
    if rows.empty:
        return Markup("")
    clear = rows[rows["low"] > 0]
    names = [
        f"{row.method} (over blocks, not over single seeds)" if row.seeds_low <= 0 else row.method
        for row in clear.itertuples()
    ]
    if not names:
        return Markup(
            "No method is better over all stages than the first stage's network, left alone."
        )
    return Markup("Better over all stages than the first stage's network, left alone: {}.").format(
        ", ".join(names)
    )


def _data_words(matrix: pd.DataFrame) -> Markup:
    """Say which methods need the old genomes."""
    rows = matrix[matrix["kind"].isin(["replay", "joint"])]
    names = list(dict.fromkeys(rows["method"]))
    if not names:
        return Markup("No method here reads the data of earlier stages.")
    verb = "reads" if len(names) == 1 else "read"
    return Markup("Of these methods {} {} data of earlier stages; the others need none.").format(
        " and ".join(names), verb
    )
