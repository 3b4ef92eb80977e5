"""Scored variants as other tools read them."""

from __future__ import annotations

import pandas as pd
import pysam
import pytest

import index_variants

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def run(folder, text, longest):
    (folder / "toy").mkdir()
    table = {"contig": ["a", "b"], "length": [longest, 50], "offset": [0, longest]}
    pd.DataFrame(table).to_csv(folder / "toy" / "contigs.tsv", sep="\t", index=False)
    (folder / "in.vcf").write_text(text)
    return index_variants.main(
        [
            *("--variants", str(folder / "in.vcf"), "--genome-folder", str(folder / "toy")),
            *("--output", str(folder / "out.vcf.gz")),
        ]
    )


def rows(*places):
    return "".join(f"{name}\t{position}\t.\tA\tG\t.\t.\t.\n" for name, position in places)


@pytest.mark.parametrize(("longest", "kinds"), [(1 << 29, {"csi"}), (1000, {"csi", "tbi"})])
def test_index_suits_the_longest_contig(tmp_path, longest, kinds):
    assert run(tmp_path, HEADER + rows(("a", 5), ("a", longest), ("b", 7)), longest) == 0
    found = {path.suffix[1:] for path in tmp_path.glob("out.vcf.gz.*")}
    assert found == kinds
    for kind in kinds:
        index = str(tmp_path / f"out.vcf.gz.{kind}")
        with pysam.TabixFile(str(tmp_path / "out.vcf.gz"), index=index) as file:
            (row,) = file.fetch("a", longest - 1, longest)
            assert row.split("\t")[1] == str(longest)
            assert len(list(file.fetch("b"))) == 1


def test_records_out_of_order_are_refused(tmp_path, capsys):
    assert run(tmp_path, HEADER + rows(("a", 9), ("b", 1), ("a", 5)), 1000) == 1
    assert "cannot be indexed" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.*"))


def test_missing_file_is_named(tmp_path, capsys):
    (tmp_path / "x").mkdir()
    assert run(tmp_path / "x", HEADER, 1000) == 0
    options = (
        "--genome-folder",
        str(tmp_path / "x" / "toy"),
        "--output",
        str(tmp_path / "o.vcf.gz"),
    )
    assert index_variants.main(["--variants", str(tmp_path / "no.vcf"), *options]) == 1
    assert "no.vcf does not exist" in capsys.readouterr().err
