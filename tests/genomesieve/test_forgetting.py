import numpy as np
import pytest

from genomesieve.forgetting import (
    Measured,
    Task,
    cell_interval,
    compare,
    make_matrix,
    summarise,
)

TASKS = [Task("a", "A", ("x", "y")), Task("b", "B", ("x",)), Task("c", "C", ("x",))]
R = np.array([[0.9, 0.3, 0.2], [0.5, 0.8, 0.4], [0.6, 0.7, 0.9]])


def measured(values, spread=0.0, repeats=400):
    """One table a stage; class y of genome A is 0.2 better than class x."""
    generator = np.random.default_rng(0)
    noise = spread * generator.normal(size=(3, repeats))
    tables = []
    for row in values:
        table = {}
        for column, (genome, value) in enumerate(zip("ABC", row)):
            for name, shift in (("x", -0.1), ("y", 0.1)) if genome == "A" else (("x", 0.0),):
                point = value + shift
                table[genome, name] = Measured(point, point + noise[column], 0.01)
        tables.append(table)
    return tables


def test_measures_are_those_of_their_papers():
    found = {k: v[0] for k, v in summarise(make_matrix("m", TASKS, measured(R))).items()}
    assert found["average"] == pytest.approx((0.6 + 0.7 + 0.9) / 3)
    assert found["gain"] == pytest.approx(((0.6 - 0.9) + (0.7 - 0.3) + (0.9 - 0.2)) / 3)
    assert found["backward_transfer"] == pytest.approx(((0.6 - 0.9) + (0.7 - 0.8)) / 2)
    assert found["forward_transfer"] == pytest.approx(((0.3 - 0.01) + (0.4 - 0.01)) / 2)
    assert found["forgetting"] == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)


def test_forgetting_is_from_the_best_stage():
    values = R.copy()
    values[1, 0] = 0.95
    found = summarise(make_matrix("m", TASKS, measured(values)))
    assert found["forgetting"][0] == pytest.approx(((0.95 - 0.6) + (0.8 - 0.7)) / 2)


def test_stages_are_paired_and_genomes_are_not():
    matrix = make_matrix("m", TASKS, measured(R, spread=0.05))
    found = summarise(matrix)
    # Blocks that raise one stage raise all of a genome: differences between stages are exact.
    low, high = found["backward_transfer"][1:]
    assert high - low < 1e-9
    low, high = found["average"][1:]
    assert 2 * 1.96 * 0.05 / 3**0.5 == pytest.approx(high - low, rel=0.2)
    low, high = cell_interval(matrix, 2, 1)
    assert low < 0.7 < high


def test_classes_that_are_not_known_yet_have_no_transfer():
    tables = measured(R)
    del tables[0]["B", "x"], tables[0]["C", "x"], tables[1]["C", "x"]
    matrix = make_matrix("m", TASKS, tables)
    assert np.isnan(matrix.values[0, 1:]).all()
    found = summarise(matrix)
    assert np.isnan(found["forward_transfer"]).all()
    assert found["forgetting"][0] == pytest.approx(0.2)


def test_methods_are_compared_on_the_same_blocks():
    """Blocks that raise one method raise the other, so a constant lead is an exact one."""
    better = make_matrix("m", TASKS, measured(R + 0.05, spread=0.05))
    plain = make_matrix("n", TASKS, measured(R, spread=0.05))
    value, low, high = compare(better, plain)["average"]
    np.testing.assert_allclose([value, low, high], 0.05)
    np.testing.assert_allclose(compare(better, plain)["forgetting"], 0, atol=1e-12)
