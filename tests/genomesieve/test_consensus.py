import numpy as np
import pandas as pd
import pytest

from bedtools_oracle import bedtools, random_intervals, write_bed, write_random_genome
from genomesieve.consensus import (
    codon_shares,
    gc_share,
    intron_ends,
    require_consensus,
    words_at,
)
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome


def test_gc_share_against_bedtools(tmp_path):
    folder = write_random_genome(tmp_path)
    table = random_intervals(4, 25, 61)
    write_bed(table, folder / "a.bed")
    rows = bedtools("bedtools nuc -fi g.fa -bed a.bed", folder)[1:]
    # Columns of `nuc` after the three of BED: %AT, %GC, A, C, G, T, N, other, length.
    counts = np.array([[int(cell) for cell in row[5:9]] for row in rows]).sum(axis=0)
    expected = (counts[1] + counts[2]) / counts.sum()
    genome = EncodedGenome.open(folder)
    assert gc_share(genome, table) == pytest.approx(expected, abs=1e-12)
    assert gc_share(genome, table[:0]) is None


def test_words_against_bedtools(tmp_path):
    folder = write_random_genome(tmp_path)
    genome = EncodedGenome.open(folder)
    sites = random_intervals(5, 50, 1).assign(strand=["+", "-"] * 25, name="x", score=0)
    sites["start"] = sites["start"].clip(lower=5)
    sites["end"] = sites["start"] + 1
    order = ["contig", "start", "end", "name", "score", "strand"]
    write_bed(sites[order], folder / "s.bed")
    rows = bedtools(
        "bedtools slop -s -l 2 -r 1 -g sizes -i s.bed | bedtools getfasta -s -tab -fi g.fa -bed -",
        folder,
    )
    words = words_at(genome, sites.rename(columns={"start": "position"}), (-2, -1, 0, 1))
    whole = [word for word, row in zip(words, rows) if len(row[1]) == 4]
    assert whole == [row[1] for row in rows if len(row[1]) == 4] and len(whole) > 40
    edge = pd.DataFrame({"contig": ["c2"], "position": [0], "strand": ["+"]})
    assert words_at(genome, edge, (-1,)) == ["N"]


def test_shares_of_consensus_on_both_strands(tmp_path):
    text = "CCGTAAAAGCCATGTAACCTCATTTGGCTTACCC"
    np.save(tmp_path / "codes.npy", np.array(["ACGT".index(x) for x in text], dtype=np.uint8))
    (tmp_path / "contigs.tsv").write_text(f"contig\tlength\toffset\nc\t{len(text)}\t0\n")
    genome = EncodedGenome.open(tmp_path)
    minus = (text.index("CTTAC"), text.index("CTTAC") + 5)  # GTAAG on the other strand
    introns = pd.DataFrame(
        [("c", 2, 9, "+"), ("c", *minus, "-")], columns=["contig", "start", "end", "strand"]
    )
    assert intron_ends(genome, introns) == {"gt_ag_share": 1.0, "gc_ag_or_at_ac_share": 0.0}
    assert intron_ends(genome, introns.assign(strand="+"))["gt_ag_share"] == 0.5
    starts = pd.DataFrame({"contig": "c", "position": [11, 22, 0], "strand": ["+", "-", "+"]})
    assert codon_shares(genome, starts, "start_codon") == {"atg_share": pytest.approx(2 / 3)}
    stops = pd.DataFrame({"contig": "c", "position": [14], "strand": ["+"]})
    assert codon_shares(genome, stops, "stop_codon") == {"stop_share": 1.0}


@pytest.mark.parametrize(
    ("shares", "counts", "refused"),
    [
        (
            {"gt_ag_share": 0.5, "gc_ag_or_at_ac_share": 0.29},
            {"introns": 20},
            "79.0% of 20 intr",
        ),
        ({"gt_ag_share": 0.5, "gc_ag_or_at_ac_share": 0.3}, {"introns": 20}, None),
        ({"gt_ag_share": 0.0, "gc_ag_or_at_ac_share": 0.0}, {"introns": 19}, None),
        ({"atg_share": 0.29}, {"start codons": 1000}, "29.0% of 1,000 start codons"),
        ({"stop_share": 0.1}, {"stop codons": 30}, "stop codons"),
        ({}, {"introns": 0}, None),
    ],
)
def test_sites_without_their_consensus_are_refused(shares, counts, refused):
    if refused is None:
        require_consensus(shares, counts, "x.gtf")
        return
    with pytest.raises(InputError, match=refused):
        require_consensus(shares, counts, "x.gtf")
