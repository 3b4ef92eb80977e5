import pytest

from genomesieve.architecture import resolve_architecture
from genomesieve.custom_settings import check_sources, code_and_class, output_order
from genomesieve.errors import InputError

OUTPUTS = ["background", "acceptor", "donor"]
MODEL = {"preset": "custom", "context": 10, "outputs": OUTPUTS}


def settings_of(**changes):
    return resolve_architecture(MODEL | changes).settings


def test_geometry_is_what_is_declared():
    architecture = resolve_architecture(MODEL | {"context": 30, "resolution": 5})
    assert (architecture.context, architecture.resolution, architecture.stride) == (30, 5, 5)
    assert resolve_architecture(MODEL | {"resolution": 5, "stride": 20}).stride == 20
    assert resolve_architecture(MODEL | {"resolution": 20, "stride": 5}).stride == 20


def test_model_json_names_neither_code_nor_weights():
    kept = resolve_architecture(
        MODEL | {"network": "a.py:B", "weights": "w.pt", "arguments": {"channels": 3}}
    ).to_dict()
    assert not {"network", "weights"} & set(kept)
    assert kept["arguments"] == {"channels": 3} and kept["outputs"] == OUTPUTS
    assert resolve_architecture(kept).to_dict() == kept


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": -1}, "model.context is missing"),
        ({"context": "ten"}, "expected a whole number"),
        ({"resolution": 0}, "model.resolution is 0"),
        ({"resolution": 5, "stride": 7}, "multiple or a divisor of model.resolution 5"),
        ({"crop": -1}, "model.crop is -1"),
        ({"activation": "softmx"}, "expected one of logits, softmax, sigmoid"),
        ({"arguments": [1]}, "expected a table of keyword arguments"),
        ({"outputs": []}, "expected the name of each output"),
        ({"outputs": ["a", "b", "a"]}, "names a twice"),
        ({"contxt": 10}, "did you mean 'context'"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        settings_of(**changes)


def test_outputs_are_brought_into_our_order():
    classes = ["donor", "acceptor"]
    assert output_order(settings_of(), classes, "exclusive") == [0, 2, 1]
    last = settings_of(outputs=["acceptor", "donor", "background"])
    assert output_order(last, classes, "exclusive") == [2, 1, 0]
    # A network of many outputs, of which a screen uses two.
    many = settings_of(outputs=["x", "acceptor", "y", "donor"])
    assert output_order(many, classes, "independent") == [3, 1]


@pytest.mark.parametrize(
    ("changes", "classes", "labels", "message"),
    [
        ({"outputs": ["acceptor", "donor"]}, ["donor", "acceptor"], "exclusive", "background"),
        ({"outputs": [*OUTPUTS, "x"]}, ["donor", "acceptor"], "exclusive", "order, background, d"),
        ({}, ["donor", "branch"], "independent", "order, donor, branch"),
        ({}, ["background", "donor"], "exclusive", "expected another name"),
        ({"activation": "sigmoid"}, ["donor", "acceptor"], "exclusive", "labels: independent"),
        ({"activation": "softmax"}, ["donor", "acceptor"], "independent", "labels: exclusive"),
    ],
)
def test_outputs_that_do_not_go_with_the_classes_are_refused(changes, classes, labels, message):
    with pytest.raises(InputError, match=message):
        output_order(settings_of(**changes), classes, labels)


@pytest.mark.parametrize("network", ["", "a.py", "a.txt:B", "a.py:", "a.py:B.c", "a.py:B()"])
def test_form_of_code_is_checked(network):
    with pytest.raises(InputError, match="file.py:Class"):
        code_and_class(network)


def test_weights_are_required():
    with pytest.raises(InputError, match="weights is missing.*training one from scratch is not"):
        check_sources(settings_of(network="a.py:B"))
