import copy
import datetime
import re

import pytest
import yaml

from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError
from genomesieve.training_plan import with_hard_negatives


@pytest.fixture
def schemas(repository):
    folder = repository / "workflow" / "schemas"
    names = ("config", "genomes", "tracks")
    return [yaml.safe_load((folder / f"{name}.schema.yaml").read_text()) for name in names]


@pytest.fixture
def demo(repository, monkeypatch):
    monkeypatch.chdir(repository)
    return yaml.safe_load((repository / "config" / "config.yaml").read_text())


def test_demo_resolves(demo, schemas):
    plan = resolve_plan(demo, *schemas)
    screen = plan.screens["splice"]
    assert screen.labelled_genomes == ("athaliana", "aarenosa")
    assert screen.evaluated_genomes == ("athaliana", "aarenosa")
    assert screen.bigwigs == ["donor.plus.bw", "donor.minus.bw"] + [
        "acceptor.plus.bw",
        "acceptor.minus.bw",
    ]
    assert screen.scan_parts("athaliana") == ["test"]
    assert screen.scan_parts("alyrata") == ["screen"]
    assert [group.keep_scores for group in plan.scan_groups] == [True, False]


@pytest.mark.parametrize(
    ("device", "gpus"),
    [("cpu", None), ("cpu:2", None), ("auto", 1), ("cuda", 1), ("cuda:3", 1), ("cuda:0,1", 2)],
)
def test_jobs_ask_for_gpus_by_the_device(demo, schemas, device, gpus):
    assert resolve_plan(demo | {"device": device}, *schemas).gpus == gpus


def test_one_seed_without_rounds_has_no_further_models(demo, schemas):
    plan = resolve_plan(demo, *schemas).screens["splice"].training
    assert plan.roads == {
        "dilated": "results/splice",
        "pwm": "results/splice/baselines/pwm",
        "kmer": "results/splice/baselines/kmer",
    }
    assert plan.uncalibrated("results/splice") == "results/splice/training/base/round0/seed0"
    assert plan.round_pairs == []


def test_seeds_and_rounds_have_models_of_their_own(demo, schemas):
    changed = change(demo, "screens.splice.seeds", [3, 0])
    changed = change(changed, "screens.splice.hard_negatives", {"rounds": 2})
    screens = resolve_plan(changed, *schemas)
    plan = screens.screens["splice"].training
    base = "results/splice/training/base"
    assert {name: plan.uncalibrated(road) for name, road in plan.roads.items()} == {
        "dilated": f"{base}/round2/ensemble",
        "pwm": "results/splice/baselines/pwm/training/base/round0/seed3",
        "kmer": "results/splice/baselines/kmer/training/base/round0/seed3",
        "dilated.seed3": f"{base}/round2/seed3",
        "dilated.seed0": f"{base}/round2/seed0",
        "dilated.round0": f"{base}/round0/ensemble",
        "dilated.round1": f"{base}/round1/ensemble",
    }
    assert plan.round_pairs == [("dilated.round1", "dilated.round0")]
    labelled, rest = screens.scan_groups
    assert labelled.roads == tuple(plan.roads.values())
    assert rest.roads == ("results/splice",)


def test_hard_negatives_take_their_share_of_the_mixture(demo, schemas):
    sampling = resolve_plan(demo, *schemas).screens["splice"].settings["sampling"]
    before = dict(sampling["sources"])
    sources = with_hard_negatives(sampling, 0.25)["sources"]
    assert sampling["sources"] == before
    assert sources.pop("hard") == 0.25
    assert sources == pytest.approx({name: 0.75 * share for name, share in before.items()})


def test_tracks_are_for_twenty_classes_unless_asked(demo, schemas):
    classes = {f"c{number}": {"stranded": True, "site": "splice_donor"} for number in range(300)}
    many = change(demo, "screens.splice.classes", classes)
    screen = resolve_plan(many, *schemas).screens["splice"]
    names = [f"c{number}.{strand}.bw" for number in range(20) for strand in ("plus", "minus")]
    assert screen.bigwigs == names
    asked = change(many, "screens.splice.scan", {"bigwigs": ["c299", "c7"]})
    assert resolve_plan(asked, *schemas).screens["splice"].bigwig_classes == ["c7", "c299"]
    none = change(many, "screens.splice.scan", {"bigwigs": []})
    assert resolve_plan(none, *schemas).screens["splice"].bigwigs == []


def change(demo, path, value):
    """Return the demo with the value at a dotted path replaced (or removed, for None)."""
    changed = copy.deepcopy(demo)
    *folders, last = path.split(".")
    place = changed
    for name in folders:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("screens.splice.lables", "exclusive", "did you mean 'labels'"),
        ("screens.splice.labels", "exclusve", "did you mean 'exclusive'"),
        ("screens.splice.labels", None, "lacks the key 'labels'"),
        ("screens.splice.seeds", ["zero"], "expected integer"),
        ("screens.splice.seeds", [], "seeds: .* should be non-empty"),
        ("screens.splice.seeds", [1, 1], "seeds: .* has non-unique elements"),
        ("screens.splice.seed", 0, "unknown key 'seed' .* did you mean 'seeds'"),
        ("screens.splice.hard_negatives", {"round": 1}, "did you mean 'rounds'"),
        ("screens.splice.hard_negatives", {"rounds": -1}, "rounds: -1 is less than the minimum"),
        ("screens.splice.hard_negatives", {"share": 1}, "share: 1 is greater than or equal to"),
        ("screens.splice.train_genomes", ["atalian"], "did you mean 'athaliana'"),
        ("screens.splice.train_genomes", ["alyrata"], "neither an annotation nor a track"),
        ("screens.splice.scan_parts", ["tset"], "did you mean 'test'"),
        ("screens.splice.model.kernal", 3, "did you mean 'kernel'"),
        ("screens.splice.reverse_complement", "equivariant", "classes are stranded; expected aug"),
        ("screens.splice.model", {"preset": "lstm", "window": 900}, "a multiple of 900 bp"),
        ("screens.splice.model", {"preset": "pwm"}, "model.preset is 'pwm'; expected one of dil"),
        ("screens.splice.scan_genomes", ["aarenos"], "scan_genomes names .* did you mean 'aarenos"),
        ("screens.splice.sampling.windows", 0, "sampling.windows: 0 is less than the minimum"),
        ("screens.splice.sampling.length", "5 kb", "sampling.length is '5 kb' .str.; expected int"),
        ("screens.splice.sampling.sources.sites", "all", "sources.sites is 'all' .str.; expected"),
        ("screens.splice.calibration.operating", 0.33, "expected one of precision_targets"),
        ("screens.splice.split.athaliana", {}, "needs one of contigs, fractions and table"),
        ("screens.splice.classes.donor.stranded", False, "mixes stranded and unstranded"),
        ("screens.splice.classes.ctcf", {"stranded": True}, "classes.ctcf has no sites"),
        ("screens.splice.scan", {"bigwigs": ["doner"]}, "scan.bigwigs .* did you mean 'donor'"),
        ("screens.splice.auxiliary", {"a": {"property": "stakcing"}}, "mean 'stacking'"),
        ("screens.splice.auxiliary", {"a": {"weight": 1}}, "splice.auxiliary.a needs either a pro"),
        ("screens.splice.auxiliary", {"a": {"property": "gc", "flank": 900}}, "at most what the n"),
        ("screens.splice.auxiliary", {"a": {"track": "atac"}}, "track 'atac', not a track of role"),
        ("genomes", "nowhere.tsv", "nowhere.tsv"),
    ],
)
def test_mistakes_are_named_in_one_line(demo, schemas, path, value, message):
    with pytest.raises(InputError, match=message) as error:
        resolve_plan(change(demo, path, value), *schemas)
    assert "\n" not in str(error.value)


@pytest.fixture
def own_network(repository, monkeypatch):
    monkeypatch.chdir(repository)
    return yaml.safe_load((repository / "config/recipes/custom_network.yaml").read_text())


def test_a_network_of_ones_own_is_imported(own_network, demo, schemas):
    screen = resolve_plan(own_network, *schemas).screens["custom_splice"]
    assert screen.imported
    assert screen.network_code == "config/recipes/custom_network.py:SmallNetwork"
    assert (screen.architecture.context, screen.architecture.resolution) == (10, 1)
    trained = resolve_plan(demo, *schemas).screens["splice"]
    assert not trained.imported and trained.network_code == ""


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.weights", None, "model.weights is missing"),
        ("model.network", None, "expected the form file.py:Class"),
        ("model.network", "custom_network.py", "expected the form file.py:Class"),
        ("model.context", None, "model.context is missing"),
        ("model.outputs", ["acceptor", "donor"], "background, donor, acceptor"),
        ("model.activation", "sigmoid", "goes with labels: independent"),
        ("model.activaton", "logits", "did you mean 'activation'"),
        ("training", {"steps": 5}, "and not trained"),
        ("seeds", [0, 1], r"seeds is \[0, 1\]; expected one: a custom network"),
        ("hard_negatives", {"rounds": 2}, "hard_negatives.rounds is 2; expected none"),
        ("auxiliary", {"a": {"property": "gc"}}, "a custom network is not trained"),
    ],
)
def test_mistakes_about_ones_own_network_are_named(own_network, schemas, path, value, message):
    changed = change(own_network, f"screens.custom_splice.{path}", value)
    with pytest.raises(InputError, match=message) as error:
        resolve_plan(changed, *schemas)
    assert "\n" not in str(error.value) and "screens.custom_splice" in str(error.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a\tx.fa\na\ty.fa\n", "line 3: genome a stands in line 2 already"),
        ("a b\tx.fa\n", "expected text that matches"),
        ("a\tx.fa\textra\n", "more cells than the header"),
    ],
)
def test_bad_sheets_are_named(demo, schemas, tmp_path, rows, message):
    sheet = tmp_path / "genomes.tsv"
    sheet.write_text("genome\tfasta\n" + rows)
    with pytest.raises(InputError, match=message):
        resolve_plan(change(demo, "genomes", str(sheet)), *schemas)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("t\tathalina\tx.bed\tsite\tdonor", "genome 'athalina', not a row of .*'athaliana'"),
        ("t\tathaliana\tx.bed\tsite\tdoner", "class 'doner', which no screen has; .*'donor'"),
        ("t\tathaliana\tx.bed\tsite\t", "role site and no class"),
        ("t\tathaliana\tx.bed\tsites\tdonor", "line 2: role is 'sites'; did you mean 'site'"),
        ("t\tathaliana\tx.bw\tsignal\tdonor", "role signal and class 'donor'; expected no class"),
    ],
)
def test_bad_tracks_are_named(demo, schemas, tmp_path, row, message):
    sheet = tmp_path / "tracks.tsv"
    sheet.write_text(f"track\tgenome\tfile\trole\tclass\n{row}\n")
    with pytest.raises(InputError, match=message):
        resolve_plan(change(demo, "tracks", str(sheet)), *schemas)


def test_tracks_of_numbers_are_no_sites(demo, schemas, tmp_path):
    sheet = tmp_path / "tracks.tsv"
    sheet.write_text(
        "track\tgenome\tfile\trole\tclass\tformat\n"
        "atac\tathaliana\tx.bw\tsignal\t\tauto\n"
        "rna\tathaliana\ty.gz\tauxiliary\t\tbigwig\n"
        "mask\tathaliana\tz.bed\tignore\t\tauto\n"
    )
    plan = resolve_plan(change(demo, "tracks", str(sheet)), *schemas)
    assert list(plan.signals["athaliana"]) == ["atac", "rna"]
    assert plan.signals["athaliana"]["rna"]["file"] == "y.gz"
    known = plan.screens["splice"].tracks["athaliana"]
    assert [row["track"] for row in known] == ["mask"]
    sheet.write_text(sheet.read_text().replace("ignore\t\tauto", "ignore\t\tbigwig"))
    with pytest.raises(InputError, match="track mask has role ignore and format bigwig"):
        resolve_plan(change(demo, "tracks", str(sheet)), *schemas)


def laboratories(demo, tmp_path, **changed):
    """The demo with two laboratories of one genome, each with a signal and a row of its own."""
    (tmp_path / "genomes.tsv").write_text(
        "genome\tfasta\tannotation\none\tx.fa\tx.gtf\ntwo\tx.fa\tx.gtf\nother\ty.fa\ty.gtf\n"
    )
    (tmp_path / "tracks.tsv").write_text(
        "track\tgenome\tfile\trole\tbatch\n"
        "atac\tone\tone.bw\tsignal\tParis\n"
        "mask\tone\tmask.bed\tignore\t\n"
        "atac\ttwo\ttwo.bw\tsignal\tOslo\n"
        "atac\tother\tother.bw\tsignal\t\n"
    )
    parts = {"fractions": {"train": 0.5, "valid": 0.1, "calibrate": 0.2, "test": 0.2}}
    settings = {
        "train_genomes": ["one", "two"],
        "scan_genomes": ["one", "two", "other"],
        "split": {"one": parts, "two": parts},
        "signals": ["atac"],
    }
    config = change(demo, "genomes", str(tmp_path / "genomes.tsv"))
    config = change(config, "tracks", str(tmp_path / "tracks.tsv"))
    for key, value in {**settings, **changed}.items():
        config = change(config, f"screens.splice.{key}", value)
    return config


def test_a_laboratory_can_be_left_out(demo, schemas, tmp_path):
    plan = resolve_plan(laboratories(demo, tmp_path), *schemas)
    assert [plan.genomes[name].batch for name in ("one", "two", "other")] == ["Paris", "Oslo", ""]
    screen = plan.screens["splice"]
    assert screen.train_genomes == screen.split_genomes == ("one", "two")
    assert screen.batches == {"one": "Paris", "two": "Oslo"}
    config = laboratories(demo, tmp_path, leave_out=["Paris"])
    screen = resolve_plan(config, *schemas).screens["splice"]
    assert (screen.train_genomes, screen.left_out) == (("two",), ("one",))
    assert screen.split_genomes == ("one", "two")
    assert screen.used_genomes == ("one", "two", "other")
    # It is tested where the others are: its test part alone is scanned.
    assert screen.scan_parts("one") == ["test"] and screen.scan_parts("other") == ["screen"]
    assert "one" in screen.evaluated_genomes


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"signals": ["dnase"]}, "signals names 'dnase', which genome one lacks"),
        ({"signals": ["mask"]}, "signals names 'mask', which genome one lacks"),
        ({"explain": {"sites": 5}}, "explain: the network sees atac beside the sequence"),
        (
            {"variants": {"known": {"genome": "other", "file": "x.vcf"}}},
            "variants.known: the network sees atac beside the sequence; expected no signals",
        ),
        (
            {"signals": [], "variants": {"known": {"genome": "othr", "file": "x.vcf"}}},
            "variants.known is on genome 'othr', not a row of the sheet; did you mean 'other'",
        ),
        ({"leave_out": ["Pari"]}, "leave_out names 'Pari', .*did you mean 'Paris'"),
        ({"leave_out": ["Paris", "Oslo"]}, "leaves no genome to learn from"),
        ({"leave_out": ["Paris"], "scan_genomes": ["two"]}, "scan_genomes lacks one, whose batch"),
        (
            {"split": {"one": {"contigs": {"train": ["a"], "test": ["b"]}},
                       "two": {"contigs": {"train": ["b"], "test": ["a"]}}}},
            "one and two have the same FASTA; expected the same split",
        ),
        (
            {"model": {"preset": "dilated", "norm": "domain"}, "train_genomes": ["other"],
             "split": {"other": {"contigs": {"train": ["b"], "test": ["a"]}}}},
            "norm is domain and training genome other has no batch",
        ),
    ],
)  # fmt: skip
def test_mistakes_about_laboratories_are_named(demo, schemas, tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        resolve_plan(laboratories(demo, tmp_path, **changed), *schemas)


def test_a_genome_has_tracks_of_one_laboratory(demo, schemas, tmp_path):
    config = laboratories(demo, tmp_path)
    sheet = tmp_path / "tracks.tsv"
    sheet.write_text(sheet.read_text().replace("ignore\t\n", "ignore\tRome\n"))
    with pytest.raises(InputError, match="tracks of 2 batches .*give each laboratory a row"):
        resolve_plan(config, *schemas)


def test_tracks_are_learned_on_every_training_genome(demo, schemas, tmp_path):
    sheet = tmp_path / "tracks.tsv"
    sheet.write_text(
        "track\tgenome\tfile\trole\natac\tathaliana\tx.bw\tauxiliary\n"
        "rna\tathaliana\ty.bw\tsignal\natac\taarenosa\tz.bw\tauxiliary\n"
    )
    tasks = {"open": {"track": "atac"}, "gc": {"property": "gc"}, "wide": {"track": "atac"}}
    tracked = change(demo, "tracks", str(sheet))
    learned = change(tracked, "screens.splice.auxiliary", tasks)
    assert resolve_plan(learned, *schemas).screens["splice"].auxiliary_tracks == ("atac",)
    seen = change(tracked, "screens.splice.auxiliary", {"a": {"track": "rna"}})
    with pytest.raises(InputError, match="'rna', not a track of role auxiliary on athaliana"):
        resolve_plan(seen, *schemas)


def undescribed(schema, place):
    """Return the keys of a schema, at any depth, that lack a description."""
    found = []
    for name, item in schema.get("properties", {}).items():
        if "description" not in item:
            found.append(f"{place}.{name}")
        found += undescribed(item, f"{place}.{name}")
    for key, item in schema.items():
        # Keys of the configuration may be called as those of a schema are.
        if isinstance(item, dict) and key != "properties":
            found += undescribed(item, f"{place}.{key}")
    return found


def test_the_check_of_descriptions_sees_what_is_missing():
    inner = {"type": "object", "properties": {"properties": {"type": "array"}, "b": {}}}
    schema = {"properties": {"a": inner | {"description": "A."}}, "$defs": {"c": inner}}
    assert undescribed(schema, "x") == [
        "x.a.properties",
        "x.a.b",
        "x.$defs.c.properties",
        "x.$defs.c.b",
    ]


def test_every_key_is_described(schemas):
    for name, schema in zip(("config", "genomes", "tracks"), schemas):
        assert undescribed(schema, name) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"genome\tfasta\n\xb5\tx.fa\n", "cannot be read as tab-separated text"),
        (b"\xff\xfeg\x00", "cannot be read as tab-separated text"),
        (b"genome\tfasta\n" + b"x" * 200_000, "field larger than field limit"),
        (b"genome\tfasta\tgenome\na\tb\tc\n", "line 1: columns"),
        (b"genome\t\ta\nx\ty\tz\n", "line 1: columns"),
        (b'genome\tfasta\ntoy\t"a\nb.fa"\n', "expected printable text"),
        (b"genome\tfasta\ntoy\ta\x1b[31m.fa\n", "expected printable text"),
        (b"genome\tfasta\tshards\ntoy\ta.fa\t0\n", "shards is '0'"),
        (b"genome\tfasta\tshards\ntoy\ta.fa\t" + b"9" * 5000 + b"\n", "shards is '999"),
        (b"genome\tfasta\n-rf\ta.fa\n", "genome is '-rf'"),
    ],
)
def test_damaged_sheets_are_named(demo, schemas, tmp_path, content, message):
    sheet = tmp_path / "genomes.tsv"
    sheet.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        resolve_plan(demo | {"genomes": str(sheet)}, *schemas)
    assert str(sheet) in str(caught.value) and len(str(caught.value)) < 1000


NESTED: list = []
NESTED.append(NESTED)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("shards", 2.0, "shards is 2.0 (float); expected integer or string"),
        ("shards", 10**9, "shards: 1000000000 is greater than the maximum"),
        ("screens.splice.seeds", [0.0], "expected integer"),
        ("screens.splice.seeds", [2**40], "is greater than the maximum"),
        ("screens.splice.scan", {"memory_gb": float("nan")}, "memory_gb is nan; expected a number"),
        ("screens.splice.training", {"learning_rate": float("inf")}, "is inf; expected a number"),
        ("screens.splice.training", {"steps": 10**30}, "expected a number below 2**53"),
        ("screens.splice.title", datetime.date(2020, 1, 1), "put quotes around it"),
        ("screens.splice.notes", NESTED, "nested too deeply"),
        ("screens.splice.model", {"preset": "dilated", 1: 2}, "key 1 is no text"),
        ("screens.splice.model", {"preset": "dilated", "channels": 1 << 40}, "is too large"),
        ("screens.splice.model", {"preset": "gru", "layers": 10**7}, "is too large"),
        ("5", 3, "unknown key '5' in the top level"),
    ],
)
def test_values_that_no_setting_can_have_are_named(demo, schemas, path, value, message):
    with pytest.raises(InputError, match=re.escape(message)):
        resolve_plan(change(demo, path, value), *schemas)


@pytest.mark.parametrize("config", [None, [], "x", 3])
def test_configuration_that_is_no_table_is_named(schemas, config):
    with pytest.raises(InputError, match="expected a table of settings"):
        resolve_plan(config, *schemas)
