"""What the sections of a report are put together from."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from genomesieve.report_tables import Table


@dataclass(frozen=True)
class DrawnPicture:
    """A picture whose panels are SVG already."""

    name: str
    shape: str
    drawings: list[Markup]
    empty: str


@dataclass(frozen=True)
class Item:
    """One thing in a section: text, list, heading, picture, table, fold, code or terms."""

    kind: str
    content: object
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page with its anchor."""

    key: str
    title: str
    items: list[Item]


def text_item(text: str, *values: object) -> Item:
    """Return a paragraph; values are escaped into it."""
    return Item("text", Markup(text).format(*values))


def table_item(table: Table) -> Item:
    """Return a table that stands open."""
    return Item("table", table)


def side_by_side(left: DrawnPicture, right: DrawnPicture) -> DrawnPicture:
    """Return the panels of two pictures in turns."""
    drawings = [svg for pair in zip(left.drawings, right.drawings) for svg in pair]
    return DrawnPicture(f"{left.name}-{right.name}", left.shape, drawings, left.empty)
