"""The first look at a file of sites: counts against bedtools and by hand."""

import gzip

import numpy as np
import pandas as pd
import pybedtools
import pytest

from genomesieve.errors import InputError
from genomesieve.site_files import look_at, propose_aliases

LENGTHS = {"chr1": 1000, "chr2": 500}


@pytest.fixture
def peaks(tmp_path):
    """300 random intervals of three names, some overlapping, gzipped."""
    generator = np.random.default_rng(3)
    rows = []
    for _ in range(300):
        start, size = int(generator.integers(0, 900)), int(generator.integers(1, 9))
        name, strand = "abc"[generator.integers(3)], "+-"[generator.integers(2)]
        rows.append(f"chr1\t{start}\t{start + size}\t{name}\t0\t{strand}\n")
    path = tmp_path / "peaks.bed.gz"
    with gzip.open(path, "wt") as handle:
        handle.write("track name=peaks\n# comment\n\n" + "".join(rows))
    return path


def test_overlaps_are_those_that_bedtools_merges(peaks):
    file = look_at(peaks, "bed")
    merged = 0
    for _, rows in file.rows.groupby(["name", "strand"]):
        bed = pybedtools.BedTool.from_dataframe(rows[["contig", "start", "end"]]).sort()
        # Touching intervals do not overlap.
        merged += len(bed.merge(d=-1))
    assert file.overlapping() == len(file.rows) - merged > 20
    pybedtools.cleanup()


def test_what_the_rows_say(peaks):
    file = look_at(peaks, "bed")
    assert file.stranded and not file.is_annotation and file.names().total() == 300
    assert file.median_length == int((file.rows["end"] - file.rows["start"]).median())


def test_names_of_rows_are_no_classes(tmp_path):
    path = tmp_path / "a.bed"
    path.write_text("".join(f"chr1\t{n}\t{n + 1}\tpeak{n}\n" for n in range(40)))
    file = look_at(path, "bed")
    assert not file.names() and not file.stranded
    path.write_text("".join(f"chr1\t{n}\t{n + 1}\tone\n" for n in range(40)))
    assert not look_at(path, "bed").names()


def test_contigs_and_ends_that_do_not_fit_are_counted(tmp_path):
    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t1000\nchr1\t5\t1001\n2\t1\t2\n2\t499\t501\nX\t1\t2\n")
    file = look_at(path, "bed")
    assert file.unknown_contigs(LENGTHS, {"2": "chr2"}) == {"X": 1}
    assert file.unknown_contigs(LENGTHS, {}) == {"2": 2, "X": 1}
    assert file.beyond_ends(LENGTHS, {"2": "chr2"}) == 2


def test_annotations_are_looked_at_by_their_features(tmp_path):
    path = tmp_path / "a.gff3"
    row = "chr1\tx\t{}\t11\t20\t.\t-\t.\tParent=t\n"
    path.write_text("##gff-version 3\n" + row.format("gene") + row.format("exon") + "##FASTA\n>x\n")
    file = look_at(path, "gff3")
    assert file.is_annotation
    assert file.rows.to_dict("records") == [
        {"contig": "chr1", "start": 10, "end": 20, "name": "exon", "strand": "-"}
    ]


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        ("chr1\t5\n", "bed", "line 1: 2 columns; expected bed: 3 or more"),
        ("chr1\t5\tx\n", "bed", "line 1: start '5', end 'x'; expected whole numbers"),
        ("# nothing\n", "bed", "holds no row"),
        ("chr1\tx\texon\t1\t2\n", "gtf", "5 columns; expected gtf: 9"),
        ("c\tx\tgene\t1\t2\t.\t+\t.\tx\n", "gtf", "holds no row of exon, CDS"),
    ],
)
def test_rows_that_cannot_be_read_are_named(tmp_path, text, form, message):
    path = tmp_path / "a"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        look_at(path, form)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("found", "known", "aliases"),
    [
        (["1", "2"], ["chr1", "chr2"], {"1": "chr1", "2": "chr2"}),
        (["chr1", "chrM"], ["1", "MT"], {"chr1": "1", "chrM": "MT"}),
        (["chrI", "chrMito"], ["I", "Mito"], {"chrI": "I", "chrMito": "Mito"}),
        (["NC_1.2"], ["NC_1"], {"NC_1.2": "NC_1"}),
        (["chr1", "1"], ["chr1"], {}),
        (["1"], ["chr1", "Chr1"], {}),
        (["X"], ["Y"], {}),
    ],
)
def test_contigs_that_are_called_otherwise_are_found(found, known, aliases):
    assert propose_aliases(found, known) == aliases


def test_columns_are_those_that_later_steps_ask_for(peaks):
    rows = look_at(peaks, "bed").rows
    assert list(rows.columns) == ["contig", "start", "end", "name", "strand"]
    assert pd.api.types.is_integer_dtype(rows["start"])
