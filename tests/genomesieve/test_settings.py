import pytest

from genomesieve.errors import InputError
from genomesieve.settings import complete_settings, require_above_zero

DEFAULTS = {"steps": 10, "rate": 0.5, "edges": (1, 2), "names": ["a"], "deep": {}, "k": None}


def test_given_values_replace_defaults_in_the_default_type():
    found = complete_settings("s", {"rate": 1, "edges": [3], "k": "any"}, DEFAULTS)
    assert found == DEFAULTS | {"rate": 1.0, "edges": (3,), "k": "any"}
    assert isinstance(found["rate"], float) and isinstance(found["edges"], tuple)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepz": 3}, "s.stepz: there is no such setting; did you mean 'steps'"),
        ({"colour": 3}, "expected one of steps, rate"),
        ({"steps": 1.5}, "s.steps is 1.5; expected a whole number, such as 10"),
        ({"steps": True}, "s.steps is True; expected a whole number"),
        ({"rate": "fast"}, "s.rate is 'fast'; expected a number"),
        ({"edges": [1, "x"]}, "s.edges is"),
        ({"names": "a"}, "expected a list"),
        ({"deep": []}, "expected a table"),
        ([1], "expected a table of settings"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    with pytest.raises(InputError, match="expected|did you") as caught:
        complete_settings("s", given, DEFAULTS)
    assert message in str(caught.value)


def test_settings_that_must_be_positive():
    require_above_zero("s", {"a": 1, "b": 0}, "a")
    with pytest.raises(InputError, match="s.b is 0; expected above 0"):
        require_above_zero("s", {"a": 1, "b": 0}, "a", "b")
