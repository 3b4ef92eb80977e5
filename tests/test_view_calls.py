"""Views: the right places, their own sequence and tracks, and a page that works by itself."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam
import pytest

import view_calls
from browser import LOOK, ask_page, find_browser

LENGTHS = {"HG002#1#chr1": 4000, "NA": 90_000}
PLACES = [
    ("NA", 60_000, "donor", "+", 6.0, "true", True), ("NA", 100, "donor", "-", 5.0, "true", True),
    ("NA", 30_000, "donor", "+", 4.0, "false", True),
    ("NA", 40_000, "donor", "-", 0.5, "false", False),
    ("NA", 20, "acceptor", "+", -3.0, "missed", False),
    ("HG002#1#chr1", 3990, "acceptor", "-", 1.5, "missed", False),
    ("NA", 89_999, "acceptor", "+", np.nan, "missed", False),
    ("NA", 50_000, "acceptor", "+", 9.0, "ignored", True),
]  # fmt: skip


def write_results(folder: Path) -> list[str]:
    """Write a genome, a scan with tracks, known sites and judged calls; return the arguments."""
    codes = np.random.default_rng(1).integers(0, 5, sum(LENGTHS.values())).astype(np.uint8)
    np.save(folder / "codes.npy", codes)
    offsets = np.cumsum([0, *LENGTHS.values()])[:-1]
    contigs = {"contig": list(LENGTHS), "length": list(LENGTHS.values()), "offset": offsets}
    pd.DataFrame(contigs).to_csv(folder / "contigs.tsv", sep="\t", index=False)
    model = {"classes": ["donor", "acceptor"], "stranded": [True, True], "resolution": 1}
    (folder / "model.json").write_text(json.dumps(model))
    names = ["contig", "start", "class", "strand", "score", "status", "called"]
    table = pd.DataFrame(PLACES, columns=names).assign(fdr=0.1)
    table["end"], table["probability"] = table["start"] + 1, 1 / (1 + np.exp(-table["score"]))
    table.to_parquet(folder / "calls.parquet")
    sites = table[table["status"].isin(["true", "missed"])].rename(columns={"start": "position"})
    sites.to_parquet(folder / "sites.parquet")
    write_scan(folder, table[table["called"]].sort_values(["contig", "start"]))
    return [
        *("--genome", "toy", "--genome-folder", str(folder), "--model", str(folder)),
        *("--scan", str(folder), "--output", str(folder / "view.html"), "--title", "A <screen>"),
    ]


def write_scan(folder: Path, calls: pd.DataFrame) -> None:
    """Write indexed calls, and a track with a value at each base of the first class."""
    rows = "".join(
        f"{row['contig']}\t{row['start']}\t{row['end']}\t{row['class']}\t900\t{row['strand']}\t"
        f"{row['probability']:.4f}\t0.1\n"
        for row in calls.to_dict("records")
    )
    plain = folder / "calls.bed"
    plain.write_text("#contig\tstart\tend\tclass\tscore\tstrand\tprobability\tfdr\n" + rows)
    pysam.tabix_index(str(plain), preset="bed", csi=True, force=True)
    with pyBigWig.open(str(folder / "donor.plus.bw"), "w") as track:
        track.addHeader(list(LENGTHS.items()))
        track.addEntries("NA", 59_990, values=[at / 100 for at in range(21)], span=1, step=1)


def labelled(folder: Path) -> list[str]:
    """Return the options that name what is known of the genome."""
    return ["--sites", str(folder / "sites.parquet"), "--evaluation", str(folder)]


def unpack(address: str) -> str:
    """Return what a data address holds."""
    return gzip.decompress(base64.b64decode(address.split(",", 1)[1])).decode()


def read_page(path: Path) -> tuple[list[list[str]], dict]:
    """Return the rows of a view's table and the session of each."""
    text = path.read_text()
    rows = json.loads(re.search(r"^const table = (.*)$", text, re.M)[1])["rows"]
    sessions = json.loads(re.search(r"^const sessions = (.*)$", text, re.M)[1])
    return rows, {key: json.loads(unpack(value)) for key, value in sessions.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    arguments = write_results(folder)
    assert view_calls.main([*arguments, *labelled(folder)]) == 0
    return folder


def test_places_are_the_best_of_each_kind(folder):
    rows, _ = read_page(folder / "view.html")
    assert [row[1:7] for row in rows] == [
        ["right call", "donor", "NA", "60001", "60001", "+"],
        ["right call", "donor", "NA", "101", "101", "-"],
        ["wrong call", "donor", "NA", "30001", "30001", "+"],
        ["wrong call", "donor", "NA", "40001", "40001", "-"],
        ["missed site", "acceptor", "HG002#1#chr1", "3991", "3991", "-"],
        ["missed site", "acceptor", "NA", "21", "21", "+"],
    ]
    assert [row[7] for row in rows] == ["6.00", "5.00", "4.00", "0.50", "1.50", "-3.00"]
    arguments = write_results(folder)
    assert view_calls.main([*arguments, *labelled(folder), "--most", "1"]) == 0
    few, _ = read_page(folder / "view.html")
    assert [row[1:5] for row in few] == [rows[at][1:5] for at in (0, 2, 4)]
    assert view_calls.main([*arguments, *labelled(folder)]) == 0


def test_each_place_has_its_own_sequence_and_tracks(folder):
    rows, sessions = read_page(folder / "view.html")
    codes, first = np.load(folder / "codes.npy"), dict(zip(LENGTHS, (0, LENGTHS["HG002#1#chr1"])))
    for row in rows:
        session = sessions[str(row[0])]
        head, letters = unpack(session["reference"]["fastaURL"]).split("\n", 1)
        contig, start = re.match(r">(.*):(\d+)-\d+ @len=", head).groups()
        assert contig == row[3] and head.endswith(f"@len={LENGTHS[contig]}")
        begin = first[contig] + int(start) - 1
        expected = "".join("ACGTN"[code] for code in codes[begin : begin + len(letters)])
        assert letters == expected and int(start) <= int(row[4]) < int(start) + len(letters)
        assert session["locus"].startswith(f"{contig}:")
        names = [track["name"] for track in session["tracks"]]
        assert names == ["known sites", "calls", "donor +"]
    tracks = {one["name"]: unpack(one["url"]) for one in sessions["0"]["tracks"]}
    assert tracks["known sites"] == "NA\t60000\t60001\tdonor\t0\t+\n"
    assert tracks["calls"] == "NA\t60000\t60001\tdonor\t900\t+\n"
    values = [line.split("\t") for line in tracks["donor +"].splitlines()]
    assert [(int(one[1]), float(one[3])) for one in values] == [
        (59_990 + at, at / 100) for at in range(21)
    ]
    assert "60000" not in unpack(sessions["4"]["tracks"][0]["url"])


def test_calls_are_shown_where_no_site_is_known(tmp_path):
    arguments = write_results(tmp_path)
    assert view_calls.main(arguments) == 0
    rows, sessions = read_page(tmp_path / "view.html")
    assert [row[1:5] for row in rows] == [
        ["call", "donor", "NA", "60001"], ["call", "donor", "NA", "101"],
        ["call", "donor", "NA", "30001"], ["call", "acceptor", "NA", "50001"],
    ]  # fmt: skip
    assert [track["name"] for track in sessions["0"]["tracks"]] == ["calls", "donor +"]
    assert [len(row) for row in rows] == [8] * 4 and rows[0][7] == "0.998"
    assert "No sites are known on this genome" in (tmp_path / "view.html").read_text()


def test_nothing_to_show_is_said(tmp_path):
    arguments = write_results(tmp_path)
    write_scan(tmp_path, pd.read_parquet(tmp_path / "calls.parquet").head(0))
    assert view_calls.main(arguments) == 0
    assert "nothing to show" in (tmp_path / "view.html").read_text()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("calls.parquet", None, "calls.parquet"),
        ("calls.bed.gz", b"no gzip", "calls.bed.gz"),
        ("donor.plus.bw", b"no bigWig", "expected a bigWig"),
        ("sites.parquet", b"", "sites.parquet"),
        ("model.json", b"{}", "model.json lacks classes"),
    ],
)
def test_damaged_input_stops_without_output(tmp_path, capfd, file, content, said):
    arguments = write_results(tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    assert view_calls.main([*arguments, *labelled(tmp_path)]) == 1
    error = capfd.readouterr().err.splitlines()
    assert said in error[-1] and error[-1].startswith("error: ")
    assert not (tmp_path / "view.html").exists()


@pytest.mark.parametrize("option", ["--most", "--flank"])
def test_numbers_below_one_are_refused(tmp_path, capsys, option):
    assert view_calls.main([*write_results(tmp_path), option, "0"]) == 1
    assert f"{option}: found 0; expected at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("width", [1280, 390])
def test_page_shows_a_place_after_the_other(folder, width):
    find_browser()
    script = f"""
    const places = document.getElementById("places");
    await until(() => places.dataset.shown === "0");
    const drawn = () => document.querySelector("#igv").shadowRoot;
    const first = drawn().querySelectorAll("canvas").length;
    places.tBodies[0].rows[4].querySelector("button").click();
    await until(() => places.dataset.shown === "4");
    {LOOK}
    const locus = [...drawn().querySelectorAll("input")].map((one) => one.value).join(" ");
    return {{...look, first, locus, title: document.title}};"""
    answer = ask_page(folder / "view.html", script, width)
    assert answer["problems"] == [] and answer["resources"] == []
    found = answer["found"]
    assert found["first"] >= 4 and "HG002#1#chr1" in found["locus"]
    assert found["page"] <= found["width"] and found["overlaps"] == []
    assert found["title"].startswith("A <screen>: calls on toy")
