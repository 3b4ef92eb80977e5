"""What `explain` of a screen stands for."""

from __future__ import annotations

import pytest

from genomesieve.explanation_settings import PARTS, expand_explanations, wanted_parts


def expanded(value: object) -> object:
    """Expand the explanation of the only screen."""
    document = {"screens": {"toy": {"explain": value}}}
    result = expand_explanations(document)
    assert document == {"screens": {"toy": {"explain": value}}}
    return result["screens"]["toy"]["explain"]


def test_true_stands_for_everything():
    assert expanded(True) == expanded({}) == dict.fromkeys(PARTS, {})


def test_parts_are_switched_off_and_set_one_by_one():
    found = expanded({"sites": 3, "motifs": False, "probes": {"seed": 1}})
    assert found == {
        "sites": 3, "motifs": False, "probes": {"seed": 1}, "interventions": {}, "attention": {},
    }  # fmt: skip
    assert list(wanted_parts({"explain": found})) == ["interventions", "attention", "probes"]


def test_nothing_is_wanted_of_false():
    assert expanded(False) is False
    assert list(wanted_parts({"explain": False})) == []


@pytest.mark.parametrize("wrong", [None, "yes", 3, [], {"motifs": "yes"}])
def test_what_is_neither_is_left_to_the_schema(wrong):
    found = expanded(wrong)
    assert found == wrong if not isinstance(wrong, dict) else found["motifs"] == "yes"


@pytest.mark.parametrize("document", [{}, {"screens": 3}, {"screens": {"toy": None}}, [1], "text"])
def test_other_documents_stay_as_they_are(document):
    assert expand_explanations(document) == document
