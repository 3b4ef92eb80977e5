"""Write the reference of every configuration key from the schemas.

    python docs/configuration_keys.py            # writes docs/configuration_keys.md
    python docs/configuration_keys.py --check    # writes nothing, fails if the page is old

Keys, types, allowed values and descriptions are those of `workflow/schemas/*.yaml`. A default is
the schema's own, or what its description says in "(default ...)". Settings of networks are those of
`genomesieve.architecture`, whose docstring describes them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "configuration_keys.md"
SCHEMAS = ROOT / "workflow" / "schemas"

sys.path.insert(0, str(ROOT / "scripts"))
from genomesieve.architecture import (  # noqa: E402
    NETWORKS,
    NORMS,
    POOLINGS,
    PRESETS,
    TRUNKS,
    NetworkSettings,
)
from genomesieve.custom_settings import CustomSettings  # noqa: E402

HEAD = """# Every key of the configuration

This page is written by `python docs/configuration_keys.py` from the schemas that check a
configuration before anything runs (`workflow/schemas/`). [Configuration](../config/README.md) tells
what to think about. A misspelt key stops the run with the nearest right one.

*Required* stands where there is no default. `NAME` in a key is a name of your own: letters, digits,
`_`, `+` and `-`. A dash as default: nothing, unless it is given.
"""
NAMED = {
    "packages": "PACKAGE",
    "downloads": "FILE",
    "split": "GENOME",
    "fractions": "PART",
    "matrices": "CLASS",
    "classes": "CLASS",
    "target": "CLASS",
    "stages": "STAGE",
    "stage_methods": "METHOD",
    "screens": "SCREEN",
}
"""What a key under a table of names is; `NAME` where it is not said here."""
SECTIONS = (
    ("Top level", ""),
    ("Screens", "screens.SCREEN"),
    ("Pretraining", "pretraining.NAME"),
)
CONSTANTS = {"TRUNKS": TRUNKS, "POOLINGS": POOLINGS, "NORMS": NORMS}
_KINDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "dict | None": "table",
    "tuple[int, ...]": "list of whole numbers",
    "tuple[str, ...]": "list of text",
}
_NAME = "A-Za-z0-9_+][A-Za-z0-9_+-]{0,99}$"
_PATTERNS = {
    f"^[{_NAME}": "letters, digits, `_`, `+`, `-`",
    "^[0-9a-fA-F]{64}$": "64 hexadecimal digits",
    "^([0-9a-fA-F]{64})?$": "64 hexadecimal digits, or nothing",
    "^auto$": "`auto`",
    "^(auto|cpu(:[0-9]+)?|cuda(:[0-9]+(,[0-9]+)*)?)$": "`auto`, `cpu`, `cpu:2`, `cuda`, `cuda:0,1`",
    "^https://[!-~]+$": "`https://...`",
    "^([1-9][0-9]{0,4})?$": "a whole number, or nothing",
    "^-?[0-9]+:-?[0-9]+$": "`start:end`",
}
"""What patterns of the schemas mean, in words."""
_STATED = re.compile(r"\(default ([^)]*)\)")


def resolve(rule: Mapping, definitions: Mapping) -> dict:
    """Return a rule with what it refers to (`$ref` to a definition) filled in."""
    if "$ref" not in rule:
        return dict(rule)
    found: Mapping = {"$defs": definitions}
    for name in rule["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found) | {key: value for key, value in rule.items() if key != "$ref"}


def walk(
    rule: Mapping, definitions: Mapping, path: str = "", key: str = ""
) -> Iterator[tuple[str, dict, bool]]:
    """Yield path, rule and whether it is required of every key below a rule, in their order.

    Parameters
    ----------
    rule : mapping
        JSON schema of a table.
    definitions : mapping
        The schema's `$defs`.
    path : str
        Keys that lead to it, dots between them.
    key : str
        The last of them.

    Yields
    ------
    tuple of str, dict, bool
    """
    dot = "." if path else ""
    for name, other in rule.get("properties", {}).items():
        here = resolve(other, definitions)
        yield f"{path}{dot}{name}", here, name in rule.get("required", ())
        yield from walk(here, definitions, f"{path}{dot}{name}", name)
    inner = rule.get("additionalProperties")
    if isinstance(inner, Mapping):
        here, name = resolve(inner, definitions), NAMED.get(key, "NAME")
        if "properties" not in here:
            yield f"{path}{dot}{name}", here, False
        yield from walk(here, definitions, f"{path}{dot}{name}", name)


def describe_type(rule: Mapping) -> str:
    """Say what a value may be: its type, and the values or the range that are allowed."""
    if "oneOf" in rule:
        return ", or ".join(describe_type(one) for one in rule["oneOf"])
    limits = _limits(rule)
    if "enum" in rule:
        return "one of " + ", ".join(_shown(value) for value in rule["enum"]) + limits
    kinds = rule.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {"object": "table", "array": "list", "string": "text", "boolean": "true or false"}
    words |= {"integer": "whole number", "null": "null"}
    named = [words.get(kind, kind) for kind in kinds]
    if "array" in kinds and "items" in rule:
        named[kinds.index("array")] = f"list of: {describe_type(rule['items'])}"
    return " or ".join(named) + limits


def _limits(rule: Mapping) -> str:
    """Say which range a number, or which length a list, must have."""
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "minItems": "{} or more",
        "minProperties": "{} or more",
    }
    found = [text.format(rule[key]) for key, text in words.items() if key in rule]
    if "pattern" in rule:
        found.append(_PATTERNS.get(rule["pattern"], f"matching `{rule['pattern']}`"))
    return f" ({', '.join(found)})" if found else ""


def describe_default(rule: Mapping, required: bool) -> str:
    """Return a key's default as it is written in YAML; `required` where there must be a value."""
    if "default" in rule:
        return _shown(rule["default"])
    stated = _STATED.search(rule.get("description", ""))
    if stated:
        return stated[1]
    return "*required*" if required else "-"


def _shown(value: object) -> str:
    """Return a value as code, as it would be written in YAML."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def row(*cells: str) -> str:
    """Return a line of a table; bars in cells are escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def table(keys: Sequence[tuple[str, Mapping, bool]], prefix: str) -> list[str]:
    """Return the lines of a table of keys, whose common prefix is left away."""
    lines = [row("key", "type", "default", "what it is"), row("---", "---", "---", "---")]
    for path, rule, required in keys:
        name = path.removeprefix(f"{prefix}.") if prefix else path
        text = _STATED.sub("", rule.get("description", "")).replace(" ;", ";").replace(" .", ".")
        cells = (f"`{name}`", describe_type(rule), describe_default(rule, required))
        lines.append(row(*cells, re.sub(r"  +", " ", text).strip() or "One for each."))
    return lines


def groups(schema: Mapping) -> list[tuple[str, str, list]]:
    """Return title, prefix and keys of each table of the page, every key in exactly one.

    A screen's tables that hold tables (`training`, `explain`, ...) are groups of their own.
    """
    every = list(walk(schema, schema.get("$defs", {})))
    found = []
    for title, prefix in SECTIONS:
        inside = [one for one in every if prefix and one[0].startswith(f"{prefix}.")]
        if not prefix:
            others = tuple(f"{other}." for _, other in SECTIONS if other)
            inside = [one for one in every if not one[0].startswith(others)]
        own: list = []
        parts: dict[str, list] = {}
        for path, rule, required in inside:
            rest = path.removeprefix(f"{prefix}.") if prefix else path
            if prefix and "." in rest:
                parts.setdefault(rest.split(".")[0], []).append((path, rule, required))
            else:
                own.append((path, rule, required))
        found.append((title, prefix, own))
        found += [(name, f"{prefix}.{name}", keys) for name, keys in parts.items()]
    return found


def parameters(kind: type) -> dict[str, str]:
    """Return what the docstring of a dataclass says of each of its parameters (numpydoc)."""
    text = kind.__doc__.partition("Parameters\n    ----------\n")[2]
    found = {}
    for block in re.split(r"\n(?=    \S)", "\n" + text):
        names, _, rest = block.strip("\n").partition("\n")
        for name in names.partition(" : ")[0].split(", "):
            found[name.strip()] = " ".join(rest.split())
    return found


def setting_lines(kind: type, constants: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the settings of a kind of network; those that are described together are one line.

    Parameters
    ----------
    kind : type
        Dataclass whose docstring describes its fields.
    constants : mapping of str to sequence of str
        Allowed values by the name that the docstring gives them.
    """
    said = parameters(kind)
    merged: dict[str, list] = {}
    for item in fields(kind):
        if item.name != "preset":
            merged.setdefault(said[item.name] or item.name, []).append(item)
    lines = [row("setting", "type", "default", "what it is"), row("---", "---", "---", "---")]
    for text, items in merged.items():
        for name, values in constants.items():
            text = text.replace(f"`{name}`", ", ".join(f"`{value}`" for value in values))
        kinds = list(dict.fromkeys(_KINDS[str(item.type)] for item in items))
        names = ", ".join(f"`{item.name}`" for item in items)
        defaults = ", ".join(_default_of(item) for item in items)
        described = "" if text == items[0].name else text
        lines.append(row(names, ", ".join(kinds), defaults, described))
    return lines


def _default_of(item: Field) -> str:
    """Return a setting's default; what no network can have stands for a value that is required."""
    if item.default in ("", -1, ()):
        return "*required*"
    return _shown(list(item.default) if isinstance(item.default, tuple) else item.default)


def preset_lines() -> list[str]:
    """Return what each preset changes of the defaults."""
    lines = [row("preset", "differs from these defaults in"), row("---", "---")]
    for name in NETWORKS:
        own = {key: list(v) if isinstance(v, tuple) else v for key, v in PRESETS[name][1].items()}
        lines.append(row(f"`{name}`", ", ".join(f"`{k}: {json.dumps(v)}`" for k, v in own.items())))
    return lines


def page(schemas: Path = SCHEMAS) -> str:
    """Return the whole page in Markdown."""
    schema = yaml.safe_load((schemas / "config.schema.yaml").read_text())
    lines = [HEAD]
    for title, prefix, keys in groups(schema):
        top = title in dict(SECTIONS)
        lines += [f"## {title}" if top else f"### `{prefix}`", ""]
        if prefix and top:
            lines += [f"Below `{prefix}`:", ""]
        lines += [*table(keys, prefix), ""]
    lines += ["## Settings of `model`", ""]
    lines += [
        "Every preset is a stem, a trunk, a pooling and a head; any setting may be given.",
        "",
    ]
    lines += [*setting_lines(NetworkSettings, CONSTANTS), "", *preset_lines(), ""]
    lines += ["Those of `preset: custom`, [a network of your own](../config/README.md):", ""]
    lines += [*setting_lines(CustomSettings, {}), ""]
    for name in ("genomes", "tracks"):
        sheet = yaml.safe_load((schemas / f"{name}.schema.yaml").read_text())
        lines += [f"## Columns of `{name}.tsv`", ""]
        lines += [*table(list(walk(sheet, {})), ""), ""]
    return "\n".join(lines).rstrip() + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is old")
    arguments = parser.parse_args(argv)
    wanted = page()
    if not arguments.check:
        PAGE.write_text(wanted)
    elif not PAGE.is_file() or PAGE.read_text() != wanted:
        print(
            f"{PAGE.name} is not what the schemas say: run python docs/configuration_keys.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
