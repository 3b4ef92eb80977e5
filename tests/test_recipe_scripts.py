"""Scripts of recipes that turn published files into genomes and sites."""

import subprocess
import sys

import numpy as np
import pytest


def convert(repository, folder, *rows):
    table = folder / "table.csv"
    table.write_text("sequence,label\n" + "\n".join(rows) + "\n")
    command = [sys.executable, str(repository / "config" / "recipes" / "labelled_records.py")]
    command += ["--table", f"valid+calibrate={table}", "--table", f"test={table}"]
    command += ["--fasta", str(folder / "made" / "x.fa"), "--sites", str(folder / "made" / "x.bed")]
    return subprocess.run(command, capture_output=True, text=True)


def test_records_become_contigs(repository, tmp_path):
    assert convert(repository, tmp_path, "ACGTA,1", "TTTTT,0", "CCCCC,1").returncode == 0
    lines = (tmp_path / "made" / "x.fa").read_text().split()
    assert lines[:6] == [">valid_0", "ACGTA", ">calibrate_1", "TTTTT", ">valid_2", "CCCCC"]
    assert lines[6:] == [">test_0", "ACGTA", ">test_1", "TTTTT", ">test_2", "CCCCC"]
    sites = (tmp_path / "made" / "x.bed").read_text().splitlines()
    assert sites == ["valid_0\t2\t3", "valid_2\t2\t3", "test_0\t2\t3", "test_2\t2\t3"]


@pytest.mark.parametrize("bad", ["ACG,0", "ACGTA,2"])
def test_odd_records_are_named(repository, tmp_path, bad):
    done = convert(repository, tmp_path, "ACGTA,1", bad)
    assert done.returncode
    assert "record 2" in done.stderr
    assert not (tmp_path / "made").exists()


def run_recipe(repository, name, *arguments):
    command = [sys.executable, str(repository / "config" / "recipes" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def write_fasta(path, **sequences):
    path.write_text("".join(f">{name} text\n{text}\n" for name, text in sequences.items()))
    return path


def random_text(length, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def complement(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def gene_row(start, end, strand, locus):
    return f"some protein\t{start}\t{end}\t{strand}\t9\t1\t2\t-\t{locus}"


def test_proteins_become_genes_with_coding_sequences(repository, tmp_path):
    fasta = write_fasta(tmp_path / "in.fa", x="A" * 100)
    table = tmp_path / "in.prot_table"
    rows = [gene_row(4, 12, "+", "L1"), gene_row(20, 30, "-", "L2"), gene_row(31, 60, "-", "L3")]
    table.write_text("\n".join(rows) + "\n")
    done = run_recipe(repository, "prot_table.py", fasta, table, "chrom", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "2 genes" in done.stdout and "L2" in done.stdout
    assert (tmp_path / "out" / "chrom.fa").read_text() == f">chrom\n{'A' * 100}\n"
    lines = (tmp_path / "out" / "chrom.gff3").read_text().splitlines()
    cells = [line.split("\t") for line in lines if not line.startswith("#")]
    assert [(c[2], int(c[3]), int(c[4]), c[6]) for c in cells] == [
        ("gene", 4, 12, "+"), ("CDS", 4, 12, "+"), ("gene", 31, 60, "-"), ("CDS", 31, 60, "-"),
    ]  # fmt: skip


@pytest.mark.parametrize("row", [gene_row(90, 101, "+", "L1"), gene_row("x", 9, "+", "L1"), "only"])
def test_a_row_that_is_no_gene_is_named(repository, tmp_path, row):
    fasta = write_fasta(tmp_path / "in.fa", x="A" * 100)
    table = tmp_path / "in.prot_table"
    table.write_text(f"{row}\n")
    done = run_recipe(repository, "prot_table.py", fasta, table, "chrom", tmp_path / "out")
    assert done.returncode and "line 1" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["H37Rv", "BCG", "mc2_155_tamu"])
def test_real_genes_begin_with_start_codons(repository, shared_data, tmp_path, name):
    folder = shared_data / "mycobacteria"
    files = folder / f"{name}.fa.gz", folder / f"{name}.prot_table.gz"
    assert run_recipe(repository, "prot_table.py", *files, name, tmp_path).returncode == 0
    sequence = (tmp_path / f"{name}.fa").read_text().split("\n")[1].upper()
    found = []
    for line in (tmp_path / f"{name}.gff3").read_text().splitlines():
        cells = line.split("\t")
        if cells[0].startswith("#") or cells[2] != "CDS":
            continue
        text = sequence[int(cells[3]) - 1 : int(cells[4])]
        found.append((complement(text) if cells[6] == "-" else text)[:3])
    assert sum(codon in ("ATG", "GTG", "TTG", "CTG") for codon in found) > 0.98 * len(found)


def test_orthologous_blocks_share_the_part_of_the_reference(repository, tmp_path):
    """A relative with a shift, an inversion, substitutions and an insertion of its own."""
    text = random_text(40_000, 0)
    letters = np.array(list(text))
    changed = np.random.default_rng(1).random(len(letters)) < 0.005
    letters[changed] = np.random.default_rng(2).choice(list("ACGT"), changed.sum())
    copy = "".join(letters)
    own = random_text(2000, 3)
    relative = copy[10_000:20_000] + own + complement(copy[20_000:40_000]) + copy[:10_000]
    reference = write_fasta(tmp_path / "reference.fa", r=text)
    genome = write_fasta(tmp_path / "genome.fa", g=relative)
    parts = tmp_path / "parts.tsv"
    parts.write_text("region\tpart\nr:0-20000\ttrain\nr:21000-30000\tvalid\nr:30000-40000\ttest\n")
    done = run_recipe(
        repository, "orthologous_parts.py", "--reference", reference, "--reference-parts", parts,
        "--genome", genome, "--output", tmp_path / "out.tsv", "--block", 1000, "--rest", "valid",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()[1:]]
    # The kilobase of the reference that is in no part (21 kb of the inversion) is left out.
    assert rows == [
        ["g:0-10000", "train"], ["g:10000-12000", "valid"], ["g:12000-22000", "test"],
        ["g:22000-31000", "valid"], ["g:32000-42000", "train"],
    ]  # fmt: skip


def mutated(text, share, seed):
    generator = np.random.default_rng(seed)
    letters = np.array(list(text))
    hit = generator.random(len(letters)) < share
    letters[hit] = generator.choice(list("ACGT"), hit.sum())
    return "".join(letters)


def test_near_genomes_stay_in_one_part(repository, tmp_path):
    """Of ten strains, each has a near copy; strains differ by a tenth."""
    root = random_text(2100, 0)
    strains = [mutated(root, 0.1, seed) for seed in range(1, 11)]
    copies = [mutated(text, 0.004, seed) for seed, text in enumerate(strains, start=20)]
    names = {f"s{i}": text for i, text in enumerate([*strains, *copies])}
    files = {name: write_fasta(tmp_path / f"{name}.fa", **names) for name in ("A", "B")}
    background = write_fasta(tmp_path / "background.fa", x=random_text(10_000, 9))
    done = run_recipe(
        repository, "virus_stages.py", "--folder", tmp_path / "out", "--window", 500,
        "--stage", "one", "--class", f"A={files['A']}", "--stage", "two", "--class",
        f"B={files['B']}", "--background", background,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "20 genomes in 10 groups" in done.stdout
    headers = [
        line[1:].split("_")
        for line in (tmp_path / "out" / "one.fa").read_text().splitlines()
        if line.startswith(">")
    ]
    part = {
        int(number): part for part, name, *number in headers if name == "A" for number in number
    }
    assert all(part[row] == part[row + 10] for row in range(1, 11))
    assert set(part.values()) == {"train", "valid", "calibrate", "test"}
    sites = [line.split("\t") for line in (tmp_path / "out" / "one.bed").read_text().splitlines()]
    # Four whole windows of 500 bp a genome; the background has none.
    assert len(sites) == 80 and {row[3] for row in sites} == {"A"}
    assert [int(row[1]) for row in sites[:4]] == [250, 750, 1250, 1750]
    held_out = (tmp_path / "out" / "held_out.bed").read_text().splitlines()
    assert {tuple(line.split("\t")[0].split("_")[:2]) for line in held_out} == {
        ("test", "A"), ("test", "B"),
    }  # fmt: skip
