"""Charts that a reader can change: Vega-Lite specifications, and the libraries that draw them.

A specification names its data (`points`) and leaves them to the page, which has them once, in
columns. Vega, Vega-Lite and Vega-Embed come from vl-convert-python and stand in the page itself, so
that it works from one file without a network.
"""

from __future__ import annotations

import json
from functools import cache

import altair as alt
import numpy as np
import vl_convert
from markupsafe import Markup

from genomesieve.figures import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from genomesieve.report_curves import GRIDS, ThresholdCurves, chart_data

CONTROLS = "#threshold-controls"
"""Where the page puts the inputs of the chart."""

# Told apart by colour, by dashes and by the shape of their marks; the first is the network.
MODEL_STYLES = (
    {"color": BLUE, "dash": [1, 0], "shape": "circle"},
    {"color": ORANGE, "dash": [7, 3], "shape": "square"},
    {"color": GREEN, "dash": [9, 3, 2, 3], "shape": "triangle-up"},
    {"color": PURPLE, "dash": [2, 2], "shape": "diamond"},
    {"color": SKY, "dash": [6, 2, 2, 2, 2, 2], "shape": "cross"},
    {"color": VERMILION, "dash": [12, 4], "shape": "triangle-down"},
    {"color": BLACK, "dash": [4, 4], "shape": "circle"},
)

_HERE = " && ".join(f"datum.{key} === chosen_{key}" for key in ("class", "genome", "universe"))
_CHOSEN = "datum.model === chosen_model"


def model_styles(curves: ThresholdCurves) -> dict[str, dict]:
    """Return the colour, dashes and shape of each model's curve, by name."""
    names = dict.fromkeys(curves.series["model"])
    return {name: MODEL_STYLES[at % len(MODEL_STYLES)] for at, name in enumerate(names)}


def threshold_chart(curves: ThresholdCurves) -> dict:
    """Return a precision-recall chart whose threshold moves, as a Vega-Lite specification.

    Inputs choose class, genome, universe and model; a slider, or a click on the curve, moves the
    threshold (selection `threshold`, field `percent`).

    Parameters
    ----------
    curves : ThresholdCurves
        Not empty.

    Returns
    -------
    dict
        Its data are named `points` and are those of `page_data` with what follows from them.
    """
    choices = [_choice(curves, key) for key in ("class", "genome", "universe", "model")]
    threshold = _threshold(curves)
    base = alt.Chart(alt.NamedData("points")).transform_filter(_HERE)
    recall = alt.X(
        "recall:Q", title="recall (share of the sites found)", scale=_share(), axis=_axis()
    )
    precision = alt.Y("precision:Q", title="precision (share that is right)", scale=_share(),
                      axis=_axis())  # fmt: skip
    style = _model_scales(curves)
    band = base.transform_filter(_CHOSEN).mark_area(opacity=0.18)
    lines = base.mark_line(interpolate="linear").encode(
        x=recall, y=precision, order="percent:Q", color=style["color"], strokeDash=style["dash"],
        strokeWidth=alt.when(_CHOSEN).then(alt.value(2.6)).otherwise(alt.value(1.4)),
    )  # fmt: skip
    chance = base.transform_filter(f"{_CHOSEN} && datum.first").mark_rule(
        color=GREY, strokeDash=[1, 3], strokeWidth=1.5
    )
    marks = base.transform_filter(threshold).mark_point(filled=True, opacity=1, stroke="white")
    layers = [
        band.encode(x=recall, y="low:Q", y2="high:Q", color=style["color"]),
        chance.encode(y="prevalence:Q"),
        lines,
        marks.encode(
            x=recall, y=precision, color=style["color"], shape=style["shape"],
            size=alt.when(_CHOSEN).then(alt.value(190)).otherwise(alt.value(70)),
        ),
        _targets(base, recall, precision).add_params(threshold),
    ]  # fmt: skip
    chart = alt.layer(*layers).add_params(*choices)
    return (
        chart.properties(width="container", height=340)
        .configure(font="system-ui, sans-serif", background="white")
        .configure_axis(labelFontSize=12, titleFontSize=12, gridColor="#e4e4e4")
        .configure_view(stroke=None)
        .to_dict()
    )


def _choice(curves: ThresholdCurves, key: str) -> alt.Parameter:
    """Return the input that chooses a class, genome, universe or model."""
    options = list(dict.fromkeys(curves.series[key]))
    bind = alt.binding_select(options=options, name=key, element=CONTROLS)
    return alt.param(name=f"chosen_{key}", value=options[0], bind=bind)


def _threshold(curves: ThresholdCurves) -> alt.Parameter:
    """Return the selection of a threshold by the recall that it reaches."""
    levels = np.unique(curves.points["percent"])
    step = float(np.diff(levels).min()) if len(levels) > 1 else GRIDS[0] / 2
    bind = alt.binding_range(
        min=float(levels[0]), max=float(levels[-1]), step=step, element=CONTROLS,
        name="threshold: recall of at least (%)",
    )  # fmt: skip
    return alt.selection_point(
        name="threshold", fields=["percent"], bind=bind, on="click", clear=False, nearest=True,
        empty=False, value=[{"percent": start_level(curves)}],
    )  # fmt: skip


def start_level(curves: ThresholdCurves) -> float:
    """Return where the slider stands first: at the operating threshold of the first curve.

    Parameters
    ----------
    curves : ThresholdCurves

    Returns
    -------
    float
        A recall in percent that is on the curve; the one nearest to 50 where no threshold is known.
    """
    levels = np.unique(curves.points["percent"])
    wanted = curves.series["operating"].iloc[0]
    wanted = wanted if np.isfinite(wanted) else 50.0
    return float(levels[np.abs(levels - wanted).argmin()])


def _targets(base: alt.Chart, recall: alt.X, precision: alt.Y) -> alt.Chart:
    """Return invisible marks on the chosen model's curve, to be pointed at and clicked."""
    words = [
        alt.Tooltip("score:Q", format=".2f"),
        alt.Tooltip("recall:Q", format=".1%"),
        alt.Tooltip("precision:Q", format=".1%"),
        alt.Tooltip("called:Q", format=","),
        alt.Tooltip("per_megabase:Q", title="false positives per Mb", format=",.1f"),
    ]
    chosen = base.transform_filter(_CHOSEN)
    return chosen.mark_point(opacity=0, size=80).encode(x=recall, y=precision, tooltip=words)


def _model_scales(curves: ThresholdCurves) -> dict[str, alt.SchemaBase]:
    """Return how models are told apart; the table beside the chart is their legend."""
    styles = model_styles(curves)
    names, looks = list(styles), list(styles.values())

    def scale(key: str) -> alt.Scale:
        return alt.Scale(domain=names, range=[look[key] for look in looks])

    return {
        "color": alt.Color("model:N", scale=scale("color"), legend=None),
        "dash": alt.StrokeDash("model:N", scale=scale("dash"), legend=None),
        "shape": alt.Shape("model:N", scale=scale("shape"), legend=None),
    }


def _share() -> alt.Scale:
    """Return the scale of a share."""
    return alt.Scale(domain=[0, 1], nice=False)


def _axis() -> alt.Axis:
    """Return the axis of a share."""
    return alt.Axis(format=".0%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])


def page_data(curves: ThresholdCurves) -> Markup:
    """Return specification, data and looks of the chart as JSON, safe inside a script element."""
    content = {
        "spec": threshold_chart(curves),
        "styles": model_styles(curves),
        **chart_data(curves),
    }
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))


@cache
def vega_libraries() -> Markup:
    """Return Vega, Vega-Lite and Vega-Embed as one script, safe inside a script element."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    script = vl_convert.javascript_bundle(vl_version=version)
    # Its helpers have names of one letter, which must not be those of the page.
    return Markup("(() => {" + script.replace("</script", "<\\/script") + "})();")
