"""Where benchmarks look for real genomes: at GENOMESIEVE_DATA, or where the tests do."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("GENOMESIEVE_DATA", ROOT.parent / "shared" / "data"))
ARABIDOPSIS_FASTA = DATA / "arabidopsis_thaliana" / "TAIR10.1_chr1.fa.gz"
ARABIDOPSIS_GTF = DATA / "arabidopsis_thaliana" / "TAIR10.1_chr1.gtf.gz"
ARABIDOPSIS_CONTIG = "NC_003070.9"
