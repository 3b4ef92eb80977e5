"""Pictures made of panels: one look, one way to turn them into SVG.

Each panel is drawn alone, so that a page can stack them on a narrow screen; a picture in a file of
its own is the same drawings side by side.
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

_POINTS = 72

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
        Panels side by side when all are joined.
    empty : str
        What is written where there is no panel to draw.
    """

    name: str
    panels: list[Panel]
    shape: str = "square"
    columns: int = 2
    empty: str = "Nothing to draw."


def draw_panels(picture: Picture) -> list[str]:
    """Draw each panel of a picture into an SVG of its own, to stand inside an HTML page."""
    return [
        _draw(panel, picture.shape, f"{picture.name}-{number}")
        for number, panel in enumerate(picture.panels)
    ]


def join_panels(picture: Picture, drawings: list[str]) -> str:
    """Join the drawings of a picture's panels into one stand-alone SVG, in reading order.

    Parameters
    ----------
    picture : Picture
    drawings : list of str
        As `draw_panels` returns; none at all gives a drawing of `picture.empty`.
    """
    drawings = drawings or [_draw(_message_panel(picture.empty), picture.shape, picture.name)]
    columns = min(picture.columns, len(drawings))
    width, height = (inches * _POINTS for inches in SIZES[picture.shape])
    total = f"{columns * width:g}", f"{-(-len(drawings) // columns) * height:g}"
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{total[0]}pt" height="{total[1]}pt" viewBox="0 0 {total[0]} {total[1]}">\n'
        '<rect width="100%" height="100%" fill="white"/>\n'
    ]
    for number, svg in enumerate(drawings):
        row, column = divmod(number, columns)
        place = f'x="{column * width:g}" y="{row * height:g}" width="{width:g}" height="{height:g}"'
        parts.append(svg.replace("<svg ", f"<svg {place} ", 1))
    return "".join(parts) + "</svg>\n"


def _draw(panel: Panel, shape: str, name: str) -> str:
    """Draw a panel as an SVG for an HTML page."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=SIZES[shape], layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(as_plain(panel.title))
        panel.draw(axes)
        axes.minorticks_off()
        return inline_svg(_to_svg(figure), name, panel.title)


def _to_svg(figure: Figure) -> str:
    """Write a figure as SVG without the date, so that equal input gives equal text."""
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    return text.getvalue()


def _message_panel(message: str) -> Panel:
    """Return a panel that holds nothing but a sentence."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, as_plain(message), ha="center", va="center", wrap=True)

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


def as_plain(text: str) -> str:
    """Return text, such as the name of a contig, that matplotlib draws as it stands.

    Between two dollar signs it would read a formula, and stop at one that is none.
    """
    return text.replace("$", r"\$")


def put_legend_below(axes: Axes, columns: int = 2) -> None:
    """Put the legend under the axes, where it covers no data."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns)
