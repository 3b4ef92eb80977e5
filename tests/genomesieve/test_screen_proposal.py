"""Splits and sizes that are proposed fit the data that they are proposed for."""

import numpy as np
import pandas as pd
import pytest
import yaml

from genomesieve.errors import InputError
from genomesieve.screen_proposal import (
    FRACTIONS,
    Draft,
    config_text,
    propose_base_model,
    propose_bin_model,
    propose_split,
)
from genomesieve.splitting import PARTS, split_by_lists


def contigs_of(*lengths):
    """Return a contig table: c0, c1, ... of these lengths."""
    names = [f"c{row}" for row in range(len(lengths))]
    offsets = np.cumsum([0, *lengths[:-1]])
    return pd.DataFrame({"contig": names, "length": lengths, "offset": offsets})


def sites_on(contigs, every=500, name="a"):
    """Return sites at even distances on all contigs."""
    rows = [
        (one.contig, at, name)
        for one in contigs.itertuples()
        for at in range(every // 2, one.length, every)
    ]
    return pd.DataFrame(rows, columns=["contig", "position", "class"])


@pytest.mark.parametrize(
    ("lengths", "how"),
    [
        ([30_000_000], "by stretches of one contig"),
        ([9_000_000, 8_000_000, 7_000_000], "by stretches of contigs"),
        ([1_000_000 + 1000 * row for row in range(30)], "by whole contigs"),
        ([90_000 + row for row in range(60)], "by fractions (whole contigs)"),
    ],
)
def test_parts_cover_the_genome_in_their_shares(lengths, how):
    contigs = contigs_of(*lengths)
    split = propose_split(contigs, sites_on(contigs, 5000))
    assert split.how == how
    table = split.parts.sort_values(["contig", "start"])
    for name, rows in table.groupby("contig"):
        length = contigs.set_index("contig")["length"][name]
        edges = [0, *rows["end"]]
        assert edges[:-1] == rows["start"].tolist() and edges[-1] == length
    total = sum(lengths)
    for part in PARTS:
        wanted = (
            FRACTIONS[part] if total > 20_000_000 else {"train": 0.6, "valid": 0.1}.get(part, 0.15)
        )
        assert wanted / 2 <= split.bases(part) / total <= 2 * wanted


@pytest.mark.parametrize("lengths", [[3_000_000], [2_000_000, 1_500_003, 700_001]])
def test_the_workflow_reads_the_lists_as_they_were_meant(lengths):
    contigs = contigs_of(*lengths)
    split = propose_split(contigs, sites_on(contigs))
    regions = contigs.assign(start=0, end=contigs["length"])[["contig", "start", "end"]]
    table = split_by_lists(split.rule["contigs"], regions, contigs, "toy")
    same = ["contig", "start", "end", "part"]
    pd.testing.assert_frame_equal(
        table.sort_values(same, ignore_index=True),
        split.parts.sort_values(same, ignore_index=True)[same].astype(table.dtypes.to_dict()),
    )


def test_contigs_without_sites_are_in_no_part():
    contigs = contigs_of(2_000_000, 400_000)
    sites = sites_on(contigs.head(1))
    split = propose_split(contigs, sites)
    assert set(split.parts["contig"]) == {"c0"}
    assert split.count(sites).to_numpy().sum() == len(sites)


def test_too_few_sites_are_named():
    contigs = contigs_of(2_000_000)
    sites = pd.concat([sites_on(contigs), sites_on(contigs, 100_000, "rare")])
    with pytest.raises(InputError, match=r"class rare has 2 sites in part valid.*expected 5 or"):
        propose_split(contigs, sites)


def test_sizes_follow_the_data():
    small, large = (
        propose_base_model(150_000, 20_000, 200_000),
        propose_base_model(10**9, 10**7, 10**8),
    )
    assert (small.sampling["length"], large.sampling["length"]) == (1000, 5000)
    assert small.sampling["windows"] < large.sampling["windows"] == 6000
    assert small.training["steps"] == 50 and large.training["steps"] == 1500
    peaks, broad = (propose_bin_model(10**7, 10**6, 10**6, length) for length in (1, 600))
    assert (peaks.resolution, broad.resolution) == (50, 200)
    for one in (small, large, peaks, broad):
        assert one.calibration["operating"] in one.calibration["precision_targets"]
        assert one.sampling["length"] % one.resolution == 0


def test_what_is_written_is_what_is_meant():
    contigs = contigs_of(3_000_000)
    split, proposal = (
        propose_split(contigs, sites_on(contigs)),
        propose_bin_model(10**6, 10**5, 10**6, 5),
    )
    classes = {"a": {}, "no": {}}
    draft = Draft(
        "mine",
        "A: title",
        classes,
        "independent",
        "toy",
        ["near"],
        split,
        proposal,
        "one\ntwo",
        "w",
    )
    config = yaml.safe_load(config_text(draft, "g.tsv", "t #1.tsv"))
    screen = config["screens"]["mine"]
    assert (config["genomes"], config["tracks"]) == ("g.tsv", "t #1.tsv")
    assert screen["classes"] == classes and screen["title"] == "A: title"
    assert screen["scan_genomes"] == ["toy", "near"]
    assert screen["split"] == {"toy": split.rule} and screen["sampling"] == proposal.sampling
    for key in ("model", "training", "calibration", "baselines"):
        assert screen[key] == getattr(proposal, key)
