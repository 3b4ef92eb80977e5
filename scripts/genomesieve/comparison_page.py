"""The page that compares screens: dots with intervals, and a table that can be sorted."""

from __future__ import annotations

from functools import partial

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from genomesieve.comparison import MEASURES, PLACE, different_places
from genomesieve.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Panel,
    Picture,
    as_plain,
    draw_panels,
)
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.report_numbers import ABSENT, count, decimal, one_in
from genomesieve.report_scripts import SORT_SCRIPT
from genomesieve.report_template import STYLE

MOST_ROWS = 14
"""Models in one panel; more go into a further one."""

DRAWN = ("average_precision", "false_positives_per_mb")
"""Metrics that have a picture."""

SEED = r"\.seed\d+$"
"""Networks of single seeds, whose mean is a model of its own: they are in the table alone."""

LOOKS = tuple(zip((BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY), "os^Dvp*"))
"""Colour and mark of models, by name: either tells them apart."""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Screens compared – genomesieve</title>
<style>{{ style }}</style>
</head>
<body>
<header><h1>Screens compared</h1>
<p class="soft">{{ rows | length }} results of {{ screens | join(", ") }} on
{{ genomes | join(", ") }}</p></header>
<main>
<div class="care"><b>Read with care</b><ul>
<li>Compare models on the same genome and class. Between genomes, average precision and false
positives also follow how common sites are; the column “times prevalence” takes that off.</li>
<li>Intervals that overlap do not say that two models are alike: each screen’s report has the
differences on the same resampled blocks.</li>
{%- for sentence in different %}
<li>Not the same places, so not comparable between screens: {{ sentence }}.</li>
{%- endfor %}
</ul></div>
{%- for picture in pictures %}
<section><h2>{{ picture.title }}</h2>
<div class="panels square">
{%- for svg in picture.drawings %}
<div class="panel">{{ svg }}</div>
{%- endfor %}
</div></section>
{%- endfor %}
{%- if seeds %}
<p class="soft">Networks of single seeds are in the table alone.</p>
{%- endif %}
{%- if hidden %}
<p class="soft">Pictures show the first {{ most }} pairs of genome and class; the table shows
all.</p>
{%- endif %}
<section><h2>All results</h2>
<p class="soft">A click on a heading sorts the table. Values stand beside their 95 % intervals.</p>
<div class="scroll" tabindex="0"><table class="sortable">
<thead><tr>
{%- for heading in headings %}
<th scope="col"{% if loop.index0 < 4 %} class="text"{% endif %}>{{ heading }}</th>
{%- endfor %}</tr></thead>
<tbody>
{%- for row in rows %}
<tr>{% for cell in row.labels %}
{%- if loop.first %}<th scope="row" class="text">{{ cell }}</th>
{%- else %}<td class="text">{{ cell }}</td>{% endif %}
{%- endfor %}
{%- for value, text in row.numbers %}<td data-value="{{ value }}">{{ text }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody></table></div></section>
</main>
<footer>Made by genomesieve. This page needs no network connection.</footer>
<script>{{ script }}</script>
</body>
</html>
"""


def comparison_page(comparison: pd.DataFrame) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    comparison : pandas.DataFrame
        As `genomesieve.comparison.read_comparison` returns.
    """
    pictures = [
        {
            "title": MEASURES[metric][0].upper() + MEASURES[metric][1:],
            "drawings": [Markup(svg) for svg in draw_panels(dot_picture(comparison, metric))],
        }
        for metric in DRAWN
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        style=Markup(STYLE),
        script=Markup(SORT_SCRIPT),
        screens=list(dict.fromkeys(comparison["screen"])),
        genomes=list(dict.fromkeys(comparison["genome"])),
        different=different_places(comparison),
        pictures=pictures,
        most=MOST_PANELS,
        seeds=comparison["model"].str.contains(SEED).any(),
        hidden=len(comparison.groupby(PLACE)) > MOST_PANELS,
        headings=headings(),
        rows=[table_row(row) for row in comparison.to_dict("records")],
    )


def headings() -> list[str]:
    """Return the headings of the table of all results."""
    names = list(MEASURES.values())
    return ["screen", "genome", "class", "model", names[0], "times prevalence", *names[1:],
            "prevalence", "sites"]  # fmt: skip


def table_row(row: dict) -> dict:
    """Return a result as text cells and as pairs of a number to sort by and its text."""
    metrics = list(MEASURES)
    numbers = [_with_interval(row, metrics[0]), (_sorted(row["times"]), count(row["times"]))]
    numbers += [_with_interval(row, metric) for metric in metrics[1:]]
    numbers += [
        (_sorted(row["prevalence"]), one_in(row["prevalence"])),
        (_sorted(row["sites"]), count(row["sites"])),
    ]
    labels = [row[key] for key in ("screen", "genome", "class", "model")]
    return {"labels": labels, "numbers": numbers}


def _with_interval(row: dict, metric: str) -> tuple[str, str]:
    """Return a metric as a number to sort by, and with its interval as text."""
    value, low, high = (row[f"{metric}{end}"] for end in ("", ".low", ".high"))
    if metric == "false_positives_per_mb":
        write = count
    else:
        write = partial(decimal, digits=4 if metric == "auroc" else 3)
    text = write(value)
    if np.isfinite([value, low, high]).all():
        text += f" ({write(low)}–{write(high)})"
    return _sorted(value), text if np.isfinite(value) else ABSENT


def _sorted(value: float) -> str:
    """Return a number as a script reads it; nothing where it is not known."""
    return f"{value:.9g}" if np.isfinite(value) else ""


def dot_picture(comparison: pd.DataFrame, metric: str) -> Picture:
    """Return a panel of dots with intervals for each genome and class.

    Parameters
    ----------
    comparison : pandas.DataFrame
    metric : str
        One of `MEASURES`; rows without it are left out.
    """
    models = list(dict.fromkeys(comparison["model"]))
    looks = {name: LOOKS[at % len(LOOKS)] for at, name in enumerate(models)}
    known = comparison[comparison[metric].notna() & ~comparison["model"].str.contains(SEED)]
    panels = []
    for (genome, name), rows in list(known.groupby(PLACE, sort=False))[:MOST_PANELS]:
        limits = _limits(rows, metric)
        parts = [rows[at : at + MOST_ROWS] for at in range(0, len(rows), MOST_ROWS)]
        for number, part in enumerate(parts, 1):
            title = f"{name} · {genome}" + (f" ({number} of {len(parts)})" if parts[1:] else "")

            def draw(axes: Axes, part=part, limits=limits) -> None:
                draw_dots(axes, part, metric, looks)
                axes.set_xlim(limits)

            panels.append(Panel(title, draw))
    return Picture(f"compared_{metric}", panels, empty="Nothing was measured.")


def _limits(rows: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Return the range of a metric with its intervals, which all parts of a panel share."""
    values = rows[[metric, f"{metric}.low", f"{metric}.high"]].to_numpy()
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.05 * (high - low) or 0.05
    return low - margin, high + margin


def draw_dots(axes: Axes, rows: pd.DataFrame, metric: str, looks: dict) -> None:
    """Draw one dot a row with its interval, the first row on top."""
    screens = rows["screen"].nunique() > 1
    labels = []
    for place, row in enumerate(rows.to_dict("records")):
        color, marker = looks[row["model"]]
        low, high = row[f"{metric}.low"], row[f"{metric}.high"]
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [place, place], color=color, linewidth=4, alpha=0.35)
        axes.plot(row[metric], place, marker=marker, color=color, markersize=6.5, linestyle="")
        labels.append(f"{row['screen']} · {row['model']}" if screens else row["model"])
    axes.set_yticks(range(len(labels)), [as_plain(_short(label)) for label in labels])
    axes.set_ylim(max(len(labels), 3) - 0.4, -0.6)
    axes.set_xlabel(MEASURES[metric])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    axes.grid(visible=False, axis="y")


def _short(label: str, most: int = 34) -> str:
    """Shorten a label in its middle; names differ at their ends more often than there."""
    return label if len(label) <= most else f"{label[: most // 2]}…{label[-(most // 2 - 1) :]}"
