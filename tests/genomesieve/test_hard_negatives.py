import numpy as np
import pandas as pd
import pytest

from genomesieve.genome import EncodedGenome
from genomesieve.hard_negatives import (
    Harvest,
    HarvestSettings,
    join_harvests,
    near_sites,
    summarise_harvest,
)
from genomesieve.labels_on_bins import label_bins
from genomesieve.layout import make_layout
from genomesieve.scores import decode_scores

CONTIGS = pd.DataFrame({"contig": ["a", "b"], "length": [3007, 1503], "offset": [0, 3007]})
SPLIT = pd.DataFrame(
    [
        ("a", 13, 1400, "train"),
        ("a", 1430, 2000, "valid"),
        ("a", 2050, 3007, "train"),
        ("b", 0, 900, "train"),
        ("b", 950, 1503, "test"),
    ],
    columns=["contig", "start", "end", "part"],
)
INTERVALS = pd.DataFrame(
    [("a", 300, 420, "ignore", ""), ("b", 100, 155, "exclude", "x")],
    columns=["contig", "start", "end", "role", "class"],
)
CLASSES = ["x", "y"]


def make_case(resolution, stranded, seed):
    generator = np.random.default_rng(seed)
    rows = [
        (contig, int(generator.integers(3, length - 3)), "+-"[generator.integers(2)], kind)
        for contig, length in (("a", 3007), ("b", 1503))
        for kind in CLASSES
        for _ in range(12)
    ]
    sites = pd.DataFrame(rows, columns=["contig", "position", "strand", "class"])
    # Sites of class y stand for intervals, whose other bases are ignored.
    wide = np.where(sites["class"] == "y", 8, 0)
    sites = sites.assign(start=sites["position"] - wide, end=sites["position"] + wide + 1)
    sites["start"] = sites["start"].clip(lower=0)
    sites["end"] = np.minimum(sites["end"], sites["contig"].map({"a": 3007, "b": 1503}))
    genome = EncodedGenome("toy", np.zeros(4510, dtype=np.uint8), CONTIGS)
    layout = make_layout(SPLIT, CONTIGS, ("train",), resolution, 20, "toy")
    shape = (2 if stranded else 1, 2, layout.bins)
    # Few levels, so that many scores are equal; some bins have none.
    codes = generator.choice([0, *range(30_000, 30_060)], shape).astype(np.uint16)
    return genome, layout, sites, codes


def harvest_plainly(layout, sites, codes, resolution, stranded, settings):
    """Take bins best first, and look at every site, interval and earlier bin each time."""
    found = []
    bases, intervals = {"a": 0, "b": 1}, INTERVALS.to_dict("records")
    for index, name in enumerate(CLASSES):
        rows = []
        for bin_ in range(layout.bins):
            (contig,), (start,) = layout.positions_of(np.array([bin_]))
            for strand in range(2 if stranded else 1):
                if codes[strand, index, bin_]:
                    rows.append((-int(codes[strand, index, bin_]), contig, start, strand))
        mine = sites[sites["class"] == name].to_dict("records")
        taken = []
        for code, contig, start, strand in sorted(rows):
            end = start + resolution
            if len(taken) == settings.most:
                break
            blocked = False
            for site in mine:
                if bases[site["contig"]] != contig:
                    continue
                if stranded and "+-"[strand] != site["strand"]:
                    continue
                place = site["position"]
                distance = max(start - place, place - (end - 1), 0)
                wide = site["end"] - site["start"] > 1
                blocked |= distance < settings.min_distance
                blocked |= wide and start < site["end"] and site["start"] < end
            for row in intervals:
                if bases[row["contig"]] == contig and row["class"] in ("", name):
                    blocked |= start < row["end"] and row["start"] < end
            for _, other, there, side in taken:
                near = abs(there - start) < settings.min_distance
                blocked |= (other, side) == (contig, strand) and near
            if not blocked:
                taken.append((code, contig, start, strand))
        symbols = "+-" if stranded else "."
        found += [
            ("ab"[contig], int(start) + (resolution - 1) // 2, symbols[strand], name, -code)
            for code, contig, start, strand in taken
        ]
    return found


@pytest.mark.parametrize(
    ("resolution", "stranded", "most", "min_distance"),
    [(1, True, 25, 20), (1, True, 4, 1), (1, False, 500, 35), (10, False, 6, 20), (10, True, 9, 7)],
)
def test_harvest_is_the_best_non_sites_by_brute_force(resolution, stranded, most, min_distance):
    settings = HarvestSettings(most, min_distance)
    for seed in range(2):
        genome, layout, sites, codes = make_case(resolution, stranded, seed)
        labels = label_bins(layout, CONTIGS, "toy", sites, INTERVALS, CLASSES, stranded)
        near = near_sites(layout, genome, sites, CLASSES, stranded, min_distance)
        harvest = Harvest(layout, labels, near, CLASSES, settings)
        edges = np.unique(np.random.default_rng(seed).integers(0, layout.bins, 9))
        for first, last in zip([0, *edges], [*edges, layout.bins]):
            harvest.add(first, codes[..., first:last])
        places = {"toy": harvest.places()}
        table = join_harvests(places, {"toy": CONTIGS}, CLASSES, stranded, resolution, most)
        expected = harvest_plainly(layout, sites, codes, resolution, stranded, settings)
        columns = ["contig", "position", "strand", "class"]
        found = list(table[columns].itertuples(index=False, name=None))
        assert found == [row[:4] for row in expected] and len(found) > min(most, 40)
        assert table["score"].to_numpy() == pytest.approx(
            decode_scores(np.array([row[4] for row in expected], dtype=np.uint16))
        )


def test_the_best_of_several_genomes_are_taken_together():
    def places(codes):
        zeros = np.zeros(len(codes), dtype=np.int64)
        table = {"class_index": zeros, "strand_index": zeros, "contig_index": zeros}
        return pd.DataFrame(table | {"code": codes, "start": 100 * np.arange(len(codes))})

    tables = {"one": places([50_000, 40_000]), "two": places([45_000, 44_000, 43_000])}
    contigs = dict.fromkeys(tables, CONTIGS)
    found = join_harvests(tables, contigs, ["x"], False, 1, 3)
    assert found["genome"].tolist() == ["one", "two", "two"]
    assert found["position"].tolist() == [0, 0, 100]
    assert (np.diff(found["score"]) < 0).all()
    summary = summarise_harvest(found, ["x", "y"])
    assert summary["x"]["places"] == 3 and summary["y"] == {"places": 0}
    assert summary["x"]["highest"] == found["score"].max()
