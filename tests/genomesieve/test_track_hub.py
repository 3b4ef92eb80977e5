"""Names and labels of track hubs, where what users chose does not fit."""

import re

import pytest

from genomesieve.track_hub import Hub, default_place, plain_name, track_text, unique_names


@pytest.mark.parametrize(
    ("text", "name"),
    [("Reb1", "Reb1"), ("a+b-c", "a_b_c"), ("1st", "n1st"), ("+", "n_"), ("\u00e9", "n_")],
)
def test_names_hold_letters_digits_and_underlines(text, name):
    assert plain_name(text) == name and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)


def test_names_that_would_be_the_same_are_told_apart():
    assert unique_names(["a+b", "a-b", "a_b", "c"]) == ["a_b", "a_b_2", "a_b_3", "c"]


def test_long_labels_are_cut():
    name = "a_class_with_a_name_that_is_as_long_as_the_configuration_allows_" + "x" * 30
    text = track_text(Hub("s", "g", (name,), ((name, "both", "f.bw"),), "c:1-2", True))
    short, long = (re.findall(rf"^{key} (.+)$", text, re.M) for key in ("shortLabel", "longLabel"))
    assert max(map(len, short)) == 17 and max(map(len, long)) == 80


def test_places_stay_on_the_contig():
    assert default_place("c", 100, 101, 400) == "c:1-400"
    assert default_place("c", 1000, 1050, 9000, 500) == "c:501-1550"
