from collections import Counter

import numpy as np
import pandas as pd
import pytest

from genomesieve.annotation import Annotation
from genomesieve.errors import InputError
from genomesieve.transcripts import (
    check_transcripts,
    list_introns,
    sites_of_kind,
    splice_sites,
    start_codons,
    stop_codons,
)

BLANK = {
    **{"contig": "c", "phase": -1, "line": 1, "transcript": "t"},
    **{"pseudo": False, "open_low": False, "open_high": False, "transfer_rna": False},
}


def annotation(rows, gff3):
    """Make an annotation of rows (feature, start, end, strand), 0-based, with more by name."""
    table = [
        BLANK | dict(zip(("feature", "start", "end", "strand"), row[:4])) | (row[4:] or ({},))[0]
        for row in rows
    ]
    return Annotation(pd.DataFrame(table), Counter(), set(), gff3)


def positions(result):
    sites, dropped = result
    return sites["position"].tolist(), {key: count for key, count in dropped.items() if count}


def random_transcripts(seed):
    """Return coding parts of random transcripts, and their coding bases in order, by transcript."""
    generator = np.random.default_rng(seed)
    rows, order = [], {}
    for number in range(40):
        edges = np.sort(generator.choice(400, 2 * generator.integers(1, 6), replace=False))
        strand = "+-"[int(generator.integers(2))]
        name = {"transcript": f"t{number}"}
        bases = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist()):
            rows.append(("CDS", start, end, strand, name))
            bases += range(start, end)
        order[f"t{number}"] = bases if strand == "+" else bases[::-1]
    generator.shuffle(rows)
    return rows, order


@pytest.mark.parametrize("seed", range(5))
def test_codons_against_a_list_of_all_bases(seed):
    rows, order = random_transcripts(seed)
    starts, _ = start_codons(annotation(rows, gff3=True))
    stops, dropped = stop_codons(annotation(rows, gff3=True))
    assert set(starts["position"]) == {bases[0] for bases in order.values()}
    assert set(stops["position"]) == {bases[-3] for bases in order.values() if len(bases) > 2}
    assert sum(dropped.values()) == sum(len(bases) < 3 for bases in order.values())


@pytest.mark.parametrize("seed", range(5))
def test_stop_codon_after_the_coding_part_of_gtf(seed):
    """The exons are cut anew into a coding part that lacks the last bases."""
    rows, order = random_transcripts(seed)
    exons = [("exon", *row[1:]) for row in rows]
    generator = np.random.default_rng(seed)
    coding, expected = [], set()
    for row in exons:
        name = row[4]["transcript"]
        bases = order[name]
        if any(item[4]["transcript"] == name for item in coding) or len(bases) < 2:
            continue
        count = int(generator.integers(1, len(bases)))
        kept = set(bases[:count])
        coding += [("CDS", base, base + 1, row[3], row[4]) for base in kept]
        expected.add(bases[count])
    stops, dropped = stop_codons(annotation(exons + coding, gff3=False))
    assert set(stops["position"]) == expected
    assert sum(dropped.values()) == 0


def test_codons_that_the_file_names_are_believed():
    rows = [
        ("CDS", 10, 40, "+"),
        ("start_codon", 10, 13, "+"),
        ("stop_codon", 60, 62, "+"),
        ("stop_codon", 40, 41, "+"),
        ("CDS", 100, 140, "-", {"transcript": "incomplete"}),
    ]
    found = annotation(rows, gff3=False)
    start = "coding transcript without a complete start"
    assert positions(start_codons(found)) == ([10], {start: 1})
    stop = "coding transcript without a complete end"
    assert positions(stop_codons(found)) == ([40], {stop: 1})


def test_incomplete_coding_parts_give_no_codons():
    rows = [
        ("CDS", 10, 40, "+", {"open_low": True, "transcript": "a"}),
        ("CDS", 50, 90, "-", {"open_low": True, "transcript": "b"}),
        ("CDS", 100, 140, "+", {"phase": 2, "transcript": "c"}),
        ("CDS", 200, 240, "-", {"pseudo": True, "transcript": "d"}),
    ]
    found = annotation(rows, gff3=True)
    assert positions(start_codons(found)) == (
        [89],
        {"coding transcript without a complete start": 2, "coding part of a pseudogene": 1},
    )
    assert positions(stop_codons(found)) == (
        [37, 137],
        {"coding transcript without a complete end": 1, "coding part of a pseudogene": 1},
    )


def test_introns_of_overlapping_and_nested_exons():
    rows = [
        ("exon", 0, 50, "+"),
        ("exon", 10, 20, "+"),
        ("exon", 45, 60, "+"),
        ("exon", 60, 70, "+"),
        ("exon", 100, 120, "+"),
        ("exon", 0, 30, "+", {"transcript": "other"}),
    ]
    introns = list_introns(annotation(rows, gff3=False).features)
    assert introns[["start", "end"]].to_numpy().tolist() == [[70, 100]]


@pytest.mark.parametrize(("strand", "donor", "acceptor"), [("+", 69, 100), ("-", 100, 69)])
def test_splice_sites_are_bases_of_exons(strand, donor, acceptor):
    intron = pd.DataFrame({"contig": ["c"], "start": [70], "end": [100], "strand": [strand]})
    assert splice_sites(intron, "splice_donor")["position"].tolist() == [donor]
    assert splice_sites(intron, "splice_acceptor")["position"].tolist() == [acceptor]


def test_one_name_on_two_contigs_is_two_transcripts_and_on_two_strands_an_error():
    rows = [("exon", 0, 50, "+", {"line": 3}), ("exon", 90, 99, "+", {"contig": "d", "line": 4})]
    features, count = check_transcripts(annotation(rows, gff3=False).features, "x.gtf")
    assert count == 2 and list_introns(features).empty
    rows.append(("exon", 190, 199, "-", {"line": 9}))
    message = r"x\.gtf line 9: transcript 't' has exons on two strands \(the other on line 3\)"
    with pytest.raises(InputError, match=message):
        check_transcripts(annotation(rows, gff3=False).features, "x.gtf")


def test_unknown_kind_is_refused():
    with pytest.raises(InputError, match="'exon_start' is unknown; expected one of splice_donor"):
        sites_of_kind(annotation([("exon", 0, 9, "+")], gff3=False), pd.DataFrame(), "exon_start")
