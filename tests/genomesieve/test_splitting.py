import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.splitting import (
    PARTS,
    locate,
    merge_touching,
    read_split,
    separate_parts,
    split_by_fractions,
    split_by_lists,
)

COLUMNS = ["contig", "start", "end", "part"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def contig_table(lengths):
    lengths = np.array(lengths)
    names = [f"c{row}" for row in range(len(lengths))]
    offsets = np.cumsum(lengths) - lengths
    return pd.DataFrame({"contig": names, "length": lengths, "offset": offsets})


def whole(contigs):
    regions = contigs.rename(columns={"length": "end"}).assign(start=0)
    return regions[["contig", "start", "end"]]


def covered(intervals, contigs):
    """Part of every base of a genome, '' where none: an independent, base-by-base picture."""
    bases = {row.contig: np.full(row.length, "", dtype="U9") for row in contigs.itertuples()}
    for row in intervals.itertuples():
        assert (bases[row.contig][row.start : row.end] == "").all(), "intervals overlap"
        bases[row.contig][row.start : row.end] = row.part
    return bases


def random_split(generator, contigs):
    rows = []
    for row in contigs.itertuples():
        edges = np.unique(generator.integers(0, row.length, 24))
        for start, end in zip(edges[:-1], edges[1:]):
            if generator.random() < 0.8:
                rows.append((row.contig, int(start), int(end), str(generator.choice(PARTS))))
    return merge_touching(table(*rows))


@pytest.mark.parametrize("seed", range(20))
def test_guards_keep_every_two_parts_apart(seed):
    """Random splits, many intervals shorter than the guard, so that some are swallowed."""
    generator = np.random.default_rng(seed)
    contigs = contig_table([2000, 900, 300])
    before = random_split(generator, contigs)
    guard = int(generator.integers(1, 200))
    after = separate_parts(before, guard)
    old, new = covered(before, contigs), covered(after, contigs)
    for name, bases in new.items():
        kept = np.flatnonzero(bases != "")
        assert (bases[kept] == old[name][kept]).all()
        change = np.flatnonzero(bases[kept][1:] != bases[kept][:-1])
        assert (kept[change + 1] - kept[change] - 1 >= guard).all()


def test_no_guard_changes_nothing():
    split = table(("a", 0, 10, "train"), ("a", 10, 20, "test"))
    pd.testing.assert_frame_equal(separate_parts(split, 0), split, check_dtype=False)


def test_guard_is_cut_from_the_longer_neighbour():
    split = table(("a", 0, 100, "train"), ("a", 105, 135, "test"), ("b", 0, 50, "train"))
    cut = separate_parts(split, 20)
    assert cut.to_numpy().tolist() == [
        ["a", 0, 85, "train"],
        ["a", 105, 135, "test"],
        ["b", 0, 50, "train"],
    ]


def test_swallowed_interval_does_not_hide_the_one_before_it():
    split = table(("a", 0, 4, "train"), ("a", 4, 10, "valid"), ("a", 10, 13, "test"))
    assert len(separate_parts(split, 50)) == 1


def test_enough_contigs_stay_whole():
    # Lengths of the sixteen chromosomes of yeast, in kb.
    contigs = contig_table(
        [230, 813, 317, 1532, 577, 270, 1091, 563, 440, 746, 667, 1078, 924, 784, 1091, 948]
    )
    shares = dict(zip(PARTS, [0.7, 0.1, 0.1, 0.1]))
    split, method = split_by_fractions(shares, None, whole(contigs), "yeast")
    assert method == "whole contigs"
    assert sorted(split["contig"]) == sorted(contigs["contig"])
    assert split["end"].sum() == contigs["length"].sum()
    sizes = (split["end"] - split["start"]).groupby(split["part"]).sum() / contigs["length"].sum()
    for part, share in shares.items():
        assert sizes[part] == pytest.approx(share, rel=1 / 3)


@pytest.mark.parametrize("lengths", [[100_003], [60_000, 40_003]])
def test_blocks_follow_the_fractions_and_cover_everything(lengths):
    contigs = contig_table(lengths)
    shares = dict(zip(PARTS, [0.6, 0.1, 0.1, 0.2]))
    split, method = split_by_fractions(shares, 1000, whole(contigs), "g")
    again, _ = split_by_fractions(shares, 1000, whole(contigs), "g")
    assert method == "blocks"
    pd.testing.assert_frame_equal(split, again)
    bases = np.concatenate(list(covered(split, contigs).values()))
    assert (bases != "").all()
    for part, share in shares.items():
        assert np.mean(bases == part) == pytest.approx(share, abs=0.02)
    # Spread over the genome: no part keeps to one half.
    for half in np.array_split(bases, 2):
        assert set(half) == set(PARTS)


def test_too_few_blocks_are_named():
    shares = dict.fromkeys(PARTS, 0.25)
    with pytest.raises(InputError, match="key block: 2 blocks of 500 bp"):
        split_by_fractions(shares, 500, whole(contig_table([1000])), "g")


def lists(**changes):
    return {part: [f"c0:{at * 100}-{at * 100 + 100}"] for at, part in enumerate(PARTS)} | changes


def test_contig_name_stands_for_its_regions():
    contigs = contig_table([1000, 500])
    regions = pd.DataFrame(
        [("c0", 0, 400), ("c1", 10, 60), ("c1", 60, 100), ("c1", 200, 300)],
        columns=["contig", "start", "end"],
    )
    split = split_by_lists(lists(test=["c1"]), regions, contigs, "g")
    mine = split[split["part"] == "test"]
    assert mine.to_numpy().tolist() == [["c1", 10, 100, "test"], ["c1", 200, 300, "test"]]


def test_a_pattern_stands_for_all_contigs_so_called():
    contigs = contig_table([1000, 500, 400]).assign(contig=["chr1", "chrUn_1", "chrUn_2"])
    named = {part: [f"chr1:{at * 100}-{at * 100 + 100}"] for at, part in enumerate(PARTS)}
    split = split_by_lists(named | {"train": ["chrUn_*"]}, whole(contigs), contigs, "g")
    mine = split[split["part"] == "train"]
    assert mine["contig"].tolist() == ["chrUn_1", "chrUn_2"]
    assert mine["end"].tolist() == [500, 400]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": ["d*"]}, r"contigs.test: no contig of genome g is like d\*"),
        ({"test": ["c0:300-500"]}, "contigs.test: c0:300-500 does not lie in one of the regions"),
        ({"test": ["c1"]}, "contigs.test: contig c1 is not among the regions"),
        ({"test": ["c0:350-390", "c0:380-400"]}, "test c0:350-390 overlaps test c0:380-400"),
        ({"test": "c0"}, "contigs.test: found 'c0'; expected a list"),
        ({"exam": ["c0"]}, "contigs.exam: unknown part"),
    ],
)
def test_bad_lists_are_named(changes, message):
    regions = pd.DataFrame([("c0", 0, 400)], columns=["contig", "start", "end"])
    with pytest.raises(InputError, match=message):
        split_by_lists(lists(**changes), regions, contig_table([1000, 500]), "g")


def test_positions_are_located_as_a_search_through_all_rows_does():
    generator = np.random.default_rng(0)
    contigs = contig_table([2000, 900, 300])
    split = random_split(generator, contigs)
    split = split.iloc[generator.permutation(len(split))].reset_index(drop=True)
    names = generator.choice(contigs["contig"], 500)
    positions = generator.integers(0, 300, 500)
    expected = []
    for name, position in zip(names, positions):
        hit = (split["contig"] == name) & (split["start"] <= position) & (position < split["end"])
        expected.append(int(np.argmax(hit)) if hit.any() else -1)
    assert locate(split, contigs, names, positions, "g").tolist() == expected
    assert locate(split.iloc[:0], contigs, names, positions, "g").tolist() == [-1] * 500
    with pytest.raises(InputError, match="no contig 'x'"):
        locate(split, contigs, ["x"], np.array([1]), "g")


def test_split_with_an_unknown_part_is_refused(tmp_path):
    table(("1", 0, 10, "train"), ("1", 20, 30, "tset")).to_csv(
        tmp_path / "split.tsv", sep="\t", index=False
    )
    with pytest.raises(InputError, match="unknown part 'tset'"):
        read_split(tmp_path / "split.tsv")


def test_contigs_with_numbers_for_names_stay_text(tmp_path):
    table(("1", 0, 10, "train")).to_csv(tmp_path / "split.tsv", sep="\t", index=False)
    assert read_split(tmp_path / "split.tsv")["contig"].tolist() == ["1"]
