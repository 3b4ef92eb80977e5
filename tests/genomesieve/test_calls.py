"""Merging and matching against the plain loops that define them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve.calls import judge_calls, merge_candidates
from genomesieve.labels_on_bins import label_bins
from genomesieve.layout import make_layout

CONTIGS = pd.DataFrame({"contig": ["b", "a"], "length": [3000, 1500], "offset": [0, 3000]})
CLASSES = ["x", "y"]
NO_INTERVALS = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])


def layout_of(resolution: int):
    split = pd.DataFrame(
        [("b", 0, 1000, "test"), ("b", 1000, 2400, "test"), ("a", 0, 1500, "test")],
        columns=["contig", "start", "end", "part"],
    )
    return make_layout(split, CONTIGS, ("test",), resolution, 10, "toy")


def random_candidates(layout, seed: int, share: float, levels: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    every = [(k, s, b) for k in range(2) for s in range(2) for b in range(layout.bins)]
    chosen = [one for one in every if generator.random() < share]
    table = pd.DataFrame(chosen, columns=["class_index", "strand_index", "bin"])
    table["code"] = generator.integers(100, 100 + levels, len(table)).astype(np.uint16)
    table = table.astype({"class_index": np.uint16, "strand_index": np.uint8})
    return table.sample(frac=1, random_state=seed, ignore_index=True)


def merge_plainly(candidates, layout, distances):
    """Keep one after the other, best first, unless a kept one is too near."""
    contig, start = layout.positions_of(candidates["bin"].to_numpy())
    rows = sorted(
        zip(-candidates["code"].astype(int), contig, start, candidates["class_index"],
            candidates["strand_index"], candidates["bin"])
    )  # fmt: skip
    kept = []
    for code, contig, start, index, strand, number in rows:
        near = [
            one for one in kept
            if one[:3] == (index, strand, contig) and abs(one[3] - start) < distances[index]
        ]  # fmt: skip
        if not near:
            kept.append((index, strand, contig, start, -code, number))
    return {(k, s, b, c) for k, s, _, _, c, b in kept}


@pytest.mark.parametrize("resolution", [1, 10])
@pytest.mark.parametrize(
    ("distances", "share", "levels"),
    [((1, 1), 0.3, 5), ((4, 25), 0.2, 6), ((60, 7), 0.5, 1000), ((500, 30), 0.9, 3)],
)
def test_merging_is_the_greedy_choice_of_the_best(resolution, distances, share, levels):
    layout = layout_of(resolution)
    candidates = random_candidates(layout, resolution, share / 2, levels)
    merged = merge_candidates(candidates, layout, np.array(distances))
    keys = ["class_index", "strand_index", "bin", "code"]
    assert set(merged[keys].itertuples(index=False, name=None)) == merge_plainly(
        candidates, layout, distances
    )
    order = merged[["contig_index", "start", "class_index", "strand_index"]]
    assert order.equals(order.sort_values(list(order.columns), ignore_index=True))


def test_a_distance_of_one_base_keeps_every_base():
    layout = layout_of(1)
    candidates = random_candidates(layout, 0, 0.5, 10)
    assert len(merge_candidates(candidates, layout, np.array([1, 1]))) == len(candidates)


def test_merging_again_or_above_a_threshold_changes_nothing():
    layout = layout_of(1)
    candidates, distances = random_candidates(layout, 1, 0.3, 300), np.array([20, 20])
    merged = merge_candidates(candidates, layout, distances)
    assert merge_candidates(merged, layout, distances).equals(merged)
    above = merge_candidates(candidates[candidates["code"] >= 250], layout, distances)
    assert above.equals(merged[merged["code"] >= 250].reset_index(drop=True))


def test_contigs_do_not_reach_into_each_other_but_touching_intervals_do():
    layout = layout_of(1)
    starts = [(0, 999), (0, 1000), (0, 2399), (1, 0)]
    bins = [int(layout.bins_of(np.array([c]), np.array([p]))[0]) for c, p in starts]
    candidates = pd.DataFrame(
        {"bin": bins, "class_index": 0, "strand_index": 0, "code": [9, 8, 7, 6]}
    )
    merged = merge_candidates(candidates, layout, np.array([50]))
    assert merged["start"].tolist() == [999, 2399, 0]


def judge_plainly(calls, sites, layout, distances):
    """Give each call, best first, the nearest free site within reach."""
    lines = ["contig_index", "class_index", "strand_index"]
    free = {}
    site_lines = zip(*(sites[name].tolist() for name in lines))
    for number, (line, position) in enumerate(zip(site_lines, sites["position"].tolist())):
        free.setdefault(line, {})[number] = position
    rows = zip(*(calls[name].tolist() for name in ("code", "contig_index", "start")))
    order = sorted((-code, contig, start, row) for row, (code, contig, start) in enumerate(rows))
    call_lines = list(zip(*(calls[name].tolist() for name in lines)))
    result = np.full(len(calls), -1)
    for _, _, start, row in order:
        here, last = free.get(call_lines[row], {}), start + layout.resolution - 1
        gaps = [(max(start - place, place - last, 0), number) for number, place in here.items()]
        if gaps and min(gaps)[0] <= distances[call_lines[row][1]]:
            result[row] = min(gaps)[1]
            del here[result[row]]
    return result


def random_labels(layout, seed: int, count: int, intervals=NO_INTERVALS):
    generator = np.random.default_rng(seed)
    position = generator.integers(0, 1500, count)
    sites = pd.DataFrame(
        {"contig": generator.choice(["a", "b"], count), "position": position, "start": position,
         "end": position + 1, "strand": generator.choice(["+", "-"], count),
         "class": generator.choice(CLASSES, count)}
    ).drop_duplicates(ignore_index=True)  # fmt: skip
    return label_bins(layout, CONTIGS, "toy", sites, intervals, CLASSES, True)


@pytest.mark.parametrize(
    ("resolution", "distances", "levels"),
    [(1, (0, 0), 1000), (1, (3, 40), 4), (20, (0, 10), 6), (20, (100, 35), 2)],
)
def test_each_call_takes_the_nearest_free_site_best_first(resolution, distances, levels):
    layout = layout_of(resolution)
    labels = random_labels(layout, 1, 300)
    candidates = random_candidates(layout, 2, 0.1 if resolution == 1 else 0.5, levels)
    merged = merge_candidates(candidates, layout, np.array([5, 5]))
    judged = judge_calls(merged, layout, labels, np.array(distances))
    expected = judge_plainly(merged, labels.sites, layout, distances)
    assert (judged["site"] == expected).all()
    assert (expected >= 0).sum() > 10
    assert ((judged["status"] == "true") == (expected >= 0)).all()
    assert set(judged["status"]) == {"true", "false"}
    assert (judged["block"] == layout.blocks_of(merged["bin"].to_numpy())).all()


def test_with_one_base_bins_a_call_is_right_where_its_bin_is_a_sites():
    layout = layout_of(1)
    labels = random_labels(layout, 3, 400)
    merged = merge_candidates(random_candidates(layout, 4, 0.3, 50), layout, np.array([1, 1]))
    judged = judge_calls(merged, layout, labels, np.array([0, 0]))
    expected = [
        row.bin in labels.of[row.class_index, row.strand_index].positive
        for row in merged.itertuples()
    ]
    assert ((judged["status"] == "true") == expected).all()


def test_what_a_call_matches_does_not_depend_on_lower_calls():
    layout = layout_of(1)
    labels = random_labels(layout, 5, 300)
    merged = merge_candidates(random_candidates(layout, 6, 0.2, 200), layout, np.array([3, 3]))
    whole = judge_calls(merged, layout, labels, np.array([30, 30]))
    high = judge_calls(merged[merged["code"] >= 220], layout, labels, np.array([30, 30]))
    assert whole[whole["code"] >= 220].equals(high)


def test_calls_in_ignored_or_excluded_bins_count_neither_way_unless_they_match():
    layout = layout_of(1)
    sites = pd.DataFrame(
        [("b", 100, 100, 101, "+", "x")],
        columns=["contig", "position", "start", "end", "strand", "class"],
    )
    intervals = pd.DataFrame(
        [("b", 90, 110, "ignore", "x"), ("b", 300, 310, "exclude", "")],
        columns=NO_INTERVALS.columns,
    )
    labels = label_bins(layout, CONTIGS, "toy", sites, intervals, CLASSES, True)
    calls = pd.DataFrame(
        {"bin": [100, 101, 102, 305, 400], "class_index": [0, 0, 1, 1, 0], "strand_index": 0,
         "code": 50, "contig_index": 0, "start": [100, 101, 102, 305, 400]}
    )  # fmt: skip
    judged = judge_calls(calls, layout, labels, np.array([0, 0]))
    assert judged["status"].tolist() == ["true", "ignored", "false", "ignored", "false"]


def test_nothing_to_merge_or_match_is_no_trouble():
    layout = layout_of(1)
    empty = random_candidates(layout, 0, 0.0, 5).astype(
        {"bin": np.int64, "class_index": np.uint16, "strand_index": np.uint8}
    )
    merged = merge_candidates(empty, layout, np.array([10, 10]))
    judged = judge_calls(merged, layout, random_labels(layout, 0, 5), np.array([5, 5]))
    assert len(judged) == 0
    some = merge_candidates(random_candidates(layout, 0, 0.1, 5), layout, np.array([10, 10]))
    alone = judge_calls(some, layout, random_labels(layout, 0, 0), np.array([5, 5]))
    assert set(alone["status"]) == {"false"}
