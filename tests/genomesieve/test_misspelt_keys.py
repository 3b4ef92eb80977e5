"""A misspelt key, column or name comes back as one line with the right one, at every level."""

import copy

import pytest
import yaml

from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError

CHOSEN = "mine"
"""In the place of names that users choose: of screens, genomes, classes, stages, ..."""


def load_schemas(repository):
    folder = repository / "workflow" / "schemas"
    names = ("config", "genomes", "tracks")
    return [yaml.safe_load((folder / f"{name}.schema.yaml").read_text()) for name in names]


def tables_of(schema, root, path=()):
    """Yield the path of every table of a schema with a fixed set of keys, and these keys."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    if schema.get("additionalProperties") is False:
        yield path, list(schema["properties"])
    for name, item in schema.get("properties", {}).items():
        yield from tables_of(item, root, (*path, name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from tables_of(schema["additionalProperties"], root, (*path, CHOSEN))


def with_key(config, path, key):
    """Return a copy of a configuration with a key in the table at a path, made where it lacks."""
    config = copy.deepcopy(config)
    table = config
    for name in path:
        if not isinstance(table.get(name), dict):
            table[name] = {}
        table = table[name]
    table[key] = 1
    return config


@pytest.fixture
def schemas(repository):
    return load_schemas(repository)


@pytest.fixture
def demo(repository, monkeypatch):
    monkeypatch.chdir(repository)
    return yaml.safe_load((repository / "config" / "config.yaml").read_text())


def complaint(config, schemas):
    """Return the one line that a configuration is refused with."""
    with pytest.raises(InputError) as caught:
        resolve_plan(config, *schemas)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_every_key_of_every_table_is_found_when_its_last_letter_is_doubled(schemas):
    tables = list(tables_of(schemas[0], schemas[0]))
    assert len(tables) > 30 and sum(len(keys) for _, keys in tables) > 200
    for path, keys in tables:
        for key in keys:
            wrong = key + key[-1]
            line = complaint(with_key({}, path, wrong), schemas)
            where = ".".join(path) or "the top level"
            assert line == f"config: unknown key {wrong!r} in {where}; did you mean {key!r}?"


@pytest.mark.parametrize(
    ("path", "key", "hint"),
    [
        (
            "screens.splice",
            "steps",
            "did you mean 'stages', or 'steps' of screens.splice.training?",
        ),
        ("screens.splice.training", "windows", "it belongs to screens.splice.sampling"),
        ("screens.splice", "device", "it belongs to the top level"),
        ("", "classes", "it belongs to screens.NAME"),
        (
            "screens.splice",
            "min_distance",
            "it belongs to screens.splice.hard_negatives or screens.splice.classes.NAME",
        ),
        ("screens.splice", "horse", "expected one of title, notes"),
    ],
)
def test_a_key_in_the_wrong_table_is_told_its_place(demo, schemas, path, key, hint):
    line = complaint(with_key(demo, filter(None, path.split(".")), key), schemas)
    assert f"unknown key {key!r} in {path or 'the top level'}; {hint}" in line


@pytest.mark.parametrize(
    ("path", "value", "hint"),
    [
        ("model", {"preset": "dilated", "chanels": 8}, "did you mean 'channels'?"),
        ("model", {"preset": "dilatd"}, "did you mean 'dilated'?"),
        ("labels", "exclusiv", "did you mean 'exclusive'?"),
        ("train_genomes", ["athalianna"], "did you mean 'athaliana'?"),
        ("scan_genomes", ["athaliana", "alyratta"], "did you mean 'alyrata'?"),
        ("scan_parts", ["tset"], "did you mean 'test'?"),
        ("reverse_complement", "avarage", "did you mean 'average'?"),
        ("classes", {"donor": {"site": "splice_doner"}}, "did you mean 'splice_donor'?"),
        ("split", {"athaliana": {"contig": {}}}, "did you mean 'contigs'?"),
        ("split", {"athaliana": {"contigs": {"trian": []}}}, "did you mean 'train'?"),
        ("baselines", {"kmers": {}}, "did you mean 'kmer'?"),
        ("explain", {"motifs": {"databse": "all"}}, "did you mean 'database'?"),
        ("training", {"freeze": ["tunk"]}, "did you mean 'trunk'?"),
        ("scan", {"bigwigs": ["doner"]}, "did you mean 'donor'?"),
        ("auxiliary", {"a": {"property": "gcc"}}, "did you mean 'gc'?"),
        (
            "designs",
            {"a": {"genome": "athaliana", "sites": "x.bed", "target": {"donor": "hgih"}}},
            "did you mean 'high'?",
        ),
        (
            "designs",
            {"a": {"genome": "athaliana", "sites": "x.bed", "target": {"doner": "high"}}},
            "did you mean 'donor'?",
        ),
    ],
)
def test_misspelt_values_of_a_screen_come_with_the_right_one(demo, schemas, path, value, hint):
    demo["screens"]["splice"][path] = value
    line = complaint(demo, schemas)
    assert "screens.splice" in line and hint in line


@pytest.mark.parametrize(
    ("sheet", "text", "hint"),
    [
        ("genomes", "genome\tfasat\na\tb\n", "unknown column 'fasat'; did you mean 'fasta'?"),
        ("genomes", "genome\n", "column 'fasta' is missing; found ['genome']"),
        ("genomes", "genome,fasta\na,b\n", "separated by tabs"),
        ("tracks", "track\tgenome\tfile\trol\n", "unknown column 'rol'; did you mean 'role'?"),
        ("tracks", "track\tgenome\tfile\n", "column 'role' is missing"),
        ("tracks", "track\tgenome\tfile\trole\na\tathaliana\tx\tsiet\n", "did you mean 'site'?"),
        (
            "tracks",
            "track\tgenome\tfile\trole\tclass\na\tathalian\tx\tsite\tdonor\n",
            "did you mean 'athaliana'?",
        ),
        (
            "tracks",
            "track\tgenome\tfile\trole\tclass\na\tathaliana\tx\tsite\tdoner\n",
            "did you mean 'donor'?",
        ),
        (
            "tracks",
            "track\tgenome\tfile\trole\tanchor\na\tathaliana\tx\tsite\tsumit\n",
            "did you mean 'summit'?",
        ),
    ],
)
def test_misspelt_columns_and_cells_come_with_the_right_one(
    demo, schemas, tmp_path, sheet, text, hint
):
    path = tmp_path / f"{sheet}.tsv"
    path.write_text(text)
    line = complaint(demo | {sheet: str(path)}, schemas)
    assert str(path) in line and hint in line
