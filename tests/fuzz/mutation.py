"""Strategies that damage valid files: bytes, the fields of tables, the values of documents."""

from __future__ import annotations

import copy
import json

from hypothesis import strategies as st

HOSTILE_TEXTS = (
    *("", " ", "-1", "-0", "0", "1", "+5", "1_0", "1e3", "1.5", "007", "nan", "NaN", "inf", "-inf"),
    *("\uff11\uff12", "\u00b2", "\u0663", "9" * 19, "9" * 30, "9" * 5000, "-" + "9" * 20),
    *("2147483648", str(2**63 - 1), str(2**63), str(2**64), "null", "None", "true"),
    *("\x00", "\r", "\x0b", "\x1c", "\x85", "\u2028", "\ufeff", "\u202e", "\x1b[31m", "é", "ß"),
    *(
        '"',
        "'",
        "`id`",
        "$(id)",
        "a b;rm",
        "../../x",
        "/etc/passwd",
        "~",
        "a\\b",
        "%0A",
        "%09",
        "%",
    ),
    *("<script>alert(1)</script>", "{genome}", "{", "}", "[", "#", ">", ">x", "*", "-rf", "--help"),
    *(
        "track",
        "browser",
        "##FASTA",
        "chr1",
        "chr2",
        "chrM",
        "A" * 300,
        "+",
        "-",
        ".",
        "?",
        "=",
        ";",
    ),
    *("ID=a;Parent=b", 'transcript_id "";', "Parent=", "Parent=,", "exon", "CDS", "start_codon"),
)
"""Texts that have broken parsers, ours or others'."""

HOSTILE_VALUES = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 0.0, 1.0, 2.0, 0.5, -0.5, 1e308, 10**7, 10**12),
    *(2**31, 2**63, 2**64, 10**30, -(10**30), float("nan"), float("inf"), float("-inf")),
    *(
        "",
        "x",
        "\x00",
        "a\n",
        "é",
        "../../x",
        "/etc/passwd",
        "a b;rm -rf x",
        "$(id)",
        "`id`",
        "'",
        '"',
    ),
    *("-rf", "con fig", "<script>", "A" * 300, "genomes", "1", "donor", "toy"),
    *(
        [],
        {},
        [[]],
        [None],
        [{}],
        [1, 2],
        [0],
        [-1],
        ["x"],
        ["x", "x"],
        {"": 1},
        {"x": {}},
        [[1], [2]],
    ),
    *([3] * 500, {"x": float("nan")}),
)
"""Values of JSON and YAML that stand where others are expected."""

FIELDS = st.one_of(
    st.sampled_from(HOSTILE_TEXTS),
    st.integers(-5, 700).map(str),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=12),
)
VALUES = st.one_of(
    st.sampled_from(HOSTILE_VALUES),
    st.sampled_from(HOSTILE_TEXTS[:60]),
    st.integers(-3, 300),
    st.floats(),
    st.text(max_size=8),
)
_FIELD_CHANGES = ("replace", "replace", "replace", "drop", "double", "join")
_LINE_CHANGES = ("drop line", "double line", "swap lines", "new line", "cut line")
_BYTE_CHANGES = (
    *("none", "none", "none", "flip", "flip", "cut", "insert", "remove", "repeat"),
    *("crlf", "cr", "bom", "utf-16", "nul"),
)


@st.composite
def damaged_table(draw, valid: bytes, separator: str = "\t") -> bytes:
    """Change fields and lines of a text file, then perhaps bytes."""
    rows = [line.split(separator) for line in valid.decode().split("\n")]
    for _ in range(draw(st.integers(1, 3))):
        _change_row(draw, rows, separator)
    text = "\n".join(separator.join(row) for row in rows)
    return draw(damaged_bytes(text.encode()))


def _change_row(draw, rows: list[list[str]], separator: str) -> None:
    """Make one change to the rows."""
    if not rows:
        rows.append([draw(FIELDS)])
    change = draw(st.sampled_from(_FIELD_CHANGES + _LINE_CHANGES))
    row = draw(st.integers(0, len(rows) - 1))
    if change in _FIELD_CHANGES:
        cells = rows[row]
        place = draw(st.integers(0, max(0, len(cells) - 1)))
        if change == "replace":
            cells[place : place + 1] = [draw(FIELDS)]
        elif change == "drop":
            del cells[place : place + 1]
        elif change == "double":
            cells[place:place] = cells[place : place + 1]
        else:
            cells[place : place + 2] = [" ".join(cells[place : place + 2])]
    elif change == "drop line":
        del rows[row]
    elif change == "double line":
        rows[row:row] = [list(rows[row])]
    elif change == "swap lines":
        rows[row], rows[0] = rows[0], rows[row]
    elif change == "new line":
        rows[row:row] = [draw(st.lists(FIELDS, max_size=11))]
    else:
        rows[row] = rows[row][: draw(st.integers(0, len(rows[row])))]


@st.composite
def damaged_bytes(draw, content: bytes) -> bytes:
    """Change bytes, or none of them."""
    change = draw(st.sampled_from(_BYTE_CHANGES))
    place = draw(st.integers(0, max(0, len(content) - 1)))
    if change == "flip" and content:
        flipped = content[place] ^ draw(st.integers(1, 255))
        return content[:place] + bytes([flipped]) + content[place + 1 :]
    if change == "cut":
        return content[:place]
    if change == "insert":
        return content[:place] + draw(st.binary(max_size=8)) + content[place:]
    end = place + draw(st.integers(0, 40))
    if change == "remove":
        return content[:place] + content[end:]
    if change == "repeat":
        return content[:end] + content[place:]
    if change == "utf-16":
        return content.decode("latin-1").encode("utf-16")
    replaced = {"crlf": (b"\n", b"\r\n"), "cr": (b"\n", b"\r"), "nul": (b" ", b"\x00")}
    if change in replaced:
        return content.replace(*replaced[change])
    return b"\xef\xbb\xbf" + content if change == "bom" else content


def any_file(valid: bytes, separator: str = "\t") -> st.SearchStrategy[bytes]:
    """Return valid files with changes, mostly, and bytes and text of any kind."""
    return st.one_of(
        *[damaged_table(valid, separator)] * 6,
        damaged_bytes(valid),
        st.binary(max_size=200),
        st.text(max_size=100).map(str.encode),
    )


@st.composite
def damaged_document(draw, document: dict) -> dict:
    """Replace, remove, rename or add values anywhere in a nested document."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(document))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(("replace", "replace", "replace", "remove", "rename", "add")))
        if change == "replace":
            holder[key] = copy.deepcopy(draw(VALUES))
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            new = draw(
                st.one_of(st.sampled_from(HOSTILE_TEXTS), st.text(max_size=5), st.integers())
            )
            holder[new] = holder.pop(key) if change == "rename" else copy.deepcopy(draw(VALUES))
        else:
            holder.insert(key, copy.deepcopy(draw(VALUES)))
    return document


def _places(document: object):
    """Yield every holder and key of a nested document."""
    if isinstance(document, dict | list):
        keys = list(document) if isinstance(document, dict) else range(len(document))
        for key in keys:
            yield document, key
            yield from _places(document[key])


def any_json(document: dict) -> st.SearchStrategy[bytes]:
    """Return JSON files: documents with changes, mostly, and damaged or arbitrary bytes."""
    changed = damaged_document(document).map(lambda item: json.dumps(item).encode())
    valid = json.dumps(document).encode()
    deep = st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"1e999", b"[]", b"1"])
    return st.one_of(
        *[changed] * 7, damaged_bytes(valid), st.binary(max_size=60), VALUES.map(_json), deep
    )


def _json(value: object) -> bytes:
    """Write a value as JSON."""
    return json.dumps(value).encode()
