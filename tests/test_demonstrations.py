"""What the demonstrations stand on is true, and each of them runs small."""

import importlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.networks import build_network

NAMES = ("measuring", "examples", "planted_pairs", "long_range", "weight_sharing")
NAMES += ("uci_junctions", "heads", "tables")


@pytest.fixture(scope="module", autouse=True)
def modules(repository):
    """The demonstrations' modules, by name."""
    sys.path.insert(0, str(repository / "benchmarks"))
    yield {name: importlib.import_module(name) for name in NAMES}
    sys.path.remove(str(repository / "benchmarks"))
    for name in NAMES:
        del sys.modules[name]


# --- planted pairs ---


def starts(text, word):
    return [at for at in range(len(text)) if text.startswith(word, at)]


def test_labels_of_pairs_are_those_of_a_search_in_the_text(modules):
    pairs = modules["planted_pairs"]
    planted = pairs.plant_pairs(60, 5)
    found, without_a = set(), 0
    for row, codes in enumerate(planted.examples.codes):
        text = "".join("ACGT"[code] for code in codes)
        of_b = starts(text, "CCGATATTGG")
        for number in range(24):
            first = 1700 + 50 * number
            of_a = [at for at in starts(text, "TGACTCAGCA") if first <= at < first + 50]
            apart = [b - a for a in of_a for b in of_b if 10 <= b - a <= 1500]
            assert planted.examples.sites[row, 0, number] == bool(apart)
            if apart:
                nearest = [min(b - a for b in of_b if b - a >= 10) for a in of_a if max(of_b) > a]
                assert planted.distance[row, number] in nearest
                found.add(sum(planted.distance[row, number] >= edge for edge in (100, 500)))
            else:
                without_a += bool(of_a)
    assert found == {0, 1, 2} and without_a > 60


def test_oracles_know_what_they_say(modules):
    pairs = modules["planted_pairs"]
    codes = np.zeros((3, pairs.CORE + 2 * pairs.FLANK), dtype=np.uint8)
    a, b = DNA.encode(pairs.MOTIF_A), DNA.encode(pairs.MOTIF_B)
    for row, apart in enumerate((1490, -1450, None)):
        at = pairs.FLANK + 125
        codes[row, at : at + 10] = a
        if apart is not None:
            codes[row, at + apart : at + apart + 10] = b
    sites, distance = pairs.label_bins(codes)
    assert sites.nonzero()[0].tolist() == [0] and distance[0, 2] == 1490
    known = pairs.oracle_scores(codes)
    assert known["motif A"].sum(1).tolist() == [1, 1, 1] and known["motif A"][:, 2].all()
    assert known["both, any order"][:, 2].tolist() == [0, 1, 0]
    first = pairs.FLANK + 50 * np.arange(24)
    place_b = pairs.FLANK + 125 + 1490
    inside = (place_b - first >= 10) & (place_b - first <= 1500)
    assert known["motif B"][0].astype(bool).tolist() == inside.tolist()


def test_no_motif_alone_tells_a_pair(modules):
    pairs = modules["planted_pairs"]
    data = pairs.plant_pairs(300, 1).examples
    sites = data.sites[:, 0].ravel()
    value = {
        name: average_precision_score(sites, scores.ravel())
        for name, scores in pairs.oracle_scores(data.codes).items()
    }
    has_a = pairs.oracle_scores(data.codes)["motif A"].ravel() > 0
    assert value["motif A"] == pytest.approx(sites[has_a].mean())
    assert value["motif B"] < value["motif A"] < 0.45 and value["both, any order"] < 0.6


# --- trunks ---


def fresh(modules, name):
    long_range = modules["long_range"]
    torch.manual_seed(0)
    architecture = resolve_architecture(long_range.MODELS[name])
    network = build_network(architecture, 1, "independent")
    long_range.prepare(name)(network)
    return network, architecture.settings


def test_stems_start_as_detectors(modules):
    network, _ = fresh(modules, "lstm")
    pairs = modules["planted_pairs"]
    codes = np.random.default_rng(0).integers(0, 4, 3000).astype(np.uint8)
    codes[700:710], codes[900:910] = DNA.encode(pairs.MOTIF_A), DNA.encode(pairs.MOTIF_B)
    x = torch.nn.functional.one_hot(torch.from_numpy(codes.astype(int)), 4).T[None, :, None].float()
    found = network.stem[0](x)[0, :2, 0]
    assert (found == 3).nonzero().tolist() == [[0, 700], [1, 900]] and found.max() == 3


@pytest.mark.parametrize("name", ["rnn", "gru", "transformer", "transformer, rotary"])
def test_gradients_reach_back(modules, one_thread, name):
    profile = modules["long_range"].gradient_profile(*fresh(modules, name), 2, 0)
    assert list(profile) == [1, 10, 100, 1000] and profile[1] > 0 and profile[10] > 0
    if name.startswith("transformer"):
        assert profile[1000] > 0.01 * profile[1]
    else:
        assert profile[100] < 1e-6 * profile[1]


def test_gradients_are_those_of_the_whole_jacobian(modules, one_thread, monkeypatch):
    long_range = modules["long_range"]
    monkeypatch.setattr(long_range, "STEPS_BACK", (1, 6))
    monkeypatch.setattr(long_range, "_BESIDE", 5)
    network, settings = fresh(modules, "lstm")
    found = long_range.gradient_profile(network, settings, 300, 0)
    trunk = long_range.stretched_trunk(network, settings, 17)
    features = long_range.stem_features(network, settings, 17, 300, 0)
    # Inputs do not meet, so the sum of their outputs has the derivatives of each.
    whole = torch.autograd.functional.jacobian(lambda x: trunk(x)[..., 0, 11].sum(0), features)
    norms = whole.square().sum((0, 2, 3)).mean(0).sqrt()
    assert found == pytest.approx({1: float(norms[10]), 6: float(norms[5])}, rel=0.1)


def test_open_gates_keep_gradients(modules, one_thread):
    profiles = {}
    for name in ("lstm", "lstm, open gates", "gru", "gru, open gates"):
        profile = modules["long_range"].gradient_profile(*fresh(modules, name), 2, 0)
        profiles[name] = profile[100] / profile[1]
    assert profiles["lstm, open gates"] > 1e3 * profiles["lstm"]
    assert profiles["gru, open gates"] > 1e3 * profiles["gru"]


# --- weight sharing ---


def both_networks(modules):
    sharing = modules["weight_sharing"]
    architecture = resolve_architecture(sharing.MODEL)
    networks = []
    for change in sharing.NETWORKS.values():
        torch.manual_seed(0)
        network = build_network(architecture, 1, "independent")
        if change:
            change(network)
        networks.append(network.eval())
    return networks


def test_own_weights_that_are_equal_are_a_convolution(modules):
    shared, own = both_networks(modules)
    layer = own.stem[0]
    with torch.no_grad():
        filters = shared.stem[0].weight.squeeze(2).flatten(1).T
        layer.weight.copy_(filters.expand_as(layer.weight))
        layer.bias.copy_(shared.stem[0].bias.expand_as(layer.bias))
        x = torch.randn(3, 4, 214)
        assert torch.allclose(shared(x), own(x), atol=1e-5)


def test_only_shared_weights_do_not_care_where_a_motif_is(modules):
    networks = both_networks(modules)
    motif = torch.nn.functional.one_hot(torch.arange(10) % 4, 4).T.float()
    outputs = [[], []]
    for at in (30, 31, 77, 150):
        x = torch.zeros(1, 4, 214)
        x[0, :, at : at + 10] = motif
        for network, found in zip(networks, outputs):
            found.append(float(network(x).detach()))
    assert len(set(outputs[0])) == 1
    assert np.ptp(outputs[1]) > 1e-3


# --- heads ---


@pytest.mark.parametrize(
    ("labels", "odds", "expected"),
    [
        ("independent", [[-1, -2], [1, 2], [0.5, -3], [-0.1, -0.2]], [0, 2, 1, 0]),
        # p = 0.4, 0.35: the background has 0.25.
        ("exclusive", [[-0.405, -0.619], [-3, -3], [-3, 2]], [1, 0, 2]),
    ],
)
def test_calls_are_the_most_probable_class(modules, labels, odds, expected):
    assert modules["heads"].call_classes(np.array(odds), labels).tolist() == expected


def test_records_become_windows_around_their_middle(modules, tmp_path):
    uci, heads = modules["uci_junctions"], modules["heads"]
    record = "A" * 27 + "CAG" + "GTDSRN" + "T" * 24
    other = "C" * 13 + record[13:]
    lines = ["EI,   X-1,    " + record, "N, Y, " + other, "IE,Z," + "G" * 60]
    (tmp_path / "s.data").write_text("\n".join(lines) + "\n")
    junctions = uci.read_junctions(tmp_path / "s.data")
    assert junctions.label.tolist() == [1, 0, 2]
    assert (junctions.codes[0] == DNA.unknown).sum() == 4
    # 60 - 4 unknown - 13 others = 43 agree, fewer than 48.
    assert len(set(junctions.group)) == 3
    assert len(set(uci.group_alike(junctions.codes, 43))) == 2
    examples = heads.junction_examples(junctions)
    context = resolve_architecture(heads.JUNCTION_MODEL).context
    assert examples.codes.shape[1] == 2 * context + 1
    after = examples.codes[0, context - 2 : context + 3]
    assert after.tolist() == DNA.encode("CAGGT").tolist()
    assert examples.sites[:, :, 0].tolist() == [[True, False], [False, False], [False, True]]


def test_a_record_of_another_length_is_refused(modules):
    with pytest.raises(ValueError, match="expected 60"):
        modules["uci_junctions"].encode_record("ACGT")


def test_exclusive_labels_are_refused_where_classes_share_bins(modules):
    heads = modules["heads"]
    assert "hold two classes" in heads.refusal(heads.plant_overlaps(20, 0))


def test_stretches_hold_the_sites_of_their_strand(modules, tmp_path, monkeypatch):
    heads = modules["heads"]
    monkeypatch.setattr(heads, "PARTS", {"test": "1000-1400"})
    monkeypatch.setattr(heads, "STRETCH", 200)
    monkeypatch.setattr(heads, "BLOCK", 200)
    genome = tmp_path / "results/genomes/athaliana"
    (tmp_path / "results/exclusive/sites").mkdir(parents=True)
    genome.mkdir(parents=True)
    codes = np.random.default_rng(0).integers(0, 4, 3000).astype(np.uint8)
    np.save(genome / "codes.npy", codes)
    (genome / "contigs.tsv").write_text(f"contig\tlength\toffset\n{heads.CONTIG}\t3000\t0\n")
    rows = [(1010, "+", "donor"), (1399, "-", "acceptor"), (999, "+", "donor")]
    sites = pd.DataFrame(rows, columns=["position", "strand", "class"])
    sites.assign(contig=heads.CONTIG).to_parquet(
        tmp_path / "results/exclusive/sites/athaliana.parquet"
    )
    examples, blocks = heads.held_out_stretches(tmp_path)
    assert np.argwhere(examples.sites).tolist() == [[0, 0, 10], [3, 1, 0]]
    assert blocks.tolist() == [0, 0, 1, 1]
    flank = (examples.codes.shape[1] - 200) // 2
    assert examples.codes[0, flank + 10] == codes[1010]
    assert examples.codes[3, flank] == 3 - codes[1399]


# --- averages and tables ---


def test_average_precision_of_draws_is_that_of_scikit_learn(modules):
    examples = modules["examples"]
    generator = np.random.default_rng(0)
    sites = generator.random(400) < 0.1
    scores = [np.round(generator.normal(size=400) + sites, 1) for _ in range(2)]
    blocks = np.arange(400) // 20
    value, draws = examples.precision_draws(scores, sites, blocks, 50)
    expected = np.mean([average_precision_score(sites, one) for one in scores])
    assert value == pytest.approx(expected) and len(draws) == 50
    weights = examples.block_weights(20, 50, 0)
    chosen = np.random.default_rng([0, 1]).integers(0, 2, (2, 50))
    again = [
        np.mean([
            average_precision_score(sites, scores[k], sample_weight=weights[draw][blocks])
            for k in chosen[:, draw]
        ])
        for draw in range(50)
    ]  # fmt: skip
    assert draws == pytest.approx(np.array(again))


ROWS = [
    {"part": "p", "what": "a|b", "metric": "x", "value": 0.5, "low": None},
    {"part": "p", "what": "a|b", "metric": "y", "value": 0.25, "low": 0.1},
    {"part": "p", "what": "c", "metric": "y", "value": None, "low": 0.1},
    {"part": "q", "what": "c", "metric": "y", "value": 9.0, "low": 0.1},
]


def write_page(folder, wanted, rows=ROWS):
    (folder / "r.json").write_text(json.dumps(rows))
    return f"# Title\n\n<!-- table: {json.dumps(wanted)} -->\nold\n<!-- end of table -->\nafter\n"


def test_a_table_takes_the_place_of_the_old_one(modules, tmp_path):
    wanted = {"from": "r.json", "where": {"part": ["p"]}, "columns": {"net": "{what}"}}
    page = write_page(tmp_path, wanted | {"spread": "metric", "cell": "{value:.2f}"})
    new = modules["tables"].rewrite(page, tmp_path)
    lines = ["| net | x | y |", "| --- | --- | --- |", "| a\\|b | 0.50 | 0.25 |", "| c |  |  |"]
    assert new == page.replace("old", "\n".join(lines))
    assert modules["tables"].rewrite(new, tmp_path) == new


def test_rows_can_be_left_out(modules, tmp_path):
    wanted = {"from": "r.json", "where": {"metric": "y"}, "without": {"part": "p", "what": "c"}}
    page = write_page(tmp_path, wanted | {"columns": {"v": "{value}"}})
    assert "| v |\n| --- |\n| 0.25 |\n| 9.0 |\n<!--" in modules["tables"].rewrite(page, tmp_path)


def test_origin_of_results_stands_below(modules, tmp_path):
    content = {"date": "2026-01-02", "machine": {"processor": "P", "cores": 3}, "rows": ROWS}
    page = write_page(tmp_path, {"from": "r.json", "columns": {"v": "{low}"}}, content)
    new = modules["tables"].rewrite(page, tmp_path)
    assert "| v |\n| --- |\n|  |\n| 0.1 |" in new and "Recorded on 2026-01-02 (P, 3 cores)" in new


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"colums": {}}, "keys"),
        ({"where": {"part": "z"}}, "no row"),
        ({"columns": {"a": "{nothing}"}}, "nothing"),
    ],
)
def test_tables_that_cannot_be_are_named(modules, tmp_path, wanted, error):
    page = write_page(tmp_path, {"from": "r.json"} | wanted)
    with pytest.raises((ValueError, KeyError), match=error):
        modules["tables"].rewrite(page, tmp_path)


def test_a_table_without_end_is_an_error(modules):
    with pytest.raises(ValueError, match="end of table"):
        modules["tables"].rewrite('<!-- table: {"from": "r.json"} -->\n')


def test_the_page_says_what_the_results_say(modules, repository):
    page = repository / "docs" / "demonstrations.md"
    assert modules["tables"].main(["--check", str(page)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "shown"),
    [
        ("long_range", ["--networks", "dilated, sees 450 bp", "gru"], "gradient after training"),
        ("weight_sharing", [], "planted word | difference | 60"),
        ("heads", [], "expected classes that exclude each other"),
    ],
)
def test_demonstrations_run_small_and_save_nothing(repository, name, options, shown):
    results = repository / "benchmarks" / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    program = repository / "benchmarks" / f"{name}.py"
    command = [sys.executable, program, "--quick", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in results.iterdir()} == before
