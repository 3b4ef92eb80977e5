"""Everything public says what it does and what it takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def public_nodes(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.stmt]]:
    """Yield public classes and functions, with the methods of public classes, by name."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_") and node.name != "__init__":
                continue
            yield f"{prefix}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public_nodes(node.body, f"{prefix}.{node.name}")


def faults(source: str, name: str) -> list[str]:
    """List what is public in a module and lacks a docstring or an annotation."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else [f"{name}: no docstring"]
    for place, node in public_nodes(tree.body, name):
        if not ast.get_docstring(node) and node.name != "__init__":
            found.append(f"{place}: no docstring")
        if isinstance(node, ast.ClassDef):
            continue
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        bare = [item.arg for item in every if item is not None and item.annotation is None]
        found += [f"{place}: {item} has no type" for item in bare if item not in ("self", "cls")]
        if node.returns is None and node.name != "__init__":
            found.append(f"{place}: no return type")
    return found


def test_the_check_sees_what_is_missing():
    source = '"""M."""\ndef f(a, *b: int): pass\nclass C:\n  "C."\n  def __init__(self, x): pass\n'
    assert faults(source, "m") == [
        "m.f: no docstring",
        "m.f: a has no type",
        "m.f: no return type",
        "m.C.__init__: x has no type",
    ]


def test_everything_public_is_documented_and_typed(repository: Path):
    found = []
    for path in sorted((repository / "scripts").rglob("*.py")):
        found += faults(path.read_text(), path.stem)
    assert found == []
