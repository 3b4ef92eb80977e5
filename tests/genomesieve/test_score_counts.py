"""Counts of scores that a bundle keeps: written, read back, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.files import write_table
from genomesieve.label_counts import BlockCounts
from genomesieve.score_counts import FILE, count_table, read_score_counts


def part(seed: int, blocks: int) -> BlockCounts:
    """Draw the counts of one genome."""
    generator = np.random.default_rng(seed)
    codes = np.sort(generator.choice(60_000, 40, replace=False)).astype(np.int64)
    return BlockCounts(codes, *generator.integers(0, 3, (2, blocks, 40)).astype(float))


def model_of(parts: list[BlockCounts], blocks: int = 5) -> dict:
    """Return what model.json says of these counts."""
    sites = sum(one.positives.sum() for one in parts)
    others = sum(one.negatives.sum() for one in parts)
    entry = {"prevalence": float(sites / (sites + others))}
    return {"calibration": {"blocks": blocks, "classes": {"donor": entry}}}


def test_counts_come_back(tmp_path):
    parts = [part(1, 2), part(2, 3)]
    write_table(tmp_path / FILE, count_table("donor", parts))
    found = read_score_counts(tmp_path, model_of(parts))["donor"]
    assert found.sites.shape == found.others.shape == (5, len(found.codes))
    for block, (one, row) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]):
        for code, sites, others in zip(
            parts[one].codes, parts[one].positives[row], parts[one].negatives[row]
        ):
            place = np.flatnonzero(found.codes == code)
            here = (found.sites[block, place].sum(), found.others[block, place].sum())
            assert here == (sites, others)


def test_many_blocks_are_joined_with_their_neighbours(tmp_path):
    """A hundred training genomes must not need a hundred times the memory."""
    parts = [part(seed, 128) for seed in range(8)]
    write_table(tmp_path / FILE, count_table("donor", parts))
    found = read_score_counts(tmp_path, model_of(parts, blocks=1024))["donor"]
    expected = [one.positives.reshape(32, 4, -1).sum((1, 2)) for one in parts]
    assert found.sites.sum(1).tolist() == np.concatenate(expected).tolist()


def test_older_bundles_have_none(tmp_path):
    assert read_score_counts(tmp_path, model_of([part(1, 2)])) is None


def test_counts_of_another_calibration_are_refused(tmp_path):
    write_table(tmp_path / FILE, count_table("donor", [part(1, 2)]))
    with pytest.raises(InputError, match="of another calibration"):
        read_score_counts(tmp_path, model_of([part(3, 2)]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sites": -1}, "something else than counts"),
        ({"sites": 0.5}, "something else than counts"),
        ({"code": 70_000}, "something else than counts"),
        ({"block": "x"}, "something else than counts"),
        ({"block": 5}, "name 6 blocks; expected those of model.json: 5"),
        ({"class": "acceptor"}, "of another calibration"),
        ({"code": None}, "lacks column code"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, change, message):
    table = count_table("donor", [part(1, 2)]).astype({"code": "int64"})
    ((column, value),) = change.items()
    table = table.drop(columns=column) if value is None else table.assign(**change)
    write_table(tmp_path / FILE, table)
    with pytest.raises(InputError, match=message):
        read_score_counts(tmp_path, model_of([part(1, 2)]))


def test_empty_table(tmp_path):
    table = count_table("donor", [part(1, 2)])
    write_table(tmp_path / FILE, pd.DataFrame(table.iloc[:0]))
    with pytest.raises(InputError, match="of another calibration"):
        read_score_counts(tmp_path, model_of([part(1, 2)]))
