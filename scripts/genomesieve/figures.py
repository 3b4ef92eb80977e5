"""Pictures made of panels: one look, one way to turn them into SVG.

A panel can be drawn alone (a page stacks such panels on a narrow screen) or together with the
others of its picture (one file).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# The palette of Okabe and Ito (2008), told apart with any kind of colour vision.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#767676"

# Lines differ in colour and in dashes; the first belongs to the network.
LINES = (
    {"color": BLUE, "linestyle": "-", "linewidth": 1.8},
    {"color": ORANGE, "linestyle": "--", "linewidth": 1.5},
    {"color": GREEN, "linestyle": "-.", "linewidth": 1.5},
    {"color": PURPLE, "linestyle": ":", "linewidth": 1.8},
    {"color": SKY, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "linewidth": 1.5},
)
SIZES = {"square": (4.5, 3.9), "wide": (9.0, 2.5), "logo": (3.7, 1.6)}
"""Width and height of a panel in inches."""

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Panel:
    """One pair of axes: a title and the function that draws into them."""

    title: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Picture:
    """Panels of one subject.

    Parameters
    ----------
    name : str
        File name without suffix; also makes the identifiers inside the SVG unique.
    panels : list of Panel
    shape : str
        One of `SIZES`.
    columns : int
        Panels side by side when all are drawn together.
    empty : str
        What is written where there is no panel to draw.
    """

    name: str
    panels: list[Panel]
    shape: str = "square"
    columns: int = 2
    empty: str = "Nothing to draw."


def draw_picture(picture: Picture) -> str:
    """Draw all panels of a picture into one stand-alone SVG."""
    panels = picture.panels or [_message_panel(picture.empty)]
    return _draw(panels, picture.shape, picture.columns, picture.name)


def draw_panels(picture: Picture) -> list[str]:
    """Draw each panel of a picture into an SVG of its own, to stand inside an HTML page."""
    drawings = []
    for number, panel in enumerate(picture.panels):
        name = f"{picture.name}-{number}"
        drawings.append(inline_svg(_draw([panel], picture.shape, 1, name), name, panel.title))
    return drawings


def _draw(panels: list[Panel], shape: str, columns: int, name: str) -> str:
    """Draw panels on a grid, in reading order."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width, height = SIZES[shape]
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(grid.flat, panels):
            axes.set_title(panel.title)
            panel.draw(axes)
            axes.minorticks_off()
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        return _to_svg(figure)


def _to_svg(figure: Figure) -> str:
    """Write a figure as SVG without the date, so that equal input gives equal text."""
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    return text.getvalue()


def _message_panel(message: str) -> Panel:
    """Return a panel that holds nothing but a sentence."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, message, ha="center", va="center", wrap=True)

    return Panel("", draw)


def inline_svg(svg: str, name: str, label: str) -> str:
    """Prepare an SVG for an HTML page that holds others: own identifiers, a label, no header.

    Parameters
    ----------
    svg : str
        A stand-alone SVG as matplotlib writes it.
    name : str
        Prefix of all identifiers; differs between the drawings of a page.
    label : str
        What screen readers say.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    label = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'{head} role="img" aria-label="{label}">{rest}'


def put_legend_below(axes: Axes, columns: int = 2) -> None:
    """Put the legend under the axes, where it covers no data."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns)
