"""What the benchmark of estimates without labels calls right, wrong and warned of."""

import importlib
import sys

import pytest

NAMES = ("measuring", "roads", "transfer")


@pytest.fixture(scope="module")
def transfer(repository):
    """The benchmark's module; the library has one of the same name below `genomesieve`."""
    sys.path.insert(0, str(repository / "benchmarks"))
    yield {name: importlib.import_module(name) for name in NAMES}["transfer"]
    sys.path.remove(str(repository / "benchmarks"))
    for name in NAMES:
        del sys.modules[name]


def content(ratio: float | None, precision: float, *warnings: str) -> dict:
    """Return what estimate_transfer might say of donors whose true prevalence is 0.001."""
    prevalence = None if ratio is None else 0.001 * ratio
    figures = {"calibration_prevalence": 0.002, "misfit": 0.1, "misfit_p": 0.5}
    figures |= {"score_distance": 0.1, "score_distance_within": 0.1}
    for how in ("em", "bbse"):
        figures |= {f"{how}_prevalence": prevalence, f"{how}_precision": precision}
    rows = [
        {"class": "donor", "measure": name, "value": value,
         "low": value and 0.9 * value, "high": value and 1.1 * value}
        for name, value in figures.items()
    ]  # fmt: skip
    found = [{"class": kind, "what": what} for kind, what in (one.split(":") for one in warnings)]
    return {"measures": rows, "warnings": found}


@pytest.mark.parametrize(
    ("ratio", "precision", "warnings", "verdict"),
    [
        (1.05, 0.7, [], "right"),
        (1.05, 0.7, ["donor:swamped"], "right, warned"),
        (1.05, 0.7, [":relative", "acceptor:swamped", "donor:few_blocks"], "right"),
        (1.6, 0.7, [], "wrong, NOT warned"),
        (0.6, 0.7, ["donor:no_mixture"], "wrong, warned"),
        (1.0, 0.9, [":gc"], "wrong, warned"),
        (0.0, 0.7, [], "wrong, NOT warned"),
    ],
)
def test_verdicts(transfer, ratio, precision, warnings, verdict):
    row = {"prevalence": 0.001, "precision": 0.72, "promised": 0.75}
    found = transfer.compare(row, content(ratio, precision, *warnings), "donor")
    assert found["verdict"] == verdict
    assert found["em_ratio"] == pytest.approx(ratio)
    assert found["em_covers"] is (0.9 * ratio <= 1 <= 1.1 * ratio)
    assert found["em_error"] == pytest.approx(precision - 0.72)
    assert found["promise_error"] == pytest.approx(0.03)


def test_calls_that_nothing_is_known_of_are_no_success(transfer):
    row = {"prevalence": 0.001, "precision": None, "promised": 0.75}
    assert transfer.compare(row, content(1.0, 0.7), "donor")["badly_wrong"]
