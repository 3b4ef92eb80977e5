"""Reading what scans leave, and refusing what does not fit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.files import write_table
from genomesieve.layout import make_layout
from genomesieve.scan_files import (
    Histograms,
    part_of_layout,
    read_calibrated_model,
    read_histograms,
    read_layout,
    read_scores,
    write_histograms,
)
from genomesieve.scores import CODES


def test_histograms_come_back_as_they_were(tmp_path):
    total = np.arange(2 * CODES, dtype=np.int64).reshape(1, 2, CODES)
    blocks = pd.DataFrame(
        {"block": [0, 1], "strand": [0, 0], "class_index": [1, 0], "code": [5, 9], "count": [3, 4]}
    )
    floors = np.array([7, 8], dtype=np.uint16)
    write_histograms(tmp_path / "histograms.npz", Histograms(total, floors, blocks))
    found = read_histograms(tmp_path / "histograms.npz")
    assert (found.total == total).all()
    assert (found.floors == floors).all()
    assert found.blocks.equals(blocks)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"not a zip file"])
def test_damaged_histograms_are_named(tmp_path, content):
    path = tmp_path / "histograms.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="score histograms .*histograms.npz cannot be read"):
        read_histograms(path)


def test_histograms_without_their_arrays_or_of_another_shape_are_refused(tmp_path):
    path = tmp_path / "histograms.npz"
    np.savez(path, total=np.zeros(3))
    with pytest.raises(InputError, match="cannot be read.*floor"):
        read_histograms(path)
    columns = {name: [] for name in ("block", "strand", "class_index", "code", "count")}
    np.savez(path, total=np.zeros((2, 3, CODES)), floor=np.zeros(2), **columns)
    with pytest.raises(InputError, match=r"have shape \(2, 3, 65536\); expected \(strands, 2"):
        read_histograms(path)


def test_scores_of_another_shape_or_missing_are_refused(tmp_path):
    path = tmp_path / "scores.npy"
    with pytest.raises(InputError, match="scores .*--keep-scores.* does not exist"):
        read_scores(path, (2, 2, 10))
    np.save(path, np.zeros((2, 2, 9), dtype=np.uint16))
    with pytest.raises(InputError, match=r"hold \(2, 2, 9\) uint16; expected \(2, 2, 10\)"):
        read_scores(path, (2, 2, 10))
    path.write_bytes(b"\x93NUMPY cut")
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(path, (2, 2, 10))


def test_only_calibrated_models_are_read(tmp_path):
    path = tmp_path / "model.json"
    model = {"format": 1, "name": "m", "classes": ["x", "y"], "stranded": [True, True]}
    model |= {"architecture": {"preset": "pwm"}, "labels": "exclusive", "resolution": 1}
    path.write_text(json.dumps(model))
    with pytest.raises(InputError, match="lacks calibration"):
        read_calibrated_model(tmp_path)
    model |= {"calibration": None}
    path.write_text(json.dumps(model))
    with pytest.raises(InputError, match="lacks context"):
        read_calibrated_model(tmp_path)
    path.write_text(json.dumps(model | {"context": 5}))
    with pytest.raises(InputError, match="not calibrated for x, y"):
        read_calibrated_model(tmp_path)
    path.write_text(json.dumps(model | {"context": 5, "calibration": {"classes": {"x": {}}}}))
    with pytest.raises(InputError, match=r"calibration.classes.x lacks `slope`"):
        read_calibrated_model(tmp_path)


def test_a_part_is_a_layout_of_its_own(tmp_path):
    contigs = pd.DataFrame({"contig": ["1", "2"], "length": [9000, 5000], "offset": [0, 9000]})
    split = pd.DataFrame(
        [("1", 0, 4000, "test"), ("1", 4100, 9000, "calibrate"), ("2", 0, 5000, "test")],
        columns=["contig", "start", "end", "part"],
    )
    layout = make_layout(split, contigs, ("test", "calibrate"), 10, 5, "toy")
    write_table(tmp_path / "intervals.tsv", layout.intervals)
    write_table(tmp_path / "blocks.tsv", layout.blocks)
    again = read_layout(tmp_path, 10)
    assert again.intervals.equals(layout.intervals)
    assert again.blocks.equals(layout.blocks)
    alone = make_layout(split, contigs, ("test",), 10, 5, "toy")
    part, first_bin, first_block = part_of_layout(again, "test")
    assert part.intervals.equals(alone.intervals)
    assert part.blocks.equals(alone.blocks)
    assert (first_bin, first_block) == (490, len(layout.blocks) - len(alone.blocks))
