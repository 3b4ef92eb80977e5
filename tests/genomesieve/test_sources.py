import subprocess
import sys

from genomesieve.sources import local_imports, source_files


def test_imports_are_found_wherever_they_stand():
    text = """
import numpy as np
from genomesieve.scores import encode_scores
from genomesieve import layout
def f():
    import genomesieve.metrics
"""
    assert local_imports(text) == {"scores", "layout", "metrics"}


def test_files_are_followed_through_modules():
    files = {
        "a.py": "from genomesieve.one import x",
        "genomesieve/__init__.py": "",
        "genomesieve/one.py": "from genomesieve.two import y",
        "genomesieve/two.py": "import os",
        "genomesieve/three.py": "",
    }
    found = source_files("a.py", files.__getitem__)
    assert found == ["a.py", "genomesieve/__init__.py", "genomesieve/one.py", "genomesieve/two.py"]


def test_halves_never_import_each_other(repository):
    """The tensor half runs where pysam is absent, the genome half without torch."""
    scripts = repository / "scripts"
    heavy = {"torch": set(), "pysam": set()}
    for path in scripts.glob("*.py"):
        files = source_files(path.name, lambda name: (scripts / name).read_text())
        text = "\n".join((scripts / file).read_text() for file in files)
        if "import torch" in text:
            heavy["torch"].add(path.name)
        if any(f"import {name}" in text for name in ("pysam", "pybedtools", "pyBigWig")):
            heavy["pysam"].add(path.name)
    assert "train_model.py" in heavy["torch"] and "extract_sites.py" in heavy["pysam"]
    assert not heavy["torch"] & heavy["pysam"]


LOAD = """
import importlib, sys
for script in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "genomesieve"]:
        del sys.modules[name]
    importlib.import_module(script)
    print(script, *[name for name in sys.modules if name.startswith("genomesieve.")])
"""


def test_sources_are_the_modules_that_python_loads(repository):
    scripts = repository / "scripts"
    names = sorted(path.stem for path in scripts.glob("*.py"))
    command = [sys.executable, "-c", LOAD, *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=scripts, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == names
    for script, *modules in rows:
        loaded = [f"{name.replace('.', '/')}.py" for name in modules]
        listed = source_files(f"{script}.py", lambda file: (scripts / file).read_text())
        assert sorted([*loaded, "genomesieve/__init__.py"]) == listed[1:], script
