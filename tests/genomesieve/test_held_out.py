import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.held_out import HELD_OUT, TRAIN, divide_genome

CONTIGS = pd.DataFrame({"contig": ["a", "1"], "length": [1000, 300], "offset": [0, 1000]})


def rows(given):
    parts = divide_genome(given, CONTIGS, "toy")
    return [
        [f"{row.contig}:{row.start}-{row.end}" for row in parts[part].itertuples()]
        for part in (TRAIN, HELD_OUT)
    ]


@pytest.mark.parametrize(
    ("given", "train", "held_out"),
    [
        ({}, ["a:0-1000", "1:0-300"], []),
        ({"held_out": ["1"]}, ["a:0-1000"], ["1:0-300"]),
        ({"held_out": ["a:0-100"]}, ["a:100-1000", "1:0-300"], ["a:0-100"]),
        (
            {"held_out": ["a:900-1000", "a:200-300"]},
            ["a:0-200", "a:300-900", "1:0-300"],
            ["a:200-300", "a:900-1000"],
        ),
        (
            {"held_out": ["a:250-700"], "regions": ["a:200-300", "a:600-800"]},
            ["a:200-250", "a:700-800"],
            ["a:250-700"],
        ),
        ({"train": ["a:0-50"], "held_out": ["a:50-60"]}, ["a:0-50"], ["a:50-60"]),
        ({"train": [], "held_out": ["1"]}, [], ["1:0-300"]),
    ],
)
def test_the_rest_is_trained_on(given, train, held_out):
    assert rows(given) == [train, held_out]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a"], "split of genome toy is .*; expected a table"),
        ({"held_out": "a"}, "split of genome toy.held_out is 'a'; expected a list"),
        ({"train": "a"}, "key train: found 'a'; expected a list"),
        ({"held_out": ["a:0-2000"]}, "reaches beyond a"),
        ({"train": ["a"], "held_out": ["a:0-7"]}, "7 bp are both in train and in held_out"),
    ],
)
def test_what_cannot_be_divided_is_named(given, message):
    with pytest.raises(InputError, match=message):
        divide_genome(given, CONTIGS, "toy")
