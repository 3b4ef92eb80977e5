import errno
import gzip
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import encode_genome
import extract_sites
from genomesieve.alphabet import DNA

SPLICE = {
    "donor": {"stranded": True, "site": "splice_donor"},
    "acceptor": {"stranded": True, "site": "splice_acceptor"},
}
PEAKS = {"x": {"stranded": False, "site": None}}


@pytest.fixture
def genome(tmp_path):
    folder = tmp_path / "genome"
    folder.mkdir()
    np.save(folder / "codes.npy", np.random.default_rng(0).integers(0, 4, 1200, dtype=np.uint8))
    (folder / "contigs.tsv").write_text("contig\tlength\toffset\nchr1\t1000\t0\nchr2\t200\t1000\n")
    return folder


def run(genome, classes, *extra):
    out = genome.parent / "out"
    code = extract_sites.main(
        [
            *("--genome", "toy", "--genome-folder", str(genome)),
            *("--classes", json.dumps(classes), "--sites", str(out / "sites.parquet")),
            *("--intervals", str(out / "intervals.parquet"), "--summary", str(out / "s.json")),
            *extra,
        ]
    )
    assert out.exists() == (code == 0)
    return code


def read(genome, name="sites.parquet"):
    return pd.read_parquet(genome.parent / "out" / name)


def summary(genome):
    return json.loads((genome.parent / "out" / "s.json").read_text())


def gtf(genome, rows, name="genes.gtf"):
    """Write rows of (feature, 1-based start, end, strand, transcript)."""
    path = genome.parent / name
    form = 'transcript_id "{}"; gene_id "g";' if "gtf" in name else "ID=x;Parent={}"
    lines = [
        f"{row[5] if len(row) > 5 else 'chr1'}\tt\t{row[0]}\t{row[1]}\t{row[2]}\t.\t{row[3]}\t.\t"
        + form.format(row[4])
        for row in rows
    ]
    path.write_text("# comment\n" + "\n".join(lines) + "\n")
    return path


def track(genome, text, name="peaks.bed", **changed):
    path = genome.parent / name
    path.write_text(text)
    row = {"track": "t", "file": str(path), "format": "auto", "role": "site", "class": "x"}
    return json.dumps([row | changed])


def test_donor_is_the_last_exon_base_and_acceptor_the_first(genome):
    rows = [("exon", 101, 150, s, t) for s, t in (("+", "a"), ("-", "b"))]
    rows += [("exon", 201, 260, s, t) for s, t in (("+", "a"), ("-", "b"))]
    rows += [("exon", 101, 150, "+", "isoform"), ("exon", 201, 300, "+", "isoform")]
    assert run(genome, SPLICE, "--annotation", str(gtf(genome, rows))) == 0
    found = {tuple(row) for row in read(genome)[["class", "strand", "position"]].to_numpy()}
    # Intron [150, 200), 0-based half-open.
    assert found == {
        ("donor", "+", 149),
        ("acceptor", "+", 200),
        ("donor", "-", 200),
        ("acceptor", "-", 149),
    }


def test_short_introns_are_dropped_and_counted(genome):
    rows = [
        ("exon", 101, 150, "+", "a"),
        ("exon", 160, 200, "+", "a"),
        ("exon", 301, 320, "+", "a"),
    ]
    assert run(genome, SPLICE, "--annotation", str(gtf(genome, rows))) == 0
    assert len(read(genome)) == 2
    assert summary(genome)["dropped"] == {"intron shorter than 20 bp": 1}


@pytest.mark.parametrize("name", ["genes.gtf", "genes.gff3"])
def test_starts_and_stops_of_both_strands(genome, name):
    """A stop codon that an intron splits; GFF3 has it inside the CDS, GTF as features."""
    gff = name.endswith("gff3")
    rows = [("exon", 91, 150, "+", "a"), ("exon", 201, 260, "+", "a")]
    rows += [("CDS", 101, 149 + gff, "+", "a")]
    rows += [("CDS", 201, 202, "+", "a")] if gff else []
    rows += [("exon", 391, 460, "-", "b"), ("CDS", 401 + 3 * (not gff), 430, "-", "b")]
    if not gff:
        rows += [("stop_codon", 150, 150, "+", "a"), ("stop_codon", 201, 202, "+", "a")]
        rows += [("stop_codon", 401, 403, "-", "b")]
    classes = {
        kind: {"stranded": True, "site": kind}
        for kind in ("transcription_start", "start_codon", "stop_codon")
    }
    assert run(genome, classes, "--annotation", str(gtf(genome, rows, name))) == 0
    found = {tuple(row) for row in read(genome)[["class", "strand", "position"]].to_numpy()}
    assert found == {
        ("transcription_start", "+", 90),
        ("transcription_start", "-", 459),
        ("start_codon", "+", 100),
        ("start_codon", "-", 429),
        ("stop_codon", "+", 149),
        ("stop_codon", "-", 402),
    }


def test_anchors_of_intervals(genome):
    text = "chr1\t10\t20\tn\t0\t-\nchr1\t30\t31\tn\t0\t+\n"
    expected = {"": [14, 30], "middle": [14, 30], "start": [19, 30], "end": [10, 30]}
    for anchor, positions in expected.items():
        assert run(genome, PEAKS, "--tracks", track(genome, text, anchor=anchor)) == 0
        assert read(genome)["position"].tolist() == positions
        assert set(read(genome)["strand"]) == {"."}
        for path in (genome.parent / "out").iterdir():
            path.unlink()
        (genome.parent / "out").rmdir()


def test_summit_of_narrow_peaks(genome):
    rows = [f"chr1\t{at}\t{at + 50}\tp\t0\t.\t1\t1\t1\t{s}" for at, s in ((100, 7), (300, -1))]
    tracks = track(genome, "\n".join(rows) + "\n", "peaks.narrowPeak")
    assert run(genome, PEAKS, "--tracks", tracks) == 0
    assert read(genome)["position"].tolist() == [107, 324]


def test_classes_by_column_and_excluded_intervals_against_bedtools(genome):
    generator = np.random.default_rng(1)
    starts = generator.integers(0, 990, 200)
    rows = [f"chr1\t{s}\t{s + 5}\t{'xyz'[i % 3]}" for i, s in enumerate(starts)]
    hidden = [(int(s), int(s) + 40) for s in generator.integers(0, 950, 8)]
    sites, mask = genome.parent / "sites.bed", genome.parent / "mask.bed"
    sites.write_text("\n".join(rows) + "\n")
    mask.write_text("".join(f"chr1\t{a}\t{b}\n" for a, b in hidden))
    tracks = [
        {"track": "s", "file": str(sites), "role": "site", "class": "column:4"},
        {"track": "m", "file": str(mask), "role": "exclude", "class": ""},
    ]
    classes = {"x": {"stranded": False}, "y": {"stranded": False}}
    assert run(genome, classes, "--tracks", json.dumps(tracks)) == 0
    dropped = summary(genome)["dropped"]
    assert dropped["track row of a class that the screen has not"] == 66
    merged = subprocess.run(
        f"sort -k1,1 -k2,2n {mask} | bedtools merge -i -",
        shell=True,
        capture_output=True,
        text=True,
    ).stdout
    expected = [tuple(line.split("\t")) for line in merged.splitlines()]
    intervals = read(genome, "intervals.parquet")
    found = list(zip(intervals["contig"], map(str, intervals["start"]), map(str, intervals["end"])))
    assert found == expected
    for position in read(genome)["position"]:
        assert not any(a <= position < b for a, b in hidden)


def test_regions_limit_the_sites(genome):
    text = "chr1\t10\t11\nchr1\t500\t501\nchr2\t5\t6\n"
    regions = '["chr1:0-100", "chr2"]'
    assert run(genome, PEAKS, "--tracks", track(genome, text), "--regions", regions) == 0
    assert read(genome)[["contig", "position"]].to_numpy().tolist() == [["chr1", 10], ["chr2", 5]]
    assert summary(genome)["dropped"] == {"site outside the regions": 1}


BAD_BED = {
    "start after end": ("chr1\t20\t10\n", "line 1"),
    "empty": ("chr1\t10\t10\n", "expected 0 <= start < end"),
    "negative": ("chr1\t5\t6\nchr1\t-5\t6\n", "line 2"),
    "beyond": ("chr2\t190\t201\n", "beyond contig chr2"),
    "columns": ("chr1\t5\n", "2 columns"),
    "letters": ("chr1\tfive\t6\n", "whole numbers"),
    "contig": ("chr1\t5\t6\nchrX\t5\t6\n", "'chrX' is not in the genome"),
    "nothing": ("# only a comment\n", "no site of class x"),
}


@pytest.mark.parametrize("kind", BAD_BED)
def test_bad_bed_is_named(genome, capsys, kind):
    text, message = BAD_BED[kind]
    assert run(genome, PEAKS, "--tracks", track(genome, text)) == 1
    error = capsys.readouterr().err
    assert message in error and "expected" in error
    assert "peaks.bed line" in error or kind == "nothing"


def test_missing_strand_is_an_error(genome, capsys):
    classes = {"x": {"stranded": True}}
    assert run(genome, classes, "--tracks", track(genome, "chr1\t5\t6\tn\t0\t.\n")) == 1
    assert "no strand" in capsys.readouterr().err


def test_exclusive_classes_that_overlap_are_refused(genome, capsys):
    tracks = track(genome, "chr1\t12\t13\tx\nchr1\t18\t19\ty\n", **{"class": "column:4"})
    classes = {"x": {}, "y": {}}
    options = ("--tracks", tracks, "--labels", "exclusive", "--resolution")
    assert run(genome, classes, *options, "10") == 1
    assert "x and y at chr1:10" in capsys.readouterr().err
    assert run(genome, classes, *options, "5") == 0


BAD_GTF = {
    "transcript": ([("exon", 1, 5, "+", "")], "line 2: exon without transcript_id"),
    "strands": (
        [("exon", 1, 5, "+", "a"), ("exon", 50, 90, "-", "a")],
        "'a' has exons on two strands",
    ),
    "coordinates": ([("exon", 9, 5, "+", "a")], "line 2"),
    "strand": ([("exon", 1, 5, "x", "a")], "expected + or -"),
    "beyond": ([("exon", 1, 5000, "+", "a")], "beyond contig chr1"),
    "names": ([("exon", 1, 5, "+", "a", "1")], "table of aliases"),
    "features": ([("gene", 1, 5, "+", "a")], "no exon"),
}


@pytest.mark.parametrize("kind", BAD_GTF)
def test_bad_annotation_is_named(genome, capsys, kind):
    rows, message = BAD_GTF[kind]
    assert run(genome, SPLICE, "--annotation", str(gtf(genome, rows))) == 1
    error = capsys.readouterr().err
    assert message in error and "genes.gtf" in error and "xpected" in error


def test_aliases_join_other_names(genome):
    rows = [("exon", 1, 50, "+", "a", "1"), ("exon", 101, 150, "+", "a", "1")]
    alias = genome.parent / "alias.tsv"
    alias.write_text("1\tchr1\n")
    path = gtf(genome, rows)
    assert run(genome, SPLICE, "--annotation", str(path), "--alias", str(alias)) == 0
    assert set(read(genome)["contig"]) == {"chr1"}


def test_truncated_and_missing_files_are_named(genome, capsys):
    path = genome.parent / "cut.gtf.gz"
    path.write_bytes(gzip.compress(b"chr1\tt\texon\t1\t5\n" * 999)[:-20])
    assert run(genome, SPLICE, "--annotation", str(path)) == 1
    error = capsys.readouterr().err
    assert "cut.gtf.gz" in error and "truncated" in error
    assert run(genome, SPLICE, "--annotation", "nowhere.gtf") == 1
    assert "nowhere.gtf does not exist" in capsys.readouterr().err


def encode(fasta, home):
    """Encode a real genome."""
    options = {"--genome": "real", "--fasta": fasta, "--codes": home / "codes.npy"}
    options |= {"--contigs": home / "contigs.tsv", "--softmask": home / "softmask.parquet"}
    options |= {"--summary": home / "summary.json"}
    assert encode_genome.main([str(item) for pair in options.items() for item in pair]) == 0


def independent_introns(path):
    """Introns of a GTF, read without any of our code: (contig, start, end, strand), 0-based."""
    exons = {}
    with gzip.open(path, "rt") as handle:
        for line in handle:
            cells = line.split("\t")
            if line[0] != "#" and cells[2] == "exon" and 'biotype "tRNA"' not in line:
                name = line.split('transcript_id "')[1].split('"')[0]
                exons.setdefault((cells[0], name, cells[6]), []).append(
                    (int(cells[3]) - 1, int(cells[4]))
                )
    introns = set()
    for (contig, _, strand), parts in exons.items():
        parts.sort()
        for (_, end), (start, _) in zip(parts, parts[1:]):
            if start - end >= 20:
                introns.add((contig, end, start, strand))
    return introns


@pytest.mark.parametrize("name", ["drosophila_chr4_family", "arabidopsis_thaliana"])
def test_real_annotation_against_an_independent_reading(shared_data, tmp_path, name):
    folder = shared_data / name
    path = sorted(folder.glob("*.gtf.gz"))[0]
    stem = path.name.removesuffix(".gtf.gz")
    fasta = folder / f"{stem}.fa.gz"
    home = tmp_path / "genome"
    encode(fasta, home)
    assert run(home, SPLICE, "--annotation", str(path), "--labels", "exclusive") == 0
    introns = independent_introns(path)
    sites = read(home)
    expected = set()
    for contig, start, end, strand in introns:
        first, last = ("donor", "acceptor") if strand == "+" else ("acceptor", "donor")
        expected |= {(contig, start - 1, strand, first), (contig, end, strand, last)}
    found = {tuple(row) for row in sites[["contig", "position", "strand", "class"]].to_numpy()}
    assert found == expected
    assert summary(home)["introns"] == len(introns)
    assert summary(home)["gt_ag_share"] >= 0.98
    codes = np.load(home / "codes.npy")
    offsets = pd.read_csv(home / "contigs.tsv", sep="\t").set_index("contig")["offset"]
    plus = sites[(sites["class"] == "donor") & (sites["strand"] == "+")]
    at = plus["contig"].map(offsets).to_numpy() + plus["position"].to_numpy()
    gt = (codes[at + 1] == DNA.encode("G")[0]) & (codes[at + 2] == DNA.encode("T")[0])
    assert gt.mean() >= 0.95


def test_introns_of_transfer_rna_and_trans_spliced_rows_are_counted(genome):
    path = gtf(genome, [("exon", 101, 150, "+", "a"), ("exon", 201, 260, "+", "a")])
    row = 'chr1\tt\texon\t{}\t{}\t.\t+\t.\ttranscript_id "{}"; {};\n'
    more = [(301, 340, "t", 'transcript_biotype "tRNA"'), (401, 440, "t", 'gene_biotype "tRNA"')]
    more += [(501, 540, "u", 'exception "trans-splicing"')]
    path.write_text(path.read_text() + "".join(row.format(*item) for item in more))
    path.write_text(path.read_text() + row.replace("\t+\t", "\t.\t").format(1, 9, "v", "x 1"))
    assert run(genome, SPLICE, "--annotation", str(path)) == 0
    assert sorted(read(genome)["position"]) == [149, 200]
    assert summary(genome)["dropped"] == {
        "annotation row of a trans-spliced transcript": 1,
        "annotation row without a strand": 1,
        "intron of a tRNA": 1,
    }


def test_rows_on_contigs_that_the_genome_lacks_are_counted(genome):
    rows = [("exon", 101, 150, "+", "a"), ("exon", 201, 260, "+", "a")]
    rows += [("exon", 1, 50, "+", "b", "chrUn"), ("exon", 101, 150, "+", "b", "chrUn")]
    assert run(genome, SPLICE, "--annotation", str(gtf(genome, rows))) == 0
    assert summary(genome)["dropped"] == {"annotation row on a contig that the FASTA lacks": 2}


def test_rows_across_the_origin_of_a_circular_contig_are_counted(genome):
    path = gtf(genome, [("CDS", 101, 160, "+", "a"), ("CDS", 950, 1030, "+", "b")], "g.gff3")
    classes = {"start": {"stranded": True, "site": "start_codon"}}
    text = path.read_text()
    path.write_text("chr1\tt\tregion\t1\t1000\t.\t+\t.\tID=r;Is_circular=true\n" + text)
    assert run(genome, classes, "--annotation", str(path)) == 0
    assert read(genome)["position"].tolist() == [100]
    reason = "annotation row across the origin of a circular contig"
    assert summary(genome)["dropped"] == {reason: 1}


def test_annotation_as_a_track_gives_its_class_alone(genome):
    path = gtf(genome, [("exon", 101, 150, "+", "a"), ("exon", 201, 260, "+", "a")])
    bed = genome.parent / "more.bed"
    bed.write_text("chr2\t7\t8\tn\t0\t-\n")
    tracks = [
        {"track": "genes", "file": str(path), "role": "site", "class": "donor", "batch": "7"},
        {"track": "more", "file": str(bed), "role": "site", "class": "acceptor"},
    ]
    assert run(genome, SPLICE, "--tracks", json.dumps(tracks)) == 0
    assert read(genome)[["position", "class", "track", "batch"]].to_numpy().tolist() == [
        [149, "donor", "genes", "7"],
        [7, "acceptor", "more", ""],
    ]


def test_site_named_twice_keeps_its_widest_interval(genome):
    assert run(genome, PEAKS, "--tracks", track(genome, "chr1\t9\t12\nchr1\t5\t16\n")) == 0
    assert read(genome)[["position", "start", "end"]].to_numpy().tolist() == [[10, 5, 16]]
    assert summary(genome)["dropped"] == {"site named more than once": 1}


def test_sites_in_the_last_incomplete_bin_are_counted(genome):
    text = "chr1\t980\t981\nchr1\t990\t991\n"
    assert run(genome, PEAKS, "--tracks", track(genome, text), "--resolution", "30") == 0
    assert read(genome)["position"].tolist() == [980]
    assert summary(genome)["dropped"] == {"site in the last, incomplete bin of a contig": 1}


BAD_TRACKS = {
    "role": ({"role": "mask"}, "role 'mask'; expected one of site"),
    "class": ({"class": "z"}, "class 'z'; expected one of x, column:4"),
    "column": ({"class": "column:5"}, "class 'column:5'"),
    "anchor": ({"anchor": "summit"}, "needs narrowPeak"),
    "format": ({"format": "bedd"}, "format 'bedd'; expected one of nothing, auto, bed"),
    "strand": ({"strand": "plus"}, "strand 'plus'; expected one of nothing, +, -, ."),
    "file": ({"file": ""}, "lacks file"),
    "number": ({"batch": 5}, "expected a table of text"),
    "annotation": ({"format": "gtf"}, "class 'x' names no `site`"),
    "mask": ({"format": "gtf", "role": "ignore", "class": ""}, "role ignore needs BED"),
}


@pytest.mark.parametrize("kind", BAD_TRACKS)
def test_bad_track_is_named(genome, capsys, kind):
    changed, message = BAD_TRACKS[kind]
    assert run(genome, PEAKS, "--tracks", track(genome, "chr1\t5\t6\n", **changed)) == 1
    assert message in capsys.readouterr().err


BAD_OPTIONS = {
    "classes": ("--classes", "[]", "--classes: found []; expected a table of one class or more"),
    "class": ("--classes", '{"x": 5}', "--classes: x is 5; expected a table of settings"),
    "stranded": ("--classes", '{"x": {"stranded": "no"}}', "x.stranded is 'no'; expected true or"),
    "tracks": ("--tracks", '{"track": "t"}', "--tracks: found {'track': 't'}; expected a list"),
    "regions": ("--regions", "[5]", "regions of genome toy: found [5]; expected a list of text"),
    "overlap": ("--regions", '["chr1:0-10", "chr1:5-20"]', "overlaps another that ends at 10"),
    "resolution": ("--resolution", "0", "--resolution: found 0; expected at least 1"),
    "margin": ("--ignore-margin", "-1", "--ignore-margin: found -1; expected at least 0"),
    "intron": ("--min-intron", "0", "--min-intron: found 0; expected at least 1"),
}


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_bad_option_is_named(genome, capsys, kind):
    option, value, message = BAD_OPTIONS[kind]
    tracks = ("--tracks", track(genome, "chr1\t5\t6\n"))
    assert run(genome, PEAKS, *tracks, f"{option}={value}") == 1
    assert message in capsys.readouterr().err


def test_full_disk_leaves_nothing(genome, capsys, monkeypatch):
    """The last of the three files fails; the first two do not stay either."""

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(extract_sites, "write_json", fail)
    out = genome.parent / "out"
    out.mkdir()
    options = ["--genome", "toy", "--genome-folder", str(genome), "--classes", json.dumps(PEAKS)]
    options += ["--tracks", track(genome, "chr1\t5\t6\n"), "--summary", str(out / "s.json")]
    options += ["--sites", str(out / "s.parquet"), "--intervals", str(out / "i.parquet")]
    assert extract_sites.main(options) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(out.iterdir())


def test_real_yeast_tracks_and_introns(shared_data, tmp_path):
    folder = shared_data / "saccharomyces_cerevisiae_R64"
    home = tmp_path / "genome"
    encode(folder / "R64-1-1.fa.gz", home)
    bed = folder / "rossi2021_chexmix_all.bed.gz"
    tracks = [{"track": "rossi", "file": str(bed), "role": "site", "class": "column:4"}]
    classes = {name: {"stranded": False} for name in ("Reb1", "Abf1", "Rap1")}
    assert run(home, classes, "--tracks", json.dumps(tracks)) == 0
    with gzip.open(bed, "rt") as handle:
        rows = [line.rstrip("\n").split("\t") for line in handle]
    expected = {(row[0], int(row[1]), row[3]) for row in rows if row[3] in classes}
    found = read(home)[["contig", "position", "class"]].to_numpy()
    assert {tuple(row) for row in found} == expected and len(found) == len(expected)
    annotation = folder / "R64.ncbi.gff3.gz"
    shutil.rmtree(tmp_path / "out")
    assert run(home, SPLICE, "--annotation", str(annotation)) == 0
    facts = summary(home)
    assert facts["dropped"]["intron of a tRNA"] == 60
    assert facts["gt_ag_share"] + facts["gc_ag_or_at_ac_share"] >= 0.98


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "extract_sites.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--min-intron" in done.stdout


def test_annotation_of_another_assembly_is_refused(shared_data, tmp_path, capsys):
    """The genes of one fly on chromosome 4 of its relative: names are mapped, places are wrong."""
    folder = shared_data / "drosophila_chr4_family"
    home = tmp_path / "genome"
    encode(folder / "DmelanDM6.chr4.fa.gz", home)
    (contig,) = pd.read_csv(home / "contigs.tsv", sep="\t")["contig"]
    annotation = folder / "DsimulPrinDsim.chr4.gtf.gz"
    with gzip.open(annotation, "rt") as lines:
        other = next(line.split("\t")[0] for line in lines if not line.startswith("#"))
    alias = tmp_path / "alias.tsv"
    alias.write_text(f"{other}\t{contig}\n")
    given = ("--annotation", str(annotation), "--alias", str(alias), "--labels", "exclusive")
    assert run(home, SPLICE, *given) == 1
    message = capsys.readouterr().err
    assert str(annotation) in message and "another assembly" in message and "introns" in message
    assert run(home, SPLICE, *given, "--check-consensus", "false") == 0
    assert summary(home)["gt_ag_share"] < 0.2
