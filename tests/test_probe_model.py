"""Probes of networks whose weights are set by hand, so that what they hold and use is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import probe_model
from attributed_models import make_bundle
from custom_networks import CONTEXT, RECIPE
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.custom_network import build_custom_network, load_code
from genomesieve.ensemble import Ensemble
from genomesieve.gathering import one_hot
from genomesieve.hidden_states import list_layers
from genomesieve.networks import build_network
from genomesieve.projection import project_out, with_removal

BIN = 10
MODEL = {
    "preset": "motif_cnn", "resolution": BIN, "channels": 4, "stem_kernels": [1], "norm": "none",
    "pooling": "average", "pool_margin": 0, "hidden": 0, "dropout": 0.0,
}  # fmt: skip
UNITS = ("CG", "AG", "GT", "")
"""Letters that each unit of the stem marks; after pooling it is their share in the bin."""
LENGTHS = {"c1": 60_000, "c2": 30_007, "c3": 60_000}


def set_by_hand(weights):
    """A network whose first unit is exactly the share of G and C; weights: (classes, units)."""
    architecture = resolve_architecture(MODEL)
    network = build_network(architecture, len(weights), "independent").eval()
    with torch.no_grad():
        stem = network.stem[0]
        stem.weight.zero_()
        stem.bias.zero_()
        for unit, letters in enumerate(UNITS):
            for letter in letters:
                stem.weight[unit, "ACGT".index(letter)] = 1
        network.head.weight.copy_(torch.tensor(weights)[:, :, None, None])
        network.head.bias.fill_(-3)
    names = ["strong", "purine"][: len(weights)]
    return Bundle("motif_cnn", network, architecture, names, False, "independent")


USES_GC = [[8.0, 0, 0.5, 0], [0, 8.0, 0.5, 0]]
IGNORES_GC = [[0.0, 8.0, 0.5, 0], [0, 8.0, -0.5, 0]]
"""The third unit breaks the ties that shares of few bases have: else any change would."""


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Three contigs of random sequence; sites are bins that are rich in G and C, or in purines."""
    root = tmp_path_factory.mktemp("by_hand")
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, sum(LENGTHS.values()), dtype=np.uint8)
    codes[100:160] = DNA.unknown
    offset = np.cumsum([0, *LENGTHS.values()])[:-1]
    folder = root / "toy"
    folder.mkdir()
    np.save(folder / "codes.npy", codes)
    names, lengths = list(LENGTHS), list(LENGTHS.values())
    contigs = pd.DataFrame({"contig": names, "length": lengths, "offset": offset})
    contigs.to_csv(folder / "contigs.tsv", sep="\t", index=False)
    rows = []
    for (name, length), first in zip(LENGTHS.items(), offset):
        bins = codes[first : first + length // BIN * BIN].reshape(-1, BIN)
        for kind, letters in (("strong", [1, 2]), ("purine", [0, 2])):
            rich = np.isin(bins, letters).sum(axis=1) + generator.normal(0, 0.5, len(bins)) > 8.3
            rows += [(name, at * BIN + 5, ".", kind) for at in np.flatnonzero(rich)]
    sites = pd.DataFrame(rows, columns=["contig", "position", "strand", "class"])
    sites.assign(start=sites["position"], end=sites["position"] + 1).to_parquet(root / "s.parquet")
    none = {"contig": str, "start": "int64", "end": "int64", "role": str, "class": str}
    pd.DataFrame(columns=list(none)).astype(none).to_parquet(root / "i.parquet")
    parts = [("c1", "train"), ("c2", "valid"), ("c3", "test")]
    split = [(name, 0, LENGTHS[name], part) for name, part in parts]
    columns = ["contig", "start", "end", "part"]
    pd.DataFrame(split, columns=columns).to_csv(root / "split.tsv", sep="\t", index=False)
    masked = pd.DataFrame({"contig": list(LENGTHS), "start": 1000, "end": 20_000})
    masked.to_parquet(folder / "softmask.parquet")
    return root


def run(genome, bundle, output, *options):
    """Save a bundle, probe it and return the exit code."""
    model = output / "model"
    save_bundle(model, bundle)
    named = {"genome": "toy", "sites": "s.parquet", "intervals": "i.parquet", "split": "split.tsv"}
    return probe_model.main(
        [
            *("--model", str(model), "--device", "cpu", "--threads", "1"),
            *(item for key, path in named.items() for item in (f"--{key}", f"toy={genome / path}")),
            *("--flank", "0", "--positions", "1500", "--bases", "60000", "--repeats", "200"),
            *("--controls", "3", "--random-removals", "4", "--type-length", "5", "--words", "2"),
            *(*map(str, options), "--output-dir", str(output / "probes")),
        ]
    )


def read(output):
    """Return the three tables and the summary."""
    folder = output / "probes"
    names = ("probes", "interventions", "similarity")
    tables = [pd.read_csv(folder / f"{name}.tsv", sep="\t") for name in names]
    return *tables, json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def used(genome, tmp_path_factory):
    output = tmp_path_factory.mktemp("used")
    assert run(genome, set_by_hand(USES_GC), output) == 0
    return read(output)


@pytest.fixture(scope="module")
def unused(genome, tmp_path_factory):
    output = tmp_path_factory.mktemp("unused")
    options = ("--properties", "gc", "--controls", 1)
    assert run(genome, set_by_hand(IGNORES_GC), output, *options) == 0
    return read(output)


def score(probes, what, metric="r2", layer="pool", name="gc"):
    """Return the row of one score."""
    chosen = probes[
        (probes["what"] == what)
        & (probes["metric"] == metric)
        & (probes["layer"] == layer)
        & (probes["property"] == name)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_a_unit_that_is_gc_is_found(used):
    probes, *_ = used
    for layer in ("stem", "pool"):
        assert score(probes, "trained", layer=layer)["score"] == pytest.approx(1, abs=1e-6)
        unit = score(probes, "single_unit", layer=layer)
        assert unit["score"] == pytest.approx(1, abs=1e-6) and unit["unit"] == 0
        assert score(probes, "kmer", layer=layer)["score"] > 0.8
        selective = score(probes, "selectivity", layer=layer)
        assert selective["low"] > 0.9 and selective["chance"] == 0


def test_an_untrained_network_gives_gc_away(used):
    """Random filters of single letters count letters: no learning is needed to read GC."""
    probes, *_ = used
    untrained = score(probes, "untrained")
    assert untrained["low"] > 0.3
    assert score(probes, "control", layer="pool")["high"] < 0.1


def test_control_tasks_are_at_chance_on_types_that_were_not_seen(used):
    """No probe knows what it was never told, whatever it reads of the property itself."""
    probes, _, _, summary = used
    unseen = probes[probes["what"] == "control_unseen"]
    unseen = unseen[unseen["metric"].isin(["r2", "auroc"])]
    assert len(unseen) == summary["unseen_controls"]["probes"] >= 10
    # One in forty intervals lies above chance by chance; both layers hold the same numbers.
    assert summary["unseen_controls"]["above_chance"] <= 2
    assert (unseen["score"] - unseen["chance"]).mean() < 0.01
    assert (unseen["score"] - unseen["chance"]).max() < 0.07


def test_what_has_nothing_to_do_with_sequence_is_not_read(used):
    """Repeats are marked without regard to the sequence."""
    probes, interventions, _, summary = used
    verdicts = {one["property"]: one for one in summary["properties"]}
    assert verdicts["repeat"]["verdict"] == "not read"
    assert "repeat" not in set(interventions["property"])
    row = score(probes, "trained", "auroc", name="repeat")
    assert row["low"] < 0.5 < row["high"] and 0.2 < row["prevalence"] < 0.5


def test_a_property_that_is_used_costs_average_precision(used):
    _, interventions, _, summary = used
    verdict = next(one for one in summary["properties"] if one["property"] == "gc")
    assert verdict["verdict"] == "used" and verdict["used_by"] == ["strong"]
    mine = interventions[interventions["property"] == "gc"].set_index(["removed", "class"])
    for kind in ("probe", "erasure"):
        row = mine.loc[(kind, "strong")]
        assert row["before"] > 0.5 and row["loss"] > 0.4 and row["excess_low"] > 0
        assert row["loss"] == pytest.approx(row["before"] - row["after"])
        assert row["loss"] > row["largest_random"] and row["beyond_random"]
        assert row["directions"] == 1 and row["readable_before"] == pytest.approx(1, abs=1e-6)
        # The other class reads another unit.
        other = mine.loc[(kind, "purine")]
        assert abs(other["loss"]) < 0.02 and not other["beyond_random"]
    assert mine.loc[("erasure", "strong"), "readable_after"] < 0.02


def test_a_property_that_is_present_and_not_used_costs_nothing(unused):
    probes, interventions, _, summary = unused
    assert score(probes, "trained")["score"] == pytest.approx(1, abs=1e-6)
    assert [one["verdict"] for one in summary["properties"]] == ["present"]
    taken = interventions[interventions["removed"] == "probe"]
    np.testing.assert_allclose(taken["loss"], 0, atol=1e-3)
    erased = interventions[interventions["removed"] == "erasure"]
    assert (erased["loss"].abs() < 0.02).all() and (erased["readable_after"] < 0.02).all()


@pytest.mark.parametrize("layer", ["stem", "pool"])
def test_the_output_without_gc_is_as_computed_by_hand(layer):
    bundle = set_by_hand(USES_GC)
    path = next(
        one.path for one in list_layers(bundle.network, bundle.architecture) if one.name == layer
    )
    codes = np.random.default_rng(1).integers(0, 4, (6, 3 * BIN), dtype=np.uint8)
    centre = np.array([0.45, 0.5, 0.5, 0])
    network = with_removal(bundle.network, path, project_out(np.eye(4)[:, :1], centre))
    with torch.no_grad():
        found = network(one_hot(torch.from_numpy(codes), DNA)).numpy()
    purine = np.isin(codes, [0, 2]).reshape(6, 3, BIN).mean(axis=2)
    keto = np.isin(codes, [2, 3]).reshape(6, 3, BIN).mean(axis=2)
    expected = np.stack([8 * 0.45 + 0.5 * keto - 3, 8 * purine + 0.5 * keto - 3], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_was_left_out_is_said_with_its_reason(used):
    *_, summary = used
    assert set(summary["left_out"]) == {"codon_phase", "strand", "laboratory"}
    assert summary["left_out"]["laboratory"] == "all data is of one laboratory"
    assert summary["left_out"]["strand"] == "no genes of toy"
    assert [one["layer"] for one in summary["layers"]] == ["stem", "pool"]
    assert [one["seen_bp"] for one in summary["layers"]] == [BIN, BIN]


def test_members_of_an_ensemble_are_compared(genome, tmp_path):
    """The second member holds the same in other units; the third one is its own."""
    members = [set_by_hand(USES_GC).network for _ in range(3)]
    order = [2, 0, 3, 1]
    with torch.no_grad():
        for tensor in (members[1].stem[0].weight, members[1].stem[0].bias):
            tensor.copy_(tensor[order].clone())
        members[1].head.weight.copy_(members[1].head.weight[:, order].clone())
        torch.manual_seed(5)
        members[2].stem[0].weight.normal_()
    bundle = set_by_hand(USES_GC)
    bundle.network, bundle.member_seeds = Ensemble(members, "independent").eval(), [7, 8, 9]
    options = ("--properties", "gc", "--bases", 0, "--member", 1)
    assert run(genome, bundle, tmp_path, *options) == 0
    probes, interventions, similarity, summary = read(tmp_path)
    assert score(probes, "single_unit")["unit"] == 1
    assert interventions.empty and summary["properties"][0]["verdict"] == "present, use not tried"
    trained = similarity[similarity["what"] == "trained"]
    pairs = {tuple(sorted(pair)): row for *pair, row in zip(
        trained["one"], trained["other"], trained.to_dict("records"))}  # fmt: skip
    assert set(pairs) == {(7, 8), (7, 9), (8, 9)}
    assert pairs[7, 8]["cka"] == pytest.approx(1)
    assert pairs[7, 8]["matched_units"] == pytest.approx(0.75)  # one of four never changes
    assert pairs[7, 9]["cka"] < 0.99
    assert {"untrained", "trained_untrained"} < set(similarity["what"])


KINDS = [
    ({"preset": "gru", "channels": 8, "window": 100, "reach": 5}, "independent", "augment"),
    ({"preset": "transformer", "window": 100, "reach": 5}, "independent", "average"),
    ({"preset": "motif_cnn", "channels": 8, "shortcut": True}, "exclusive", "equivariant"),
    ({"preset": "spliceai", "channels": 8, "dilations": [600, 600], "skips": 1}, "exclusive",
     "augment"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), KINDS)
def test_networks_of_every_kind_are_probed(genome, tmp_path, model, labels, reverse_complement):
    """Those that mix over length, and those that see so far that bins share a window."""
    bundle = make_bundle(model, labels, reverse_complement)
    bundle.classes = ["strong", "purine"]
    options = ("--properties", "gc,distance", "--positions", 400, "--bases", 6000)
    options += ("--random-removals", 1, "--controls", 1)
    assert run(genome, bundle, tmp_path, *options) == 0
    probes, interventions, _, summary = read(tmp_path)
    trained = probes[(probes["what"] == "trained") & (probes["property"] == "gc")]
    assert list(trained["layer"].unique()) == [one["layer"] for one in summary["layers"]]
    assert np.isfinite(probes["score"]).all()
    assert trained.loc[trained["metric"] == "r2", "score"].max() > 0.02
    assert summary["positions"]["test"] > 250


def test_a_model_without_a_site_there_is_probed_all_the_same(genome, tmp_path):
    """There is nothing to lose: losses are not known."""
    bundle = set_by_hand(USES_GC)
    bundle.classes = ["this", "that"]
    assert run(genome, bundle, tmp_path, "--properties", "gc,distance") == 0
    _, interventions, _, summary = read(tmp_path)
    assert interventions["loss"].isna().all() and len(interventions) == 8
    assert summary["properties"][0]["verdict"] == "present"
    assert summary["left_out"] == {"distance": "the same at all positions of part train"}


def test_a_network_of_ones_own_is_probed(genome, tmp_path, capsys):
    model = {"preset": "custom", "context": CONTEXT, "outputs": ["background", "purine", "strong"]}
    architecture = resolve_architecture(model)
    path = f"{RECIPE}:SmallNetwork"
    code = load_code(path)
    names = ["strong", "purine"]
    network = build_custom_network(code, architecture, names, "exclusive").eval()
    rest = architecture, names, False, "exclusive"
    bundle = Bundle("custom", network, *rest, code=code.describe())
    options = ("--properties", "gc", "--flank", 3, "--network-code", path)
    assert run(genome, bundle, tmp_path, *options) == 0
    probes, *_ = read(tmp_path)
    assert {"motifs", "norm", "pairs", "head"} <= set(probes["layer"])
    assert score(probes, "trained", layer="motifs")["score"] > 0.5
    assert run(genome, bundle, tmp_path) == 1
    assert "--network-code" in capsys.readouterr().err


def test_a_trained_network_is_probed_with_its_genes(planted, calibrated, tmp_path):
    """A stranded, exclusive network on a genome with unknown bases."""
    sites = pd.read_parquet(planted.sites)
    rows = []
    for name, length in (("chr1", 120_000), ("chr2", 40_037)):
        for number, first in enumerate(range(0, length - 600, 700)):
            rows.append((name, first + 1, first + 600, "+-"[number % 2], f"{name}{number}"))
    line = '{0}\tx\tCDS\t{1}\t{2}\t.\t{3}\t0\tgene_id "{4}"; transcript_id "{4}";\n'
    (tmp_path / "genes.gtf").write_text("".join(line.format(*row) for row in rows))
    options = [
        *("--model", str(calibrated), *planted.arguments(), "--device", "cpu", "--threads", "1"),
        *("--genes", f"toy={tmp_path / 'genes.gtf'}", "--positions", "2000", "--controls", "1"),
        *("--bases", "20000", "--random-removals", "1", "--repeats", "50"),
        *("--output-dir", str(tmp_path / "probes")),
    ]
    assert len(sites) and probe_model.main(options) == 0
    probes, interventions, _, summary = read(tmp_path)
    names = {"gc", "cpg", "stacking", "purine_run", "distance", "codon_phase", "strand"}
    assert set(probes["property"]) == names
    assert set(summary["left_out"]) == {"repeat", "laboratory"}
    assert set(probes["layer"]) == {"stem", "block_1", "trunk"}
    # Genes of this genome are drawn without regard to its sequence.
    for name in ("codon_phase", "strand"):
        row = score(probes, "trained", "auroc", "trunk", name)
        assert row["low"] < 0.55
    assert set(interventions["class"]) <= {"donor", "acceptor"}
    again = load_bundle(calibrated).network.state_dict()
    assert all(torch.isfinite(value).all() for value in again.values())


def test_two_laboratories_are_told_apart_where_they_differ(genome, tmp_path):
    """The second laboratory's genome is the same sequence with fewer G and C."""
    other = tmp_path / "other"
    other.mkdir()
    codes = np.load(genome / "toy" / "codes.npy").copy()
    codes[(codes == 1) & (np.random.default_rng(2).random(len(codes)) < 0.7)] = 3
    np.save(other / "codes.npy", codes)
    (other / "contigs.tsv").write_text((genome / "toy" / "contigs.tsv").read_text())
    more = [
        *("--genome", f"other={other}", "--sites", f"other={genome / 's.parquet'}"),
        *("--intervals", f"other={genome / 'i.parquet'}", "--split"),
        *(f"other={genome / 'split.tsv'}", "--laboratory", "toy=A", "--laboratory", "other=B"),
        *("--properties", "gc,laboratory", "--bases", "0"),
    ]
    assert run(genome, set_by_hand(USES_GC), tmp_path, *more) == 0
    probes, _, _, summary = read(tmp_path)
    assert summary["genomes"] == ["toy", "other"] and not summary["left_out"]
    row = score(probes, "trained", "auroc", name="laboratory")
    assert row["low"] > 0.7 and row["prevalence"] == pytest.approx(0.5, abs=0.01)


def test_the_same_seed_gives_the_same_numbers(genome, used, tmp_path):
    assert run(genome, set_by_hand(USES_GC), tmp_path) == 0
    for one, other in zip(read(tmp_path)[:3], used[:3]):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--positions", "5"), "--positions: found 5; expected at least 100"),
        (("--properties", "gc,colour"), "--properties: found colour; expected some of gc"),
        (("--member", "1"), "--member: found 1; the model has 1"),
        (("--genes", "moon=x.gtf"), "--genes names moon; expected some of toy"),
        (("--genes", "toy=x.gtf"), "x.gtf does not exist"),
        (("--laboratory", "moon=x"), "--laboratory names moon"),
    ],
)
def test_bad_arguments_are_named(genome, tmp_path, capsys, options, message):
    assert run(genome, set_by_hand(USES_GC), tmp_path, *options) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "probes").exists()
