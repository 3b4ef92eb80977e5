import pytest

from genomesieve.annotation import is_gff3, read_annotation
from genomesieve.errors import InputError


def write(tmp_path, rows, name):
    """Write rows of (feature, 1-based start, end, strand, attributes)."""
    path = tmp_path / name
    lines = [f"c\tx\t{kind}\t{a}\t{b}\t.\t{strand}\t.\t{text}" for kind, a, b, strand, text in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(tmp_path, rows, name):
    path = write(tmp_path, rows, name)
    return read_annotation(path, is_gff3(path))


def test_transcript_id_is_taken_where_it_stands_alone(tmp_path):
    traps = 'gene_id "g"; note "a; transcript_id b"; orig_transcript_id "no"; transcript_id "yes";'
    rows = [("gene", 1, 9, "+", 'transcript_id "";'), ("exon", 2, 5, "+", traps)]
    table = read(tmp_path, rows, "a.gtf").features
    assert table["transcript"].tolist() == ["yes"]
    assert table[["start", "end", "line"]].to_numpy().tolist() == [[1, 5, 2]]
    only = [("exon", 2, 5, "+", 'orig_transcript_id "no"; transcript_id "";')]
    with pytest.raises(InputError, match="line 1: exon without transcript_id"):
        read(tmp_path, only, "b.gtf")


def test_parents_of_gff3(tmp_path):
    """An exon of two transcripts; two products of one gene, told apart by their ID."""
    rows = [
        ("gene", 1, 99, "+", "ID=g"),
        ("mRNA", 1, 99, "+", "ID=m1;Parent=g"),
        ("exon", 1, 50, "+", "ID=e;Parent=m1,m2"),
        ("CDS", 1, 30, "+", "ID=p1;Parent=g"),
        ("CDS", 1, 60, "+", "ID=p2;Parent=g"),
        ("CDS", 1, 30, "+", "ID=part1;Parent=m1"),
        ("tRNA", 5, 9, "+", "ID=t;Parent=g"),
        ("exon", 5, 9, "+", "Parent=t"),
    ]
    table = read(tmp_path, rows, "a.gff3").features
    assert table["transcript"].tolist() == ["m1", "m2", "g p1", "g p2", "m1", "t"]
    assert table["transfer_rna"].tolist() == [False] * 5 + [True]
    with pytest.raises(InputError, match="line 1: exon without Parent"):
        read(tmp_path, [("exon", 1, 50, "+", "ID=e")], "b.gff3")


def test_what_is_skipped_is_counted(tmp_path):
    spliced = 'transcript_id "a"; exception "trans-splicing";'
    product = 'transcript_id "b"; product "trans-splicing factor"; transcript_biotype "tRNA";'
    rows = [
        *(("exon", 1, 5, strand, spliced) for strand in "+-"),
        ("exon", 1, 5, ".", product),
        ("exon", 1, 5, "?", product),
        ("exon", 1, 5, "+", product),
    ]
    found = read(tmp_path, rows, "a.gtf")
    assert found.skipped == {
        "annotation row of a trans-spliced transcript": 2,
        "annotation row without a strand": 2,
    }
    assert found.features["line"].tolist() == [5]
    assert found.features["transfer_rna"].tolist() == [True]


def test_transcript_that_says_it_is_trans_spliced_is_skipped_whole(tmp_path):
    rows = [
        ("region", 1, 99, "+", "ID=c;Is_circular=true"),
        ("mRNA", 1, 99, "+", "ID=m;exception=trans-splicing;part=1"),
        ("exon", 1, 5, "+", "Parent=m"),
        ("exon", 50, 60, "-", "Parent=m"),
        ("exon", 50, 60, "-", "Parent=n"),
    ]
    found = read(tmp_path, rows, "a.gff")
    assert found.features["transcript"].tolist() == ["n"]
    assert found.skipped == {"annotation row of a trans-spliced transcript": 2}
    assert found.circular == {"c"}


def test_sequence_at_the_end_of_gff3_is_not_read(tmp_path):
    path = write(tmp_path, [("exon", 1, 5, "+", "Parent=m")], "a.gff3")
    path.write_text(path.read_text() + "##FASTA\n>c\nACGT\n")
    assert len(read_annotation(path, gff3=True).features) == 1


@pytest.mark.parametrize(
    "text", ["1_1", " 11", "+11", "\uff11\uff11", "9" * 19, "1.0", ""], ids=ascii
)
def test_coordinates_that_other_tools_read_otherwise_are_refused(tmp_path, text):
    path = tmp_path / "genes.gtf"
    path.write_text(f'chr1\tx\texon\t{text}\t{text}\t.\t+\t.\ttranscript_id "t";\n')
    with pytest.raises(InputError, match="line 1: start"):
        read_annotation(path, gff3=False)


@pytest.mark.parametrize("parents", [",", "t1,", ",t1", "t1,,t2"])
def test_empty_name_among_parents_is_refused(tmp_path, parents):
    path = tmp_path / "genes.gff3"
    path.write_text(f"chr1\tx\texon\t1\t9\t.\t+\t.\tParent={parents}\n")
    with pytest.raises(InputError, match="line 1: Parent=.* holds an empty name"):
        read_annotation(path, gff3=True)


def test_annotation_of_trans_spliced_transcripts_alone_is_refused(tmp_path):
    path = tmp_path / "genes.gff3"
    path.write_text(
        "chr1\tx\tmRNA\t1\t9\t.\t+\t.\tID=t1;exception=trans-splicing\n"
        "chr1\tx\texon\t1\t9\t.\t+\t.\tParent=t1\n"
    )
    with pytest.raises(InputError, match="holds no exon and no CDS that can be used"):
        read_annotation(path, gff3=True)
