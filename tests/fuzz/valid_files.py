"""Small valid files of every format that users bring, on one small genome."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pysam

from genomesieve.genome import EncodedGenome

LENGTHS = {"chr1": 600, "chr2": 300, "chr3": 41}
ALIASES = {"1": "chr1", "two": "chr2"}

BED = b"""track name=known
# a comment
chr1\t10\t20\tdonor\t0\t+
chr1\t15\t16\tacceptor\t0\t-
1\t100\t200\tdonor\t12\t.
chr2\t0\t300
"""
NARROW_PEAK = b"""chr1\t10\t110\tpeak1\t500\t.\t7.5\t5.1\t3.2\t40
chr2\t0\t300\tpeak2\t1000\t.\t9\t-1\t-1\t-1
two\t5\t6\tpeak3\t0\t+\t1\t-1\t-1\t0
"""
BROAD_PEAK = b"""chr1\t10\t110\tbroad1\t500\t.\t7.5\t5.1\t3.2
chr3\t0\t41\tbroad2\t1000\t-\t9\t-1\t-1
"""


def _gtf(feature: str, start: int, end: int, strand: str, name: str, phase: str = ".") -> str:
    """Write a row of GTF."""
    text = f'gene_id "g"; transcript_id "{name}";'
    return "\t".join(["chr1", "x", feature, str(start), str(end), ".", strand, phase, text])


GTF = "\n".join(
    [
        "#!genome-build toy",
        _gtf("transcript", 11, 400, "+", "t1"),
        _gtf("exon", 11, 60, "+", "t1"),
        _gtf("exon", 101, 200, "+", "t1"),
        _gtf("exon", 301, 400, "+", "t1"),
        _gtf("CDS", 31, 60, "+", "t1", "0"),
        _gtf("CDS", 101, 160, "+", "t1", "0"),
        _gtf("start_codon", 31, 33, "+", "t1", "0"),
        _gtf("stop_codon", 161, 163, "+", "t1", "0"),
        _gtf("exon", 401, 450, "-", "t2"),
        _gtf("exon", 501, 600, "-", "t2"),
        _gtf("CDS", 410, 450, "-", "t2", "1"),
        "",
    ]
).encode()

GFF3 = b"""##gff-version 3
chr1\tx\tregion\t1\t600\t.\t+\t.\tID=r;Is_circular=true
chr1\tx\tgene\t11\t400\t.\t+\t.\tID=g1
chr1\tx\tmRNA\t11\t400\t.\t+\t.\tID=t1;Parent=g1
chr1\tx\texon\t11\t60\t.\t+\t.\tParent=t1
chr1\tx\texon\t101\t200\t.\t+\t.\tParent=t1,t3
chr1\tx\tCDS\t31\t60\t.\t+\t0\tID=c;Parent=t1
chr1\tx\tCDS\t101\t163\t.\t+\t0\tID=c;Parent=t1;start_range=.,101
chr2\tx\tCDS\t21\t80\t.\t-\t0\tID=c2;pseudo=true
chr2\tx\texon\t100\t150\t.\t-\t.\tID=e;Parent=t4;exception=trans-splicing
chr2\tx\texon\t100\t150\t.\t-\t.\tID=e;Parent=t5
chr2\tx\texon\t200\t250\t.\t-\t.\tID=e;Parent=t5
"""

FASTA = b""">chr1 first one
ACGTNNNNACGTRYKM
acgtacgtnnACGT

>chr2
GATTACA
>chr3\tlast
C
"""
ALIAS = b"# elsewhere\there\n1\tchr1\ntwo\tchr2\nchrUn\tchr3\n"
MOTIFS = b""">MA0139.2\tCTCF
A  [   87    167    281 ]
C  [  291    145     49 ]
G  [   76    414    449 ]
T  [  459    187    134 ]
>MA0002.1 RUNX1
A [ 1 2 3 4 ]
C [ 0 0 0 0 ]
G [ 1.5 2 3 4 ]
T [ 1e1 2 3 4 ]
"""
REGIONS = b"chr1:0-100\nchr1:1,00-2_00\nchr2\nchr3:0-41"

GENOMES = """genome\tfasta\tannotation\tregions\talias\tshards
toy\ttoy.fa\ttoy.gtf\tchr1:0-100,chr2\t\t2
new\tnew.fa\t\t\talias.tsv\t
"""
TRACKS = """track\tgenome\tfile\tformat\trole\tclass\tstrand\tanchor\tbatch
known\ttoy\tsites.bed\tbed\tsite\tdonor\tcolumn\tmiddle\tlab1
mask\ttoy\tmask.bed\t\tignore\t\t\t\t
open\ttoy\topen.bw\tbigwig\tsignal\t\t\t\t
open\tnew\topen.bw\tauto\tsignal\t\t\t\t
depth\ttoy\tdepth.bw\tbigwig\tauxiliary\t\t\t\t
"""
CONFIG = {
    "genomes": "genomes.tsv",
    "tracks": "tracks.tsv",
    "device": "cpu",
    "shards": 2,
    "packages": {"data": {"version": "0.1", "sha256": "ab" * 32, "files": ["toy.fa.gz"]}},
    "downloads": {"toy.fa.gz": {"url": "https://example.org/toy.fa.gz", "sha256": "cd" * 32}},
    "screens": {
        "splice": {
            "title": "A screen",
            "notes": ["Read with care."],
            "classes": {"donor": {"stranded": True, "site": "splice_donor", "min_distance": 1}},
            "labels": "exclusive",
            "train_genomes": ["toy"],
            "scan_genomes": ["toy", "new"],
            "scan_parts": ["test"],
            "signals": ["open"],
            "scan": {"memory_gb": 2, "precision": "auto", "bigwigs": ["donor"]},
            "split": {"toy": {"contigs": {"train": ["chr1"], "test": ["chr2:0-100"]}}},
            "ignore_margin": 3,
            "sampling": {"length": 1000, "windows": 10, "sources": {"sites": 0.5, "uniform": 0.5}},
            "reverse_complement": "augment",
            "model": {"preset": "dilated", "channels": 8, "stem_kernels": [9], "dilations": [1]},
            "stem_motifs": {"motifs": "m.txt", "matrices": ["CTCF"]},
            "training": {"steps": 10, "batch": 4, "learning_rate": 0.01, "freeze": ["stem"]},
            "auxiliary": {"gc": {"property": "gc"}, "depth": {"track": "depth", "weight": 0.2}},
            "calibration": {"precision_targets": [0.9, 0.5], "operating": 0.5},
            "evaluation": {"bootstrap": 100},
            "baselines": {"pwm": {}, "kmer": {"k": 3, "edges": [-4, 0, 4]}},
            "seeds": [0, 1],
            "hard_negatives": {"rounds": 1, "share": 0.2},
        }
    },
}


def small_genome() -> EncodedGenome:
    """Return a random genome of the contigs above, in memory."""
    codes = np.random.default_rng(0).integers(0, 4, sum(LENGTHS.values()), dtype=np.uint8)
    lengths = np.array(list(LENGTHS.values()))
    table = {"contig": list(LENGTHS), "length": lengths, "offset": np.cumsum(lengths) - lengths}
    return EncodedGenome("toy", codes, pd.DataFrame(table))


def gzipped(content: bytes) -> bytes:
    """Return content as gzip."""
    return gzip.compress(content, mtime=0)


def bgzipped(content: bytes) -> bytes:
    """Return content as bgzip, as htslib writes it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "plain", Path(folder) / "packed.gz"
        plain.write_bytes(content)
        pysam.tabix_compress(str(plain), str(packed))
        return packed.read_bytes()
