"""A program of benchmarks/ as a module whose functions tests call."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def benchmark_module(repository: Path, name: str) -> Iterator[ModuleType]:
    """Import benchmarks/NAME.py, which finds the modules beside it while the context lasts."""
    folder, alias = repository / "benchmarks", f"benchmark_of_{name}"
    spec = importlib.util.spec_from_file_location(alias, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules[alias] = module
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))
        del sys.modules[alias]
