import pytest

from genomesieve.architecture import resolve_architecture
from genomesieve.auxiliary_settings import AuxiliaryTask, resolve_auxiliary
from genomesieve.errors import InputError

ARCHITECTURE = resolve_architecture({"preset": "dilated", "stem_kernels": [21], "dilations": [1]})
CONTEXT = 10 + 2 * 3


def test_defaults():
    given = {"a": {"property": "gc"}, "b": {"track": "open", "weight": 2}}
    assert resolve_auxiliary(given, ARCHITECTURE) == [
        AuxiliaryTask("a", "gc", "", 0.1, CONTEXT),
        AuxiliaryTask("b", "", "open", 2.0, 0),
    ]
    wide = resolve_architecture({"preset": "dilated", "dilations": [1, 8, 16]})
    assert resolve_auxiliary({"a": {"property": "cpg"}}, wide)[0].flank == 50
    assert resolve_auxiliary({}, wide) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], r"auxiliary is \[\]; expected a table of tasks by name"),
        ({"a": 3}, "auxiliary.a is 3; expected a table of settings"),
        ({"a": {}}, "auxiliary.a needs either a property or a track"),
        ({"a": {"property": "gc", "track": "x"}}, "auxiliary.a needs either"),
        ({"a": {"property": "at"}}, "auxiliary.a.property is 'at'; expected one of gc, cpg, stack"),
        ({"a": {"propery": "gc"}}, "auxiliary.a.propery: there is no such.*'property'"),
        ({"a": {"property": "gc", "weight": 0}}, "auxiliary.a.weight is 0.0; expected above 0"),
        ({"a": {"property": "gc", "flank": -1}}, "auxiliary.a.flank is -1; expected a whole"),
        ({"a": {"property": "gc", "flank": 2.5}}, "auxiliary.a.flank is 2.5; expected a whole"),
        ({"a": {"property": "gc", "flank": 17}}, "flank is 17 bp; expected at most .* 16 bp"),
        ({"a": {"property": "cpg", "flank": 0}}, "bin and flanks are 1 bp; expected at least 2"),
    ],
)
def test_bad_settings_are_named(given, expected):
    with pytest.raises(InputError, match=expected):
        resolve_auxiliary(given, ARCHITECTURE)
