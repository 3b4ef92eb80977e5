"""A new screen is set up from files alone, and what is written runs."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

import new_screen
from gene_genome import write_gene_genome
from genomesieve.splitting import PARTS
from toy_workflow import planned_jobs, snakemake, write_toy


@pytest.fixture(scope="module")
def genes(tmp_path_factory):
    """A genome with genes."""
    return write_gene_genome(tmp_path_factory.mktemp("genes"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def annotated(genes, here):
    """Arguments for splice sites of an annotation, with paths relative to the folder."""
    for path in genes[:2]:
        shutil.copy(path, here)
    return ["--genome", "toy.fa.gz", "--sites", "toy.gtf.gz", "--kind", "splice_sites"]


@pytest.fixture
def intervals(here):
    """Arguments for splice sites of a BED file whose fourth column names classes."""
    write_toy(here)
    return ["--genome", "toy=toy.fa", "--sites", "sites.bed", "--kind", "splice_sites"]


def written(here, name):
    """Return the configuration that was written, and its sheet of genomes."""
    folder = here / "config" / name
    config = yaml.safe_load((folder / "config.yaml").read_text())
    return config, pd.read_csv(folder / "genomes.tsv", sep="\t", keep_default_na=False)


def test_splice_sites_of_an_annotation(annotated, here, genes, repository, capsys):
    assert new_screen.main(annotated) == 0
    said = capsys.readouterr().out
    config, sheet = written(here, "splice_sites_toy")
    screen = config["screens"]["splice_sites_toy"]
    assert sheet["fasta"].tolist() == ["toy.fa.gz"] and "tracks" not in config
    assert sheet["annotation"].tolist() == ["toy.gtf.gz"]
    assert screen["classes"]["donor"] == {"stranded": True, "site": "splice_donor"}
    assert screen["labels"] == "exclusive" and screen["scan_genomes"] == ["toy"]
    assert list(screen["split"]["toy"]["contigs"]) == list(PARTS)
    assert "100.0% of introns begin GT and end AG" in said and "0.12 Mb" in said
    # Every intron has a donor and an acceptor.
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert rows["donor"][1] == rows["acceptor"][1] == f"{genes[2]:,}"
    command = said.split("run it")[1].splitlines()[0].split()
    assert command[0] == "snakemake" and command[-2] == "--cores"
    plan = snakemake(repository, here, "--configfile", "config/splice_sites_toy/config.yaml", "-n")
    jobs = planned_jobs(plan)
    assert jobs["train_model"] == jobs["extract_sites"] == jobs["write_hub"] == 1


def test_classes_of_column_four(intervals, here, capsys):
    assert new_screen.main([*intervals, "--name", "mine"]) == 0
    config, sheet = written(here, "mine")
    tracks = pd.read_csv(here / "config/mine/tracks.tsv", sep="\t")
    assert tracks["class"].tolist() == ["column:4"] and tracks["role"].tolist() == ["site"]
    assert set(config["screens"]["mine"]["classes"]) == {"donor", "acceptor"}
    said = capsys.readouterr().out
    assert "of donors are followed by GT" in said and "strand on every row" in said
    bed = pd.read_csv("sites.bed", sep="\t", header=None)
    line = next(line.split() for line in said.splitlines() if line.split()[:1] == ["donor"])
    for column, strand in ((2, "+"), (3, "-")):
        count = ((bed[3] == "donor") & (bed[5] == strand)).sum()
        assert line[column] == str(count)


def test_binding_sites_have_bins_without_strand(intervals, here, capsys):
    bed = pd.read_csv("sites.bed", sep="\t", header=None)
    bed[[0, 1, 2]].to_csv("Reb1.bed", sep="\t", header=False, index=False)
    arguments = ["--genome", "toy.fa", "--kind", "binding_sites", "--sites", "Reb1.bed"]
    assert new_screen.main(arguments) == 0
    config, _ = written(here, "binding_sites_toy")
    screen = config["screens"]["binding_sites_toy"]
    assert screen["classes"] == {"Reb1": {}} and screen["model"]["resolution"] == 50
    assert screen["labels"] == "independent"
    assert "strand not on every row" in capsys.readouterr().out


def test_names_of_contigs_are_translated(intervals, here, repository, capsys):
    text = (here / "sites.bed").read_text()
    (here / "sites.bed").write_text(text.replace("chr", ""))
    assert new_screen.main([*intervals, "--name", "mine"]) == 0
    assert (here / "config/mine/alias.tsv").read_text() == "1\tchr1\n2\tchr2\n"
    assert "contigs are called otherwise: 1 is chr1" in capsys.readouterr().out
    assert written(here, "mine")[1]["alias"].tolist() == ["config/mine/alias.tsv"]


def test_further_genomes_are_scanned(annotated, here):
    (here / "near.fa").write_text(">x\nACGT\n")
    assert new_screen.main([*annotated, "--scan", "near.fa", "--scan", "far=near.fa"]) == 0
    config, sheet = written(here, "splice_sites_toy")
    assert config["screens"]["splice_sites_toy"]["scan_genomes"] == ["toy", "near", "far"]
    assert sheet["genome"].tolist() == ["toy", "near", "far"]
    assert sheet["annotation"].tolist() == ["toy.gtf.gz", "", ""]


def test_many_classes_are_cut_to_those_with_most_sites(intervals, here, capsys):
    rows = [("chr1", at, at + 1, f"f{at // 80 % 8}") for at in range(0, 60_000, 80)]
    # Of the eight, two have fewer sites.
    rows = [row for row in rows if row[1] // 640 % 3 or row[3] not in ("f1", "f4")]
    pd.DataFrame(rows).to_csv("peaks.bed", sep="\t", header=False, index=False)
    arguments = ["--genome", "toy.fa", "--kind", "binding_sites", "--sites", "peaks.bed"]
    assert new_screen.main([*arguments, "--name", "few", "--classes", "f4,f0"]) == 0
    assert list(written(here, "few")[0]["screens"]["few"]["classes"]) == ["f4", "f0"]
    assert "6 with most" not in capsys.readouterr().out
    assert new_screen.main([*arguments, "--name", "six"]) == 0
    assert "names 8 classes; the 6 with most sites are taken" in capsys.readouterr().out
    classes = written(here, "six")[0]["screens"]["six"]["classes"]
    assert sorted(classes) == ["f0", "f2", "f3", "f5", "f6", "f7"]
    bed = pd.DataFrame(rows).assign(name=lambda table: table[3] + "|gene")
    bed[[0, 1, 2, "name"]].to_csv("genes.bed", sep="\t", header=False, index=False)
    assert new_screen.main([*arguments[:-1], "genes.bed", "--name", "genes"]) == 1
    assert "column 4 holds f0|gene" in capsys.readouterr().err
    assert new_screen.main([*arguments, "--name", "none", "--classes", "f9"]) == 1
    assert "'f9' is no name in column 4" in capsys.readouterr().err


def test_nothing_is_replaced_unless_that_is_wanted(annotated, here, capsys):
    assert new_screen.main(annotated) == 0
    path = here / "config/splice_sites_toy/config.yaml"
    path.write_text("mine")
    assert new_screen.main(annotated) == 1
    assert "config/splice_sites_toy/config.yaml exists" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert new_screen.main([*annotated, "--force"]) == 0
    assert path.read_text() != "mine"


def test_results_of_another_screen_are_not_replaced(annotated, here, capsys):
    (here / "results/splice_sites_toy").mkdir(parents=True)
    assert new_screen.main(annotated) == 1
    assert "results/splice_sites_toy exists; expected another --name" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self):
        return True


def test_a_terminal_is_asked(annotated, here, monkeypatch, capsys):
    typed = Terminal("toy.fa.gz\ntoy.gtf.gz\n1\n\nmine\nmore\n")
    monkeypatch.setattr(sys, "stdin", typed)
    assert new_screen.main([]) == 0
    assert typed.read() == "more\n"
    said = capsys.readouterr().out
    assert "What are they: 1 splice_sites, 2 start_codons" in said
    assert "mine" in written(here, "mine")[0]["screens"]


def test_a_terminal_that_is_closed_is_no_answer(annotated, here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Terminal("toy.fa.gz\n"))
    assert new_screen.main([]) == 1
    assert "no answer to: Known sites" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal("toy.fa.gz\ntoy.gtf.gz\nsplices\n"))
    assert new_screen.main([]) == 1
    assert "kind of sites 'splices'; did you mean 'splice_sites'?" in capsys.readouterr().err


def no_strand(text):
    return text.replace("\t+\n", "\t.\n")


def beside(text):
    rows = [line.split("\t") for line in text.splitlines()]
    return "".join(
        "\t".join([a, str(int(b) + 1), str(int(c) + 1), *d]) + "\n" for a, b, c, *d in rows
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("chr1", "NC_1"), "rows lie on contigs that the FASTA lacks"),
        (lambda text: text + "chr2\t5\t900000\tdonor\t0\t+\n", "(0.5"),
        (lambda text: text + "chr2\t5\t900000\tdonor\t0\t+\n", "end beyond their contig"),
        (no_strand, "rows without + or - in column 6"),
        (beside, "donor gt share is"),
        (lambda text: text.replace("\t", ","), "1 columns; expected bed: 3 or more"),
        (lambda text: text.replace("chr1\t", "chr1\tx"), "expected whole numbers"),
        (lambda text: "", "holds no row"),
        (lambda text: "".join(text.splitlines(True)[:12]), "sites in part"),
    ],
)
def test_files_that_do_not_fit_are_named_and_nothing_is_written(
    intervals, here, capsys, change, message
):
    path = here / "sites.bed"
    path.write_text(change(path.read_text()))
    assert new_screen.main(intervals) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert message in captured.err
    assert not (here / "config").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--genome", "toy.fa.gz", "--sites", "toy.gtf.gz"], "--kind is missing"),
        (["--sites", "toy.gtf.gz", "--kind", "other"], "--genome is missing"),
        (["--genome", "toy.fa.gz", "--kind", "other"], "--sites is missing"),
        (["--genome", "no.fa", "--sites", "toy.gtf.gz", "--kind", "other"], "annotation, and kind"),
        (
            ["--genome", "no.fa", "--sites", "toy.gtf.gz", "--kind", "splice_sites"],
            "no.fa does not",
        ),
        (["--genome", "toy.fa.gz", "--sites", "no.gtf", "--kind", "splice_sites"], "no.gtf does"),
        (
            ["--genome", "toy.fa.gz", "--sites", "toy.gtf.gz", "--kind", "start_codons"],
            "no site is left",
        ),
        (
            ["--genome", "toy.fa.gz", "--sites", "toy.gtf.gz", "--sites", "toy.gtf.gz"]
            + ["--kind", "splice_sites"],
            "expected one annotation alone",
        ),
        (
            ["--genome", "a b=toy.fa.gz", "--sites", "toy.gtf.gz", "--kind", "splice_sites"]
            + ["--name", "x"],
            "genome 'a b'; expected letters",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(annotated, here, capsys, options, message):
    assert new_screen.main(options) == 1
    assert message in capsys.readouterr().err and not (here / "config").exists()


def test_an_annotation_of_another_assembly_is_refused(annotated, here, capsys):
    with gzip.open("toy.gtf.gz", "rt") as handle:
        rows = [line.split("\t") for line in handle]
    moved = ("\t".join([*r[:3], str(int(r[3]) + 7), str(int(r[4]) + 7), *r[5:]]) for r in rows)
    with gzip.open("toy.gtf.gz", "wt") as handle:
        handle.write("".join(moved))
    assert new_screen.main(annotated) == 1
    assert "begin GT and end AG" in capsys.readouterr().err and not (here / "config").exists()


def test_the_script_runs_on_its_own(annotated, here, repository):
    script = repository / "scripts" / "new_screen.py"
    done = subprocess.run(
        [sys.executable, script, *annotated],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert "--snakefile" in done.stdout
