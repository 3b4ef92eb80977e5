"""Hostile input runs no code, leaves no folder and breaks no shell line."""

from __future__ import annotations

import ast
import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam
import pytest
import torch
import yaml

import encode_genome
import extract_sites
import render_report
from fuzz.parsers import CLASS_CALIBRATION
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError
from genomesieve.networks import build_network
from genomesieve.tracks import write_bigwig, write_calls
from synthetic_report import write_screen
from toy_workflow import snakemake, write_toy

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
RULES = SCRIPTS.parent / "workflow" / "rules"

# --- nothing is unpickled or evaluated ------------------------------------------------------------

FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "input"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "marshal.load"),
    *("pd.read_pickle", "joblib.load", "shelve.open", "yaml.load", "yaml.unsafe_load"),
    *(
        "yaml.full_load",
        "importlib.import_module",
        "torch.jit.load",
        "torch.hub.load",
        "torch.load",
    ),
    *("np.load", "numpy.load", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
HARMLESS = {"torch.load": {"weights_only": True}, "np.load": {"allow_pickle": False}}
"""Calls that are fine with these arguments."""
USER_CODE = ("genomesieve/custom_network.py", "load_code")
"""The one place that runs code: the file that a user's own configuration names."""


def calls_of(path: Path) -> list[tuple[str, str, dict]]:
    """Return function around it, dotted name and constant keywords of every call in a file."""
    found = []

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.Call):
            words = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            found.append((function, ast.unparse(node.func), words))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(path.read_text()), "")
    return found


def forbidden_calls(path: Path, name: str) -> list[str]:
    """Return the calls in a file that could run code from data."""
    found = []
    for function, call, words in calls_of(path):
        needed = HARMLESS.get(call)
        fine = needed and all(words.get(key) is value for key, value in needed.items())
        if call in FORBIDDEN_CALLS and not fine and (name, function) != USER_CODE:
            found.append(f"{name}: {call} in {function}")
        if words.get("shell") is True:
            found.append(f"{name}: shell=True in {function}")
    return found


def test_no_code_is_run_from_data():
    files = sorted(SCRIPTS.rglob("*.py"))
    assert len(files) > 100
    assert sum((forbidden_calls(path, str(path.relative_to(SCRIPTS))) for path in files), []) == []


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "def f():\n    return eval(text)",
        "subprocess.run(command, shell=True)",
        "yaml.load(text)",
    ],
)
def test_the_search_for_code_that_runs_finds_it(tmp_path, text):
    path = tmp_path / "x.py"
    path.write_text(text)
    assert len(forbidden_calls(path, "x.py")) == 1


def test_workflow_files_load_yaml_safely_and_evaluate_nothing():
    for path in [*RULES.glob("*.smk"), SCRIPTS.parent / "Snakefile"]:
        text = path.read_text()
        assert not re.search(r"\b(eval|exec|evaluate|os\.system)\(|\bpickle\b", text), path
        assert set(re.findall(r"yaml\.(\w+)", text)) <= {"safe_load"}, path
        assert not re.search(r"^\s+run:", text, re.MULTILINE), path


# --- shell lines ---------------------------------------------------------------------------------


def rules_of(path: Path) -> dict[str, tuple[str, str]]:
    """Return the text of params and of the shell command of each rule in a file."""
    found = {}
    for block in re.split(r"^(?=(?:    )?rule )", path.read_text(), flags=re.MULTILINE)[1:]:
        shell = re.search(r"^\s+shell:\n(.*?)(?=^\S|\Z)", block, re.DOTALL | re.MULTILINE)
        params = re.search(r"^\s+params:\n(.*?)^\s+(?:message|shell):", block, re.S | re.M)
        name = re.match(r"\s*rule ?(\w*)", block)[1] or re.search(r'f"(\w+)', block)[1]
        found[name] = (params[1] if params else "", shell[1])
    return found


FUNCTIONS = ("common", "explanations", "job_sizes", "networks", "options")
"""Files of functions, without rules."""


def option_writers() -> set[str]:
    """Return the functions of the files without rules that quote what they write."""
    text = "".join((RULES / f"{name}.smk").read_text() for name in FUNCTIONS)
    blocks = re.split(r"^(?=def )", text, flags=re.MULTILINE)[1:]
    return {
        re.match(r"def (\w+)", block)[1]
        for block in blocks
        if re.search(r"\b(option|named|shlex\.quote|genome_options|batch_options)\(", block)
    } | {"keep_scores"}


@pytest.mark.parametrize("path", sorted(RULES.glob("*.smk")), ids=lambda path: path.stem)
def test_everything_in_a_shell_line_is_quoted(path):
    rules = {} if path.stem in FUNCTIONS else rules_of(path)
    assert rules or path.stem in FUNCTIONS
    writers = option_writers()
    for rule, (params, shell) in rules.items():
        for name in re.findall(r"\{([^{}]*)\}", shell):
            if name == "threads" or name.endswith(":q"):
                continue
            assert name.startswith("params."), f"{rule}: {{{name}}} is not quoted"
            key = name.removeprefix("params.")
            value = re.search(rf"^\s+{key}=(.*?)(?=^\s+\w+=|\Z)", params, re.S | re.M)[1]
            used = set(re.findall(r"\w+", value))
            assert used & writers, f"{rule}: {{{name}}} is not quoted, nor is what writes it"


HOSTILE = "da ta/$(touch pwned) `touch pwned`;touch pwned'\"é"
STUB = """#!{python}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


def hostile_config(folder: Path) -> Path:
    """Write a configuration whose paths, texts and batches would run code in a careless shell."""
    path = write_toy(folder)
    config = yaml.safe_load(path.read_text())
    (screen,) = config["screens"].values()
    screen["title"] = screen["notes"] = None
    screen["title"], screen["notes"] = HOSTILE, [HOSTILE, "<script>alert(1)</script>"]
    (folder / HOSTILE).parent.mkdir(parents=True)
    for source, suffix in (("toy.fa", ".fa"), ("sites.bed", ".bed")):
        (folder / source).rename(folder / f"{HOSTILE}{suffix}")
    (folder / f"{HOSTILE}.tsv").write_text("x\tchr1\n")
    (folder / f"{HOSTILE}.txt").write_text(">M x\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\nT [ 1 ]\n")
    screen["stem_motifs"] = {"motifs": f"{HOSTILE}.txt", "matrices": ["$(touch pwned)"]}
    screen["baselines"] = {"pwm": {"motifs": f"{HOSTILE}.txt"}}
    screen["auxiliary"] = {"gc": {"property": "gc"}}
    screen["seeds"] = [0, 1]
    screen["hard_negatives"] = {"rounds": 1}
    quoted = '"' + HOSTILE.replace('"', '""')
    (folder / "genomes.tsv").write_text(
        "genome\tfasta\tregions\talias\n"
        f'toy\t{quoted}.fa"\t"chr1,chr2"\t{quoted}.tsv"\n'
        f'+other\t{quoted}.fa"\t"$(touch pwned):0-5,`touch pwned`"\t\n'
    )
    screen["scan_genomes"] = ["toy", "+other"]
    (folder / "tracks.tsv").write_text(
        "track\tgenome\tfile\trole\tclass\tbatch\n"
        f'known\ttoy\t{quoted}.bed"\tsite\tcolumn:4\t"lab;touch pwned $(touch pwned)"\n'
    )
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.workflow
def test_hostile_configuration_reaches_the_scripts_as_text_and_runs_nothing(repository, tmp_path):
    config = hostile_config(tmp_path)
    plan = snakemake(
        repository, tmp_path, "--configfile", str(config), "--dry-run", "--printshellcmds"
    )
    assert plan.returncode == 0, plan.stderr[-3000:] + plan.stdout[-2000:]
    commands = re.findall(r"^Shell command: (?!None$)(.*)$", plan.stdout, re.MULTILINE)
    words = [shlex.split(command) for command in commands]
    scripts = {Path(line[1]).stem for line in words if line[0] == "python"}
    assert {"encode_genome", "extract_sites", "train_model", "scan_genome", "merge_scan"} <= scripts
    assert {"evaluate_scan", "render_report", "harvest_negatives", "fit_baseline"} <= scripts
    stub = tmp_path / "bin" / "python"
    stub.parent.mkdir()
    stub.write_text(STUB.format(python=sys.executable))
    stub.chmod(0o755)
    environment = {"PATH": f"{stub.parent}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls")}
    for command in commands:
        for log in re.findall(r"> (\S+)", command):
            (tmp_path / log).parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, command
    assert list(tmp_path.rglob("pwned")) == []
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert len(calls) == sum(line[0] == "python" for line in words)
    words = {word for call in calls for word in call}
    assert {f"{HOSTILE}.fa", f"{HOSTILE}.tsv", f"{HOSTILE}.txt"} <= words
    assert "toy=lab;touch pwned $(touch pwned)" in words
    report = next(call for call in calls if Path(call[0]).stem == "render_report")
    settings = json.loads(report[report.index("--settings") + 1])
    assert settings["notes"] == [HOSTILE, "<script>alert(1)</script>"]
    assert '["$(touch pwned):0-5", "`touch pwned`"]' in words


HOSTILE_NAMES = (
    *("../../x", "a b", "a;rm -rf x", "$(id)", "`id`", "'", '"', "a\nb", "a\n", "é", "", ".", ".."),
    *("/etc", "a/b", "-rf", "--help", "{genome}", "*", "a\x00", "x" * 300, "a=b", "a:b", "a,b"),
)


def simple_config() -> dict:
    """Return a configuration that is right."""
    screen = {
        "classes": {"donor": {"stranded": True}}, "labels": "exclusive", "train_genomes": ["toy"],
        "scan_genomes": ["toy"], "model": {"preset": "dilated"},
        "split": {"toy": {"contigs": {"train": ["chr1"], "test": ["chr2"]}}},
    }  # fmt: skip
    package = {"version": "1", "sha256": "0" * 64, "files": ["a.fa"]}
    return {"genomes": "g.tsv", "tracks": "t.tsv", "packages": {"data": package},
            "screens": {"splice": screen}}  # fmt: skip


def plan_of(folder: Path, config: dict, genome: str = "toy", track: str = "known"):
    """Resolve a configuration with one genome and one track."""
    (folder / "g.tsv").write_text(f"genome\tfasta\n{genome}\ttoy.fa\n", newline="")
    head = "track\tgenome\tfile\trole\tclass\n"
    (folder / "t.tsv").write_text(f"{head}{track}\t{genome}\tt.bed\tsite\tcolumn:4\n", newline="")
    config = config | {key: str(folder / config[key]) for key in ("genomes", "tracks")}
    names = ("config", "genomes", "tracks")
    folder = RULES.parent / "schemas"
    schemas = [yaml.safe_load((folder / f"{name}.schema.yaml").read_text()) for name in names]
    return resolve_plan(config, *schemas)


def put(config: dict, place: tuple, name: str) -> dict:
    """Rename the last key of a place in a configuration, or set the value there."""
    holder = config
    for key in place[:-1]:
        holder = holder[key]
    if isinstance(holder, dict) and isinstance(holder.get(place[-1]), dict):
        holder[name] = holder.pop(place[-1])
    else:
        holder[place[-1]] = name
    return config


PLACES = {
    "screen": ("screens", "splice"),
    "class": ("screens", "splice", "classes", "donor"),
    "package": ("packages", "data"),
    "version": ("packages", "data", "version"),
    "file of a package": ("packages", "data", "files", 0),
}


def test_the_configuration_is_right_without_hostile_names(tmp_path):
    assert list(plan_of(tmp_path, simple_config()).screens) == ["splice"]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
@pytest.mark.parametrize("place", PLACES)
def test_hostile_names_in_the_configuration_are_refused(tmp_path, place, name):
    with pytest.raises(InputError) as caught:
        plan_of(tmp_path, put(simple_config(), PLACES[place], name))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [n for n in HOSTILE_NAMES if n.strip() not in ("", "'")], ids=repr)
def test_hostile_names_in_the_sheets_are_refused(tmp_path, name):
    stripped = name.strip()
    if re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9_+-]{0,99}", stripped):
        pytest.skip("blanks around a cell are no part of it")
    config = simple_config()
    with pytest.raises(InputError):
        plan_of(tmp_path, config, track=name)
    for key in ("train_genomes", "scan_genomes"):
        config["screens"]["splice"][key] = [name]
    config["screens"]["splice"]["split"] = {name: {"contigs": {"train": ["a"], "test": ["b"]}}}
    with pytest.raises(InputError):
        plan_of(tmp_path, config, genome=name)


def test_a_screen_cannot_take_the_folder_of_the_genomes(tmp_path):
    with pytest.raises(InputError, match="holds the encoded genomes"):
        plan_of(tmp_path, put(simple_config(), PLACES["screen"], "genomes"))


# --- contig names --------------------------------------------------------------------------------

CONTIGS = (
    *("../../x", "a;rm", "$(touch$IFS-pwned)", "<script>alert(1)</script>", "--><b>x</b>", '"q"'),
    *(
        "'",
        "chrom\u00e9\u4e2d",
        "track",
        "browser7",
        "NA",
        "1e5",
        "%s",
        "$x$",
        "a\\b",
        "nul:0-5",
        "=cmd",
    ),
)


@pytest.fixture(scope="module")
def hostile_genome(tmp_path_factory) -> Path:
    """Encode a genome of hostile contigs; return its folder."""
    root = tmp_path_factory.mktemp("hostile")
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("ACGT"), 200 + row)) for row in range(len(CONTIGS))]
    fasta = "".join(f">{name} text; rm\n{text}\n" for name, text in zip(CONTIGS, texts))
    (root / "toy.fa").write_text(fasta)
    folder = root / "genomes" / "toy"
    outputs = {
        "codes": "codes.npy", "contigs": "contigs.tsv", "softmask": "softmask.parquet",
        "summary": "summary.json",
    }  # fmt: skip
    arguments = [item for key, name in outputs.items() for item in (f"--{key}", str(folder / name))]
    fasta_arguments = ["--genome", "toy", "--fasta", str(root / "toy.fa")]
    assert encode_genome.main([*fasta_arguments, *arguments]) == 0
    assert {path.name for path in root.rglob("*")} == {
        "toy.fa",
        "genomes",
        "toy",
        *outputs.values(),
    }
    return folder


def extract(folder: Path, output: Path, *arguments: str) -> pd.DataFrame:
    """Extract sites; return them, and check that files appear nowhere else."""
    names = ("sites.parquet", "intervals.parquet", "summary.json")
    options = [i for n in names for i in (f"--{n.split('.')[0]}", str(output / n))]
    options += ["--genome", "toy", "--genome-folder", str(folder)]
    assert extract_sites.main([*arguments, *options]) == 0
    assert sorted(path.name for path in output.iterdir()) == sorted(names)
    return pd.read_parquet(output / "sites.parquet")


def test_sites_on_hostile_contigs_are_extracted_from_tracks(hostile_genome, tmp_path):
    rows = [f"{name}\t{10 + row}\t{11 + row}\tx\t0\t+\n" for row, name in enumerate(CONTIGS)]
    # BED takes lines that begin so for headers, whatever a genome calls its contigs.
    rows = [text for text in rows if not text.startswith("track\t")]
    (tmp_path / "s.bed").write_text("".join(rows))
    (tmp_path / "m.bed").write_text("".join(f"{name}\t0\t5\n" for name in CONTIGS[:5]))
    tracks = [
        {"track": "s", "file": str(tmp_path / "s.bed"), "role": "site", "class": "x"},
        {"track": "m", "file": str(tmp_path / "m.bed"), "role": "ignore", "class": ""},
    ]
    arguments = ("--tracks", json.dumps(tracks), "--classes", '{"x": {"stranded": true}}')
    sites = extract(hostile_genome, tmp_path / "out", *arguments)
    assert list(sites["contig"]) == [name for name in CONTIGS if name != "track"]
    assert list(sites["position"]) == [10 + r for r, n in enumerate(CONTIGS) if n != "track"]
    intervals = pd.read_parquet(tmp_path / "out" / "intervals.parquet")
    assert set(intervals["contig"]) == set(CONTIGS[:5])


@pytest.mark.parametrize("gff3", [False, True])
def test_sites_on_hostile_contigs_are_extracted_from_annotations(hostile_genome, tmp_path, gff3):
    text = "Parent=t{0}" if gff3 else 'transcript_id "t{0}";'
    names = [name for name in CONTIGS if not name.startswith("#") and "%" not in name]
    rows = [
        "\t".join([name, "x", "exon", str(start), str(start + 19), ".", "+", ".", text.format(row)])
        for row, name in enumerate(names)
        for start in (11, 91)
    ]
    path = tmp_path / f"genes.{'gff3' if gff3 else 'gtf'}"
    path.write_text("\n".join(rows))
    classes = '{"donor": {"stranded": true, "site": "splice_donor"}}'
    sites = extract(
        hostile_genome, tmp_path / "out", "--annotation", str(path), "--classes", classes
    )
    assert list(sites["contig"]) == names and set(sites["position"]) == {29}


def test_calls_and_tracks_on_hostile_contigs_are_read_by_other_tools(tmp_path):
    contigs = pd.DataFrame({"contig": CONTIGS, "length": 300})
    rows = {
        "contig": CONTIGS, "start": 5, "end": 6, "class": "x", "strand": "+", "probability": 0.5,
        "fdr": 0.1,
    }  # fmt: skip
    path = tmp_path / "calls.bed.gz"
    write_calls(path, pd.DataFrame(rows), "toy", 300)
    with pysam.TabixFile(str(path), encoding="utf-8") as calls:
        assert set(calls.contigs) == set(CONTIGS)
        found = [row.split("\t") for row in calls.fetch()]
        assert found == [[name, "5", "6", "x", "500", "+", "0.5", "0.1"] for name in CONTIGS]
        # pysam looks up names of ASCII only.
        for name in filter(str.isascii, CONTIGS):
            assert [row.split("\t")[0] for row in calls.fetch(name, 0, 10)] == [name]
    values = np.linspace(0, 1, len(CONTIGS))
    rows = {"contig_index": range(len(CONTIGS)), "start": 5, "value": values}
    bins = pd.DataFrame(rows)
    write_bigwig(tmp_path / "x.bw", contigs, bins, 1)
    with pyBigWig.open(str(tmp_path / "x.bw")) as track:
        assert track.chroms() == dict.fromkeys(CONTIGS, 300)
        for name, value in zip(CONTIGS, values):
            assert track.values(name, 5, 6)[0] == pytest.approx(value, abs=1e-6)
    assert {p.name for p in tmp_path.iterdir()} == {
        "calls.bed.gz", "calls.bed.gz.csi", "calls.bed.gz.tbi", "x.bw",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["#chr1", "a\x00b", "a\x1b[31mb", "a\x7f", "\u202ea", "a\u2028b"])
def test_contig_names_that_no_other_file_can_hold_are_refused(tmp_path, capsys, name):
    (tmp_path / "toy.fa").write_text(f">ok\nACGT\n>{name}\nACGT\n")
    names = ("codes", "contigs", "softmask", "summary")
    outputs = [item for name in names for item in (f"--{name}", str(tmp_path / name))]
    arguments = ["--genome", "toy", "--fasta", str(tmp_path / "toy.fa"), *outputs]
    assert encode_genome.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.rstrip("\n").isprintable() and "line 3: contig name" in error
    assert [path.name for path in tmp_path.iterdir()] == ["toy.fa"]


class Markup(HTMLParser):
    """What a browser would take for markup: tags, attributes, and the texts of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.scripts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts.append(data)


HOSTILE_CONTIG = '--><script>alert(1)</script><img src=x onerror="alert(1)">$(id)$'


def test_report_shows_hostile_names_as_text(tmp_path):
    arguments = write_screen(tmp_path / "results")
    for path in (tmp_path / "results").rglob("*"):
        if path.name in ("contigs.tsv", "split.tsv", "intervals.tsv"):
            table = pd.read_csv(path, sep="\t")
            table.assign(contig=HOSTILE_CONTIG).to_csv(path, sep="\t", index=False)
        elif path.suffix == ".gz":
            text = gzip.decompress(path.read_bytes()).decode()
            text = re.sub(r"^chr_\w+", lambda _: HOSTILE_CONTIG, text, flags=re.MULTILINE)
            path.write_bytes(gzip.compress(text.encode()))
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
            if "contig" in table:
                table.assign(contig=HOSTILE_CONTIG).to_parquet(path)
    settings = json.loads(arguments[arguments.index("--settings") + 1])
    settings |= {"title": HOSTILE_CONTIG, "notes": [HOSTILE_CONTIG]}
    arguments[arguments.index("--settings") + 1] = json.dumps(settings)
    output = tmp_path / "out"
    code = render_report.main(
        [*arguments, "--output", str(output / "report.html"), "--figures", str(output / "figures")]
    )
    assert code == 0
    page = (output / "report.html").read_text()
    for picture in (output / "figures").glob("*.svg"):
        assert "<script" not in picture.read_text().lower() and "<img" not in picture.read_text()
    seen = Markup()
    seen.feed(page)
    assert "script" in seen.tags and "img" not in seen.tags
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert not [text for text in seen.scripts if "alert(1)" in text]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


# --- model folders -------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path) -> Path:
    """Write a small calibrated model."""
    architecture = resolve_architecture({"preset": "dilated", "channels": 4, "dilations": [1]})
    network = build_network(architecture, 1, "exclusive")
    bundle = Bundle("dilated", network, architecture, ["x"], True, "exclusive")
    bundle.calibration = {"classes": {"x": CLASS_CALIBRATION}}
    save_bundle(tmp_path / "model", bundle)
    return tmp_path / "model"


def change_model(folder: Path, **changes: object) -> None:
    """Change keys of model.json."""
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
def test_class_of_a_model_that_is_no_name_is_refused(model, name):
    calibration = {"classes": {name: CLASS_CALIBRATION}}
    change_model(model, classes=[name], calibration=calibration)
    with pytest.raises(InputError, match="`classes` is"):
        load_bundle(model)


def test_model_cannot_name_code(model, tmp_path):
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    architecture = {"preset": "custom", "network": f"{evil}:Evil", "weights": str(evil)}
    architecture |= {"context": 1, "outputs": ["background", "x"]}
    change_model(
        model, architecture=architecture, code={"sha256": "0", "class": "Evil"}, resolution=1,
        context=1, stride=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="no model folder names code"):
        load_bundle(model)
    assert not (tmp_path / "pwned").exists()


def test_pickle_in_place_of_weights_is_refused(model, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    torch.save({"a": Evil()}, model / "model.safetensors")
    with pytest.raises(InputError, match="damaged"):
        load_bundle(model)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 1 << 26}, "has shape"),
        ({"channels": 1 << 60}, "model.channels is too large"),
        ({"dilations": [1] * 100_000}, "model.dilations is too large"),
        ({"stem_kernels": [99_999_999_999]}, "model.stem_kernels is too large"),
        ({"stem_pools": [2**20, 2**20], "stem_kernels": [3, 3]}, "model"),
        ({"leak": float("nan")}, "is not valid JSON: NaN is no number"),
    ],
)
def test_huge_models_are_refused_before_they_take_memory(model, change, message):
    content = json.loads((model / "model.json").read_text())
    change_model(model, architecture=content["architecture"] | change)
    with pytest.raises(InputError, match=message):
        load_bundle(model)


def test_weights_beside_are_not_followed_elsewhere(model, tmp_path):
    # Nothing in model.json says where weights are: keys that would are left aside.
    change_model(model, weights="/etc/passwd", path="../../x", history="/etc/passwd")
    assert load_bundle(model).classes == ["x"]
    shutil.rmtree(model)
