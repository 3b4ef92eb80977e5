"""Sampled places, and what is known of them without a network."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.probe_interventions import choose_stretches
from genomesieve.probe_places import sample_places
from genomesieve.probed_properties import (
    codon_phase,
    gene_strand,
    read_genes,
    repeat_status,
    sequence_properties,
    site_distance,
)

LENGTHS = (6000, 2507)
SPLIT = pd.DataFrame(
    [("one", 0, 3000, "train"), ("one", 3100, 6000, "valid"), ("two", 0, 2507, "test")],
    columns=["contig", "start", "end", "part"],
)


@pytest.fixture(scope="module")
def genome():
    codes = np.random.default_rng(0).integers(0, 4, sum(LENGTHS), dtype=np.uint8)
    codes[LENGTHS[0] + 500 : LENGTHS[0] + 600] = DNA.unknown
    contigs = pd.DataFrame({"contig": ["one", "two"], "length": LENGTHS, "offset": [0, LENGTHS[0]]})
    return EncodedGenome("toy", codes, contigs)


ONE_BASE = resolve_architecture({"preset": "dilated", "channels": 8, "dilations": [1, 2]})
TEN_BASES = resolve_architecture({"preset": "motif_cnn", "channels": 8, "resolution": 10})
WINDOWED = resolve_architecture(
    {"preset": "gru", "channels": 8, "window": 100, "reach": 5, "resolution": 50}
)


@pytest.mark.parametrize("architecture", [ONE_BASE, TEN_BASES, WINDOWED])
@pytest.mark.parametrize("part", ["train", "test"])
def test_places_lie_in_their_part_on_known_bases(genome, architecture, part):
    places = sample_places(genome, SPLIT, part, architecture, 400, [0])
    rows = SPLIT[SPLIT["part"] == part].iloc[0]
    assert set(places.contig) == {["one", "two"].index(rows["contig"])}
    assert (places.start >= rows["start"]).all()
    assert (places.start + architecture.resolution <= rows["end"]).all()
    assert (places.start % architecture.resolution == 0).all()
    assert (places.codes(0) < 4).all()
    assert 0.2 < places.minus.mean() < 0.8
    assert len(places) > 20 and places.block.max() < places.blocks
    assert len(np.unique(places.start)) == len(places)
    again = sample_places(genome, SPLIT, part, architecture, 400, [0])
    np.testing.assert_array_equal(again.start, places.start)


@pytest.mark.parametrize("architecture", [ONE_BASE, TEN_BASES, WINDOWED])
def test_a_network_sees_the_bases_around_each_bin(genome, architecture):
    places = sample_places(genome, SPLIT, "test", architecture, 200, [1])
    context, resolution = architecture.context, architecture.resolution
    own = places.codes(0)
    found = []
    for x, bins in places.inputs(context):
        letters = x.argmax(1).numpy().astype(np.uint8)
        letters[x.sum(1).numpy() == 0] = DNA.unknown
        for row, wanted in zip(letters, bins.numpy()):
            firsts = context + wanted * resolution
            found += [row[first : first + resolution] for first in firsts]
    np.testing.assert_array_equal(np.stack(found), own)


def test_a_part_without_known_bases_is_refused(genome):
    split = SPLIT.assign(part=["train", "valid", "calibrate"])
    with pytest.raises(InputError, match="part test of genome toy has no bin"):
        sample_places(genome, split, "test", ONE_BASE, 10, [0])


def test_composition_is_that_of_the_bases(genome):
    places = sample_places(genome, SPLIT, "train", TEN_BASES, 100, [0])
    found = {one.name: one for one in sequence_properties(places, ["gc", "purine_run"], 5)}
    codes = places.codes(5)
    known = codes < 4
    expected = (known & np.isin(codes, [1, 2])).sum(axis=1) / known.sum(axis=1)
    np.testing.assert_allclose(found["gc"].values, expected, atol=1e-6)
    assert not found["gc"].categories and (found["purine_run"].values >= 1).all()


@pytest.mark.parametrize("stranded", [True, False])
def test_the_distance_is_to_the_nearest_site_on_the_strand_that_is_read(genome, stranded):
    generator = np.random.default_rng(3)
    sites = pd.DataFrame(
        {
            "contig": generator.choice(["one", "two"], 30),
            "position": generator.integers(0, 2500, 30),
            "strand": generator.choice(["+", "-"], 30),
        }
    )
    places = sample_places(genome, SPLIT, "train", ONE_BASE, 300, [0])
    found = site_distance(places, sites, stranded, 200).values
    for row in range(len(places)):
        mine = sites[sites["contig"] == ["one", "two"][places.contig[row]]]
        if stranded:
            mine = mine[mine["strand"] == ("-" if places.minus[row] else "+")]
        distance = np.abs(mine["position"] - places.start[row]).min()
        assert found[row] == pytest.approx(np.log1p(min(distance, 200)))


def test_repeats_are_where_the_bin_has_its_middle(genome):
    masked = pd.DataFrame({"contig": ["one", "one"], "start": [50, 1000], "end": [500, 1005]})
    places = sample_places(genome, SPLIT, "train", TEN_BASES, 300, [0])
    found = repeat_status(places, masked).values
    middle = places.start + np.where(places.minus, 4, 5)
    expected = ((middle >= 50) & (middle < 500)) | ((middle >= 1000) & (middle < 1005))
    np.testing.assert_array_equal(found, expected)
    assert 0 < expected.sum() < len(expected)
    assert not repeat_status(places, masked[:0]).values.any()


GTF = """\
one\tx\texon\t101\t400\t.\t+\t.\tgene_id "a"; transcript_id "a";
one\tx\tCDS\t111\t200\t.\t+\t0\tgene_id "a"; transcript_id "a";
one\tx\tCDS\t301\t390\t.\t+\t2\tgene_id "a"; transcript_id "a";
one\tx\texon\t1001\t1300\t.\t-\t.\tgene_id "b"; transcript_id "b";
one\tx\tCDS\t1001\t1300\t.\t-\t1\tgene_id "b"; transcript_id "b";
one\tx\texon\t2001\t2300\t.\t+\t.\tgene_id "c"; transcript_id "c1";
one\tx\tCDS\t2001\t2300\t.\t+\t0\tgene_id "c"; transcript_id "c1";
one\tx\tCDS\t2101\t2300\t.\t+\t0\tgene_id "c"; transcript_id "c2";
one\tx\texon\t2201\t2400\t.\t-\t.\tgene_id "d"; transcript_id "d";
elsewhere\tx\texon\t1\t9\t.\t+\t.\tgene_id "e"; transcript_id "e";
"""


@pytest.fixture(scope="module")
def genes(genome, tmp_path_factory):
    path = tmp_path_factory.mktemp("genes") / "genes.gtf.gz"
    with gzip.open(path, "wt") as file:
        file.write(GTF)
    return read_genes(path, genome)


def test_the_phase_of_codons_by_hand(genome, genes):
    """Phases say how many bases come before the next codon; 1-based ends are included."""
    places = sample_places(genome, SPLIT, "train", ONE_BASE, 3000, [0])
    found = codon_phase(places, genes)
    by_place = {(s, m): v for s, m, v in zip(places.start, places.minus, found.values)}
    checked = 0
    for (start, minus), value in by_place.items():
        expected = np.nan
        if not minus and 110 <= start < 200:
            expected = (start - 110) % 3
        elif not minus and 300 <= start < 390:
            expected = (start - 302) % 3
        elif minus and 1000 <= start < 1300:
            expected = (1299 - start - 1) % 3
        elif not minus and 2000 <= start < 2100:
            expected = (start - 2000) % 3
        # From 2,100 on two transcripts differ by 100 bases: one in another frame.
        checked += np.isfinite(expected)
        assert value == pytest.approx(expected, nan_ok=True), (start, minus)
    assert checked > 100 and found.categories == ("first", "second", "third")


def test_the_strand_of_genes_by_hand(genome, genes):
    places = sample_places(genome, SPLIT, "train", ONE_BASE, 3000, [0])
    found = gene_strand(places, genes).values
    for start, minus, value in zip(places.start, places.minus, found):
        plus_gene = 100 <= start < 400 or 2000 <= start < 2300
        minus_gene = 1000 <= start < 1300 or 2200 <= start < 2400
        expected = np.nan if plus_gene == minus_gene else float(minus_gene == minus)
        assert value == pytest.approx(expected, nan_ok=True)


def test_an_annotation_of_other_contigs_is_refused(genome, tmp_path):
    path = tmp_path / "other.gtf"
    path.write_text(GTF.splitlines()[-1] + "\n")
    with pytest.raises(InputError, match="names contigs elsewhere; the FASTA has one, two"):
        read_genes(path, genome)
    alias = tmp_path / "alias.tsv"
    alias.write_text("elsewhere\ttwo\n")
    assert read_genes(path, genome, alias).spans["contig"].tolist() == ["two"]


def test_stretches_lie_apart_in_the_part():
    split = pd.DataFrame(
        [("one", 13, 50_000, "test"), ("two", 0, 90, "test"), ("two", 90, 9000, "train")],
        columns=["contig", "start", "end", "part"],
    )
    found = choose_stretches(split, "test", 6000, 10, 5)
    size = (found["end"] - found["start"]).to_numpy()
    assert set(found["contig"]) == {"one"} and len(set(size)) == 1
    assert 4000 <= size.sum() <= 8000
    assert (found["start"] % 10 == 0).all() and found["start"].min() >= 13
    assert found["end"].max() <= 50_000
    assert (found["start"].to_numpy()[1:] >= found["end"].to_numpy()[:-1]).all()
    everything = choose_stretches(split, "test", 10**9, 10, 5)
    assert (everything["end"] - everything["start"]).sum() > 45_000
