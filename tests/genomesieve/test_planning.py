import pytest
import torch
from torch import nn

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle
from genomesieve.errors import InputError
from genomesieve.networks import build_network
from genomesieve.planning import measure_cost, plan_scan

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def bundle_of(model, stranded=True):
    architecture = resolve_architecture(model)
    labels = "exclusive" if stranded else "independent"
    network = build_network(architecture, 2, labels)
    return Bundle(model["preset"], network, architecture, ["x", "y"], stranded, labels)


DILATED = {"preset": "dilated", "channels": 32, "dilations": [1, 2, 4]}
WINDOW = {
    "preset": "motif_cnn",
    "resolution": 20,
    "channels": 64,
    "stem_kernels": [15],
    "pool_margin": 480,
}
WIDE = {"preset": "dilated", "channels": 32, "kernel": 11, "dilations": [1, 10, 400]}


def test_cost_counts_the_layers():
    layer = nn.Conv1d(4, 10, 7)
    architecture = resolve_architecture({"preset": "dilated"})
    cost = measure_cost(layer, architecture, DNA.size)
    assert cost.operations == 2 * 4 * 10 * 7
    assert cost.values == 10


@pytest.mark.parametrize("model", [DILATED, WINDOW, WIDE])
@pytest.mark.parametrize("device", [CPU, GPU])
def test_chunk_fits_stride_and_memory(model, device):
    bundle = bundle_of(model)
    before = None
    for memory_gb in (0.9, 1, 2, 8, 100):
        plan, _ = plan_scan(bundle, device, memory_gb)
        assert plan.chunk % bundle.architecture.stride == 0
        assert plan.batch >= 1
        bases = plan.batch * (plan.chunk + 2 * bundle.architecture.context)
        values = measure_cost(bundle.network, bundle.architecture, DNA.size).values
        assert bases * values * (2 if device is GPU else 4) <= memory_gb * 1e9
        assert before is None or plan.chunk * plan.batch >= before
        before = plan.chunk * plan.batch


def test_plan_follows_the_network():
    narrow, _ = plan_scan(bundle_of(DILATED), CPU)
    wide, _ = plan_scan(bundle_of(DILATED | {"channels": 128}), CPU)
    assert wide.chunk < narrow.chunk
    far, _ = plan_scan(bundle_of(WIDE), CPU)
    assert far.chunk >= 7 * bundle_of(WIDE).architecture.context


@pytest.mark.parametrize(
    ("units", "expected"),
    [({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")],
)
def test_precision_is_reduced_where_it_pays(monkeypatch, units, expected):
    bundle = bundle_of(DILATED)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert plan_scan(bundle, CPU)[0].precision == expected
    assert plan_scan(bundle, GPU)[0].precision == "bfloat16"
    assert plan_scan(bundle, GPU, precision="float32")[0].precision == "float32"
    with pytest.raises(InputError, match="precision is 'float8'"):
        plan_scan(bundle, CPU, precision="float8")


def test_reasons_name_the_way():
    assert "sliding maximum" in plan_scan(bundle_of(WINDOW, stranded=False), CPU)[1][0]
    _, reasons = plan_scan(bundle_of(DILATED), CPU, 0.71)
    assert "dense, 1 chunk" in reasons[0] and "memory_gb 0.71" in reasons[0]
    assert "2 strand pass(es)" in reasons[1]


def test_too_little_memory_is_named():
    with pytest.raises(InputError, match="memory_gb is 0.3; expected at least 0.7"):
        plan_scan(bundle_of(DILATED), CPU, 0.3)


@pytest.mark.parametrize("preset", ["lstm", "transformer"])
def test_windows_are_planned_whole_and_named(preset):
    bundle = bundle_of({"preset": preset, "window": 200, "reach": 10}, stranded=False)
    plan, reasons = plan_scan(bundle, CPU)
    assert plan.chunk % 200 == 0
    assert "windows of 200 bp with a shared stem" in reasons[0]
    # Tables of fixed size, such as a bias for every pair of positions, do not grow with the chunk.
    cost = measure_cost(bundle.network, bundle.architecture, DNA.size)
    assert 10 <= cost.values <= 2000 and cost.operations > 0


def test_a_gpu_holds_what_the_memory_leaves():
    bundle = bundle_of(DILATED)
    plans = [plan_scan(bundle, GPU, memory_gb)[0] for memory_gb in (0.9, 2, 8, 100)]
    assert all(later.held_bases >= plan.held_bases for plan, later in zip(plans, plans[1:]))
    # A human genome is resident on a large card, and some sequence fits on any.
    assert plans[-1].held_bases > 3.1e9 and plans[0].held_bases >= 1 << 25
    values = measure_cost(bundle.network, bundle.architecture, DNA.size).values
    for plan, memory_gb in zip(plans, (0.9, 2, 8, 100)):
        bases = plan.batch * (plan.chunk + 2 * bundle.architecture.context)
        assert bases * values * 2 + plan.held_bases <= memory_gb * 1e9


def test_no_tensor_has_more_elements_than_32_bits_count():
    many = resolve_architecture({"preset": "dilated", "channels": 16})
    names = [f"c{number}" for number in range(700)]
    network = build_network(many, len(names), "independent")
    bundle = Bundle("dilated", network, many, names, True, "independent")
    plan, _ = plan_scan(bundle, GPU, memory_gb=1000)
    row = plan.chunk + 2 * many.context
    assert plan.batch * row * 2 * len(names) < 2**31
    assert plan.batch * row * 2 * len(names) > 2**29


def test_reasons_for_a_gpu_name_bytes_and_operations():
    bundle = bundle_of(DILATED)
    _, reasons = plan_scan(bundle, GPU, 100)
    text = "\n".join(reasons)
    operations = measure_cost(bundle.network, bundle.architecture, DNA.size).operations
    assert "CUDA graph" in text and "resident" in text and "compiled" not in text
    assert f"{operations * 2 * 3.1e9 / 1e12:.3g} T operations" in text
    assert "(24.8 GB)" in text
    plan, reasons = plan_scan(bundle, GPU, compile_network=True)
    assert plan.compile and "network compiled" in "\n".join(reasons)
