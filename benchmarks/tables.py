"""Write recorded results into the tables of documentation pages.

A page says where a table stands and what it shows:

    <!-- table: {"from": "benchmarks/results/NAME.json", "columns": {"network": "{what}"}} -->
    <!-- end of table -->

and `python benchmarks/tables.py docs/PAGE.md ...` rewrites what lies between the two lines.
`--check` writes nothing and fails where a page is not what its results say.

Keys of a table:

- `from`: a results file, relative to the repository; its `rows` are the rows (or a list itself);
- `rows`: another key of the file that holds them; rows that have names there get them as `name`;
- `where`: `{"part": "pairs"}` keeps rows with these values, or with one of a list of values;
- `without`: as `where`, but such rows are left out;
- `columns`: title of each column and its text, a format string of the row's fields, such as
  `"{value:.3f} ({low:.3f} to {high:.3f})"`. A cell of which a field is missing is left empty;
- `spread`: a field whose values become columns of their own, in their order, filled with the text
  `cell`; rows whose `columns` read the same are one line. `titles` renames these columns.

Date and machine of the results stand below the table; rows may have a `date` of their own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_TABLE = re.compile(
    r"(?P<begin><!-- table: (?P<wanted>\{.*?\}) -->\n).*?(?P<end><!-- end of table -->)", re.DOTALL
)
_KEYS = {"from", "rows", "where", "without", "columns", "spread", "cell", "titles"}


def select(rows: Sequence[Mapping], where: Mapping) -> list[Mapping]:
    """Return the rows whose fields have the wanted values (one, or any of a list)."""
    kept = []
    for row in rows:
        pairs = [(row.get(key), value) for key, value in where.items()]
        if all(has in value if isinstance(value, list) else has == value for has, value in pairs):
            kept.append(row)
    return kept


def fill(text: str, row: Mapping) -> str:
    """Fill a format string with a row's fields; empty where one of them is None.

    Raises
    ------
    KeyError
        If a row has no such field.
    """
    named = re.findall(r"\{(\w+)", text)
    if any(row[name] is None for name in named):
        return ""
    return text.format(**row).replace("|", "\\|")


def lines_of(rows: Sequence[Mapping], wanted: Mapping) -> list[list[str]]:
    """Return titles and cells of a table, line by line."""
    columns = wanted.get("columns", {})
    if "spread" not in wanted:
        return [list(columns), *([fill(text, row) for text in columns.values()] for row in rows)]
    names = list(dict.fromkeys(str(row[wanted["spread"]]) for row in rows))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = tuple(fill(text, row) for text in columns.values())
        lines.setdefault(key, {})[str(row[wanted["spread"]])] = fill(wanted["cell"], row)
    titles = [wanted.get("titles", {}).get(name, name) for name in names]
    body = [[*key, *(cells.get(name, "") for name in names)] for key, cells in lines.items()]
    return [[*columns, *titles], *body]


def table(wanted: Mapping, root: Path = ROOT) -> str:
    """Return a table in Markdown.

    Parameters
    ----------
    wanted : mapping
        As in a page (see the module's description).
    root : Path
        Folder that `from` is relative to.

    Raises
    ------
    ValueError
        If a key is unknown, or no row is left.
    """
    if unknown := set(wanted) - _KEYS:
        raise ValueError(f"table has keys {sorted(unknown)}; expected {sorted(_KEYS)}")
    content = json.loads((root / wanted["from"]).read_text())
    every = content if isinstance(content, list) else content[wanted.get("rows", "rows")]
    if isinstance(every, Mapping):
        every = [{"name": name, **row} for name, row in every.items()]
    rows = select(every, wanted.get("where", {}))
    if "without" in wanted:
        left_out = select(rows, wanted["without"])
        rows = [row for row in rows if row not in left_out]
    if not rows:
        raise ValueError(f"{wanted['from']} has no row where {wanted.get('where')}")
    titles, *body = lines_of(rows, wanted)
    lines = [titles, ["---"] * len(titles), *body]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n{origin(content, rows)}"


def origin(content: Mapping | list, rows: Sequence[Mapping]) -> str:
    """Say when and where rows were recorded; empty where the results do not tell."""
    if isinstance(content, list) or "date" not in content:
        return ""
    date = max(row.get("date", content["date"]) for row in rows)
    place = content.get("machine", {})
    where = place.get("gpu") or f"{place.get('processor')}, {place.get('cores')} cores"
    return f"\nRecorded on {date} ({where}).\n"


def rewrite(page: str, root: Path = ROOT) -> str:
    """Return a page with all its tables as the results say.

    Raises
    ------
    ValueError
        If it has no table, or a table without an end.
    """
    if page.count("<!-- table: ") != len(_TABLE.findall(page)) or not _TABLE.search(page):
        raise ValueError("page has no table, or one without `<!-- end of table -->`")
    return _TABLE.sub(
        lambda found: f"{found['begin']}{table(json.loads(found['wanted']), root)}{found['end']}",
        page,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the tables of pages, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", type=Path, nargs="+", help="pages with tables")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if one is old")
    arguments = parser.parse_args(argv)
    old = []
    for path in arguments.pages:
        text = path.read_text()
        new = rewrite(text)
        if new != text:
            old.append(str(path))
        if not arguments.check:
            path.write_text(new)
    if old and arguments.check:
        print(f"not what the results say: {', '.join(old)}", file=sys.stderr)
    return int(bool(old) and arguments.check)


if __name__ == "__main__":
    sys.exit(main())
