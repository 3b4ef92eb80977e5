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
