"""Both strands are compared by a model whose answers can be read off the sequence."""

import re

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.chunks import list_chunks
from genomesieve.genome import EncodedGenome
from genomesieve.layout import make_layout
from genomesieve.scores import UNSCORED, encode_scores
from genomesieve.strand_agreement import (
    add_agreements,
    measure_agreement,
    sample_rows,
    strand_metrics,
)

CONTEXT, CHUNK, BATCH = 3, 500, 4
PATTERN = "(?=GATTACA|CATTACA)"
ONE_STRAND, BOTH_STRANDS = "GATTACA", "TGTAATGATTACA"
"""The second word has GATTACA on plus and CATTACA on minus begin at one base."""
HIGH, LOW = (int(code) for code in encode_scores(np.array([4.0, -8.0])))


def letters(codes):
    return "".join((*DNA.letters, "N")[code] for code in codes)


def score(codes):
    """Score 4 where a word begins on plus, else -8."""
    shape = (len(codes), 1, 1, codes.shape[1] - 2 * CONTEXT)
    result = np.full(shape, LOW, dtype=np.uint16)
    for row, line in enumerate(codes):
        text = letters(line)
        for match in re.finditer(PATTERN, text):
            if CONTEXT <= match.start() < len(text) - CONTEXT:
                result[row, 0, 0, match.start() - CONTEXT] = HIGH
        core = line[CONTEXT : len(line) - CONTEXT]
        result[row, 0, 0, core == DNA.unknown] = UNSCORED
    return result


@pytest.fixture(scope="module")
def scanned():
    """A genome of A and C, where the words can only be those that are planted."""
    generator = np.random.default_rng(0)
    codes = generator.choice([0, 1], 9037).astype(np.uint8)
    for at in range(40, 8900, 300):
        word = DNA.encode(ONE_STRAND if at % 600 == 40 else BOTH_STRANDS)
        codes[at : at + len(word)] = word
    codes[5000:5100] = DNA.unknown
    contigs = pd.DataFrame({"contig": ["a", "b"], "length": [8000, 1037], "offset": [0, 8000]})
    genome = EncodedGenome("toy", codes, contigs)
    split = contigs.assign(start=0, end=contigs["length"], part="screen")
    layout = make_layout(split, contigs, ("screen",), 1, CONTEXT, "toy")
    return genome, list_chunks(layout, contigs, CHUNK, CONTEXT, layout.resolution)


def measure(scanned, rows):
    return measure_agreement(score, BATCH, *scanned, rows, (CONTEXT, 1), {"x": HIGH})


def test_counts_are_those_of_a_search_in_text(scanned):
    genome, chunks = scanned
    once = twice = 0
    for row in genome.contigs.itertuples():
        text = letters(genome.codes[row.offset : row.offset + row.length])
        other = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
        plus = {match.start() for match in re.finditer(PATTERN, text)}
        minus = {len(text) - 1 - match.start() for match in re.finditer(PATTERN, other)}
        once, twice = once + len(plus ^ minus), twice + len(plus & minus)
    assert once > 10 and twice > 10
    found = measure(scanned, range(len(chunks)))["x"]
    assert (found["called_on_one"], found["called_on_both"]) == (once, twice)
    assert found["bins"] == (genome.codes < 4).sum()
    # Each bin that is called once differs by 12.
    assert found["sum_of_differences"] == pytest.approx(12 * once)
    metrics = strand_metrics(found)
    assert metrics["strand_disagreement"] == pytest.approx(once / (once + twice))
    assert metrics["strand_difference"] == pytest.approx(12 * once / found["bins"])


def test_shards_add_up(scanned):
    whole = measure(scanned, range(len(scanned[1])))
    parts = [measure(scanned, rows) for rows in (range(0, 7), range(7, len(scanned[1])))]
    assert add_agreements(parts) == whole
    assert add_agreements([{}, {}]) == {}


def test_a_model_of_both_strands_agrees_with_itself(scanned):
    def both(codes):
        other = score(DNA.complement_codes[codes[:, ::-1]])[..., ::-1]
        return np.maximum(score(codes), other)

    found = measure_agreement(both, BATCH, *scanned, range(5), (CONTEXT, 1), {"x": HIGH})["x"]
    assert found["called_on_one"] == 0 < found["called_on_both"]
    assert strand_metrics(found) == {"strand_disagreement": 0, "strand_difference": 0}


def test_sample_is_the_same_however_the_scan_is_cut(scanned, monkeypatch):
    monkeypatch.setattr("genomesieve.strand_agreement.SAMPLE_BASES", 3 * CHUNK)
    chunks = scanned[1]
    rows = sample_rows(chunks, range(len(chunks)))
    assert 3 <= len(rows) <= 5 < len(chunks)
    pieces = [sample_rows(chunks, piece) for piece in (range(0, 4), range(4, len(chunks)))]
    assert pieces[0] + pieces[1] == rows


def test_nothing_called_and_nothing_measured():
    counts = {"bins": 5, "called_on_both": 0, "called_on_one": 0, "sum_of_differences": 1.0}
    assert np.isnan(strand_metrics(counts)["strand_disagreement"])
    assert strand_metrics(counts)["strand_difference"] == pytest.approx(0.2)
    assert strand_metrics(None) == {}
