"""The report: complete, well-formed, self-contained, and honest where something is missing."""

import gzip
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from genomesieve.report_page import PICTURES
from render_report import main, read_calls
from synthetic_report import write_screen

SECTIONS = (
    "answer", "curves", "promises", "expected", "probabilities", "along", "logos", "training",
    "split", "dropped", "glossary", "configuration",
)  # fmt: skip
VOID = {"meta", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """Checks that tags close in order; collects anchors, identifiers, resources and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.resources, self.words, self.paths = [], [], [], [], {}
        self.picture = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "div" and (attrs.get("id") or "").startswith("picture-"):
            self.picture = attrs["id"]
        if tag == "svg":
            self.paths[f"{self.picture} {attrs['aria-label']}"] = 0
        if tag in ("path", "use"):
            self.paths[list(self.paths)[-1]] += 1
        keys = ("src", "href", "xlink:href", "action", "srcset")
        self.resources += [attrs[key] for key in keys if attrs.get(key)]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "svg", "script", "noscript"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def render(folder, **screen):
    arguments = write_screen(folder, **screen)
    output, figures = folder / "report.html", folder / "figures"
    assert main([*arguments, "--output", str(output), "--figures", str(figures)]) == 0
    return output.read_text(), figures


@pytest.fixture(scope="module")
def full(rendered):
    return (rendered / "report.html").read_text(), rendered / "figures"


def test_page_is_well_formed_and_has_every_section(full):
    page = Page(full[0])
    assert page.open == []
    assert set(SECTIONS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "<cress>" in page.text and "<cress>" not in full[0]


def test_page_needs_nothing_from_outside(full):
    page = Page(full[0])
    assert page.resources
    inside = set(page.ids)
    assert all(link.startswith("#") and link[1:] in inside for link in page.resources)
    assert not re.search(r"<script[^>]* src=", full[0])
    text = re.sub(r"(<script[^>]*>).*?</script>", r"\1</script>", full[0], flags=re.DOTALL)
    assert not re.search(r"@import|url\((?!#)|<link", text)
    references = set(re.findall(r"url\(#([^)]+)\)", text))
    assert references and references <= inside


def test_chart_that_needs_scripts_is_hidden_without_them(full):
    """A script shows it; pictures and the table of thresholds are there all the time."""
    assert re.search(r'<div class="interactive" id="threshold-chart" hidden>', full[0])
    page = Page(full[0])
    assert page.text.index("Thresholds in numbers") < page.text.index("All genomes and classes")
    assert "picture-precision_recall-roc" in page.ids
    data = re.search(r'<script type="application/json" id="threshold-data">(.*?)</script>', full[0])
    content = json.loads(data[1])
    assert set(content) == {"spec", "styles", "series", "points"}
    assert {one["genome"] for one in content["series"]} == {"thaliana", "arenosa"}


def test_views_are_linked_where_there_are_some(full, tmp_path):
    assert "in a genome browser" not in full[0]
    arguments = write_screen(tmp_path, baselines=(), annotated=())
    arguments += ["--view", "lyrata=views/lyrata.html"]
    output = tmp_path / "report.html"
    figures = ["--figures", str(tmp_path / "svg")]
    assert main([*arguments, "--output", str(output), *figures]) == 0
    page = Page(output.read_text())
    assert [link for link in page.resources if not link.startswith("#")] == ["views/lyrata.html"]
    assert main([*arguments[:-1], "other=x.html", "--output", str(output), *figures]) == 1


def test_every_panel_has_marks(full):
    page = Page(full[0])
    assert len(page.paths) > 30
    assert min(page.paths.values()) > 20


def test_every_picture_is_a_file_that_parses(full):
    for name in PICTURES:
        root = ElementTree.parse(full[1] / f"{name}.svg").getroot()
        assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 20
    assert {path.stem for path in full[1].iterdir()} == set(PICTURES)


def test_answer_states_what_the_tables_hold(full, tmp_path):
    text = Page(full[0]).text
    assert "The network dilated was trained to find donor and acceptor sites" in text
    assert "20.0 kb of thaliana" in text and "1 in 1,604 positions is a donor site" in text
    assert "is an acceptor site (both strands counted)" in text
    # The pair of numbers that the report is about comes before what was called.
    assert text.index("Do not trust AUROC here") < text.index("held out from training it makes")
    assert "it has no annotation, so these calls cannot be checked here" in text
    assert "Do not trust AUROC here" in text
    assert "A. arenosa is a relative." in text
    assert "What to know of thaliana : Blocks <lie> on one contig." in text
    folder = tmp_path / "screen"
    write_screen(folder)
    promises = pd.read_csv(folder / "thaliana" / "promises.tsv", sep="\t")
    mine = promises[(promises["model"] == "dilated") & (promises["class"] == "donor")]
    row = mine[mine["precision_target"] == 0.9].iloc[0]
    assert row["observed"] < row["low"]
    assert f"found {row['observed'] * 100:.0f} % (the promise was not kept)" in text
    calls = pd.read_csv(folder / "thaliana" / "calls.bed.gz", sep="\t")
    assert f"held out from training it makes {len(calls)} calls" in text


def test_trust_without_labels_stands_beside_what_was_found(full):
    text = Page(full[0]).text
    section = text[text.rindex("How far can this be trusted?") :]
    assert "lyrata : GC <content> is another." in section
    assert section.count("The high scores are not those of known sites.") == 1
    assert "lyrata , donor and acceptor: The high scores" in section
    assert "thaliana : no check speaks against these estimates" in section
    assert "1 in 1,700 (1 in 1,672 to 1 in 1,729)" in section
    assert "no annotation" in section and "71 % (67–75 %)" in section
    assert section.count("no: gc and no mixture") == 4
    assert section.count("nothing speaks against it") == 8
    answer = text[: text.index("Finding sites: precision and recall", 900)]
    assert "cannot be checked here. From their scores alone, 71" in answer
    assert "2 warnings speak against that" in answer


def test_report_without_estimates_has_no_such_section(tmp_path):
    arguments = write_screen(tmp_path)
    kept = [
        word for at, word in enumerate(arguments)
        if word != "--transfer" and arguments[at - 1] != "--transfer"
    ]  # fmt: skip
    output = tmp_path / "report.html"
    assert main([*kept, "--output", str(output), "--figures", str(tmp_path / "svg")]) == 0
    text = Page(output.read_text()).text
    assert "How far can this be trusted" not in text
    assert "cannot be checked here." in text


@pytest.mark.parametrize(
    "content", ['{"measures": []}', '{"measures": [{}], "warnings": []}', '{"measures": 3}']
)
def test_estimates_of_another_kind_are_refused(tmp_path, capsys, content):
    arguments = write_screen(tmp_path)
    (tmp_path / "arenosa" / "transfer.json").write_text(content)
    output = tmp_path / "report.html"
    assert main([*arguments, "--output", str(output), "--figures", str(tmp_path / "svg")]) == 1
    assert "expected what estimate_transfer writes" in capsys.readouterr().err
    assert not output.exists()


def test_imported_network_is_said_to_be_one(tmp_path):
    arguments = write_screen(tmp_path)
    path = Path(arguments[arguments.index("--model") + 1]) / "model.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"training": {"imported": True}}))
    output = tmp_path / "report.html"
    assert main([*arguments, "--output", str(output), "--figures", str(tmp_path / "svg")]) == 0
    text = Page(output.read_text()).text
    assert "was imported with its weights to find donor and acceptor sites" in text
    assert "what it was trained on is not known here" in text
    assert "held out from calibration it makes" in text
    assert "held out from training it makes" not in text and "was trained to find" not in text


def test_without_baselines_and_with_a_genome_that_was_not_scanned(tmp_path):
    arguments = write_screen(tmp_path, baselines=(), annotated=())
    at = arguments.index(f"lyrata={tmp_path / 'lyrata' / 'transfer.json'}")
    del arguments[at - 1 : at + 1]
    at = arguments.index(f"lyrata={tmp_path / 'lyrata'}")
    assert arguments[at - 1] == "--scan"
    del arguments[at - 1 : at + 1]
    output = tmp_path / "report.html"
    assert main([*arguments, "--output", str(output), "--figures", str(tmp_path / "svg")]) == 0
    text = Page(output.read_text()).text
    assert "pwm" not in text and "On 59.0 kb of lyrata" not in text


def test_without_any_annotation(tmp_path):
    html, figures = render(tmp_path, annotated=())
    page = Page(html)
    assert page.open == [] and set(SECTIONS) <= set(page.ids)
    assert "there is no annotation to check them against" in page.text
    assert "No genome of this screen has an annotation" in page.text
    assert {path.stem for path in figures.iterdir()} == set(PICTURES)
    assert {key.split()[0] for key in page.paths} == {
        f"picture-{name}" for name in ("genome_map", "logos", "training", "split")
    }


def test_thresholds_that_were_not_reached_and_no_calls(tmp_path):
    text = Page(
        render(tmp_path, baselines=(), annotated=("thaliana",), reached=False, calls=0)[0]
    ).text
    assert "a precision of 90 % was not reached (best bound 31 %), no calls" in text
    assert "it makes 0 calls" in text


@pytest.mark.parametrize(
    "missing",
    ["model/model.json", "model/history.tsv", "thaliana/metrics.tsv", "thaliana/calls.parquet",
     "arenosa/calls.bed.gz", "arenosa/codes.npy", "lyrata/split.tsv", "lyrata/transfer.json",
     "windows.json", "baselines/pwm/model/model.json"],
)  # fmt: skip
def test_missing_input_stops_without_output(tmp_path, capsys, missing):
    arguments = write_screen(tmp_path)
    (tmp_path / missing).unlink()
    output, figures = tmp_path / "report.html", tmp_path / "figures"
    assert main([*arguments, "--output", str(output), "--figures", str(figures)]) == 1
    assert missing in capsys.readouterr().err
    assert not output.exists() and not figures.exists()


def test_bad_tables_are_named(tmp_path, capsys):
    arguments = write_screen(tmp_path)
    target = ["--output", str(tmp_path / "report.html"), "--figures", str(tmp_path / "figures")]
    calls = tmp_path / "lyrata" / "calls.bed.gz"
    calls.write_bytes(calls.read_bytes()[:200])
    assert main([*arguments, *target]) == 1
    assert "calls of lyrata" in capsys.readouterr().err
    extra = ["--evaluation", f"other={tmp_path}"]
    assert main([*arguments, *extra, *target]) == 1
    assert "--evaluation names genome other, which has no --split" in capsys.readouterr().err
    promises = tmp_path / "thaliana" / "promises.tsv"
    pd.read_csv(promises, sep="\t").drop(columns="observed").to_csv(promises, sep="\t")
    assert main([*arguments, *target]) == 1
    assert "lacks column observed" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_help(repository):
    script = repository / "scripts" / "render_report.py"
    result = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and "--figures" in result.stdout


@pytest.mark.parametrize("contig", ["HG002#1#chr1", "NA", '"q"', "nan", "1e5"])
def test_calls_keep_the_names_of_their_contigs(tmp_path, contig):
    row = "\t".join([contig, "5", "6", "donor", "500", "+", "0.5", "0.1"])
    path = tmp_path / "calls.bed.gz"
    path.write_bytes(gzip.compress(f"# probability\n#contig\tstart\n{row}\n{row}\n".encode()))
    calls = read_calls(path, "toy")
    assert calls["contig"].tolist() == [contig] * 2 and calls["fdr"].tolist() == [0.1] * 2
