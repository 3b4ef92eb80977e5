"""Which modules of the library a script uses, found in its text.

The workflow declares them as inputs of the script's rule, so that an edit of one module reruns the
rules that use it and no others.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache

PACKAGE = "genomesieve"


# Every job of a cluster reads the workflow again, and most modules serve most scripts.
@cache
def local_imports(text: str) -> frozenset[str]:
    """Return the modules of the library that Python code imports, wherever in the code it does.

    Parameters
    ----------
    text : str
        Python code.

    Returns
    -------
    frozenset of str
        Names inside the package, which is flat: `regions` for `from genomesieve.regions import x`,
        `from genomesieve import regions` and `import genomesieve.regions`.
    """
    dotted = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            dotted += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            dotted += [f"{PACKAGE}.{item.name}" for item in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            dotted.append(node.module)
    parts = [name.split(".") for name in dotted]
    return frozenset(names[1] for names in parts if names[0] == PACKAGE and len(names) > 1)


def source_files(script: str, read: Callable[[str], str]) -> list[str]:
    """Return a script and the library files that it uses, directly or through others.

    Parameters
    ----------
    script : str
        File name of the script, relative to the folder that holds scripts and library.
    read : callable
        Returns the text of a file given relative to that folder.

    Returns
    -------
    list of str
        The script, then the library's files in alphabetical order.
    """
    found: set[str] = set()
    waiting = [script, f"{PACKAGE}/__init__.py"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [f"{PACKAGE}/{module}.py" for module in local_imports(read(file))]
    return [script, *sorted(found - {script})]
