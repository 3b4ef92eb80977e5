"""The documentation: it builds, its links lead somewhere, and it says what the code does."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from click.testing import CliRunner
from mkdocs.__main__ import cli as mkdocs

from toy_workflow import planned_jobs, snakemake

OF_OTHERS = {
    "Config file is not valid JSON or YAML",
    "Directory cannot be locked",
    "MissingInputException in rule ...`, `Missing input files for rule ...",
    "snakemake: command not found",
}


def load(repository: Path, name: str):
    """Import a program of docs/."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", repository / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(folder: Path, target: Path) -> tuple[int, str]:
    """Build the site of a folder, strictly; return the exit code and what was said."""
    words = ["build", "--strict", "--config-file", str(folder / "mkdocs.yml")]
    done = CliRunner().invoke(mkdocs, [*words, "--site-dir", str(target)])
    return done.exit_code, done.output


# --- links ---------------------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page of HTML loads, where it links to, and the places in it that can be linked to."""

    def __init__(self, text: str):
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        self.places |= {value for key, value in attributes if key in ("id", "name") and value}
        if tag in ("script", "img", "iframe", "source", "video") and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("href") and given.get("rel") != "canonical":
            self.loaded.append(given["href"])
        if tag == "a" and given.get("href"):
            self.linked.append(given["href"])


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory) -> Path:
    """The site, built strictly from the repository as it is."""
    target = tmp_path_factory.mktemp("site") / "site"
    code, said = build(repository, target)
    assert code == 0, said[-4000:]
    return target


def test_every_link_within_the_site_leads_to_a_place(site):
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) > 30
    dead = []
    for path, page in pages.items():
        # The page of errors is served from any depth and has absolute links.
        for link in [] if path.name == "404.html" else [*page.linked, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = target.is_file() and target.is_relative_to(site)
            if known and parts.fragment and target.suffix == ".html":
                known = unquote(parts.fragment) in pages[target].places
            dead += [] if known else [f"{path.relative_to(site)}: {link}"]
    assert dead == []


def test_links_of_pages_outside_of_the_site_exist(repository):
    for name in ("README.md", "config/README.md", "benchmarks/README.md", "CONTRIBUTING.md"):
        page = repository / name
        links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == []


def test_nothing_is_fetched_from_elsewhere(site):
    loaded = [
        f"{path.name}: {link}"
        for path in site.rglob("*.html")
        for link in Links(path.read_text()).loaded
        if urlsplit(link).netloc
    ]
    sheets = [
        f"{path.name}: {found}"
        for path in site.rglob("*.css")
        for found in re.findall(r"url\(['\"]?(?:https?:)?//[^)]*|@import[^;]*", path.read_text())
    ]
    assert loaded + sheets == []


@pytest.mark.parametrize(
    "page, said",
    [
        ("[gone](gone.md)\n", "gone.md"),
        ("[gone](other.md#no-such-heading)\n", "no-such-heading"),
        ("[gone](../scripts/no_such.py)\n", "../scripts/no_such.py"),
        ("[there](../mkdocs.yml)\n", None),
        ("unlisted", "not included in the"),
    ],
)
def test_dead_links_and_forgotten_pages_stop_the_build(repository, tmp_path, page, said):
    settings = (repository / "mkdocs.yml").read_text().partition("\nnav:")[0]
    # Links do not depend on the theme, and the plainest one is written fastest.
    settings = re.sub(
        r"^theme:\n(?:[ \n].*\n|\n)+", "theme: mkdocs\n", settings, flags=re.MULTILINE
    )
    (tmp_path / "mkdocs.yml").write_text(f"{settings}\nnav: [index.md, other.md]\n")
    docs = tmp_path / "docs"
    (docs / "stylesheets").mkdir(parents=True)
    shutil.copy(repository / "docs/repository_links.py", docs)
    hook = (docs / "repository_links.py").read_text()
    (docs / "repository_links.py").write_text(re.sub(r"PAGES = \([^)]*\)", "PAGES = ()", hook))
    (docs / "index.md").write_text("# One\n\n" + ("fine" if page == "unlisted" else page))
    (docs / "other.md").write_text("# Other\n")
    if page == "unlisted":
        (docs / "unlisted.md").write_text("# Not in the navigation\n")
    code, output = build(tmp_path, tmp_path / "site")
    assert (code == 0) == (said is None), output
    assert said is None or said in output
    assert said or (tmp_path / "site/repository/mkdocs.yml").is_file()


def test_lists_become_lists_of_the_site(repository):
    import markdown

    source = "text\n- one\n\n  | a |\n  |---|\n  | b |\n\n  more\n- two\n  still two\n\nend in\n"
    source += "2018. No list.\n\n```\n- code\n```\n"
    written = load(repository, "repository_links").indent_lists(source)
    html = markdown.markdown(written, extensions=["tables", "fenced_code"])
    assert html.count("<ul>") == 1 and html.count("<li>") == 2 and "<ol>" not in html
    assert "<table>" in html[html.index("<li>") : html.index("</li>")]
    assert "- code" in html


# --- the reference, and what is drawn ------------------------------------------------------------


def names_of_keys(schema: object) -> Counter[str]:
    """Count the keys that a schema describes, at any depth, by name."""
    if not isinstance(schema, dict):
        return Counter()
    properties = schema.get("properties", {})
    inner = [*properties.values(), *schema.get("$defs", {}).values()]
    inner += [schema.get("additionalProperties"), schema.get("items")]
    return sum(map(names_of_keys, inner), Counter(properties.keys()))


def test_the_reference_is_what_the_schemas_say(repository):
    done = subprocess.run(
        [sys.executable, "docs/configuration_keys.py", "--check"],
        capture_output=True, text=True, cwd=repository,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_reference_has_every_key(repository):
    page = (repository / "docs/configuration_keys.md").read_text()
    head, _, sheets = page.partition("\n## Settings of `model`")
    parts = {"config": head}
    for name in ("genomes", "tracks"):
        parts[name] = sheets.partition(f"## Columns of `{name}.tsv`")[2].partition("\n## ")[0]
    for name, text in parts.items():
        rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
        cells = [re.split(r"(?<!\\) \| ", rest) for _, rest in rows]
        assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in cells)
        last = Counter(key.rsplit(".", 1)[-1] for key, _ in rows)
        documented = Counter({key: count for key, count in last.items() if not key.isupper()})
        schema = repository / f"workflow/schemas/{name}.schema.yaml"
        assert documented == names_of_keys(yaml.safe_load(schema.read_text())), name
        assert documented.total() >= 7


def test_a_changed_schema_changes_the_reference(repository, tmp_path):
    reference = load(repository, "configuration_keys")
    for path in (repository / "workflow/schemas").glob("*.yaml"):
        text = path.read_text().replace("minimum: 1, default: 5000", "minimum: 3, default: 5001")
        (tmp_path / path.name).write_text(text)
    old, new = reference.page(), reference.page(tmp_path)
    changed = set(new.splitlines()) - set(old.splitlines())
    assert changed == {"| `length` | whole number (at least 3) | `5001` | bp a window. |"}


def test_figures_are_what_the_results_say(repository):
    figures = load(repository, "figures")
    assert figures.old_files(repository / "docs/images") == []


def test_a_changed_result_is_noticed(repository, monkeypatch):
    figures = load(repository, "figures")
    monkeypatch.setattr(figures, "FIGURES", {"batch_effects": figures.FIGURES["batch_effects"]})
    changed = figures.results("batch_effects")
    changed["norms"]["domain"]["held_out_average_precision"] += 0.02
    monkeypatch.setattr(figures, "results", lambda name: changed)
    assert figures.old_files(repository / "docs/images") == ["batch_effects.svg"]


def test_every_figure_is_shown_and_says_how_it_was_made(repository):
    figures = load(repository, "figures")
    for name, panels in figures.FIGURES.items():
        page = (repository / f"docs/concepts/{name}.md").read_text()
        shown = re.findall(r"!\[[^\]]+\]\(\.\./images/([\w-]+)\.svg\)", page)
        numbers = [f"{name}-{number}" for number in range(1, len(panels) + 1)]
        assert shown == (numbers if len(panels) > 1 else [name])
        assert "python docs/figures.py" in page


# --- what pages say of the code ------------------------------------------------------------------


def messages(repository: Path) -> list[str]:
    """Return what scripts and Makefile say; a zero byte stands where a value is filled in."""
    found = [(repository / "Makefile").read_text()]
    for path in (repository / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", None) for part in node.values]
                found.append("".join(one if isinstance(one, str) else "\0" for one in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_of_the_faq_are_those_of_the_code(repository):
    page = (repository / "docs/faq.md").read_text()
    quoted = re.findall(r"^#### `(.+)`$", page, re.MULTILINE)
    assert len(quoted) >= 20
    known = messages(repository)
    for text in set(quoted) - OF_OTHERS:
        parts = re.split(r"\.\.\.|\d[\d,.]*%?", text.removeprefix("error: "))
        parts = [part.strip(" :,;()[]%./'") for part in parts]
        parts = [part for part in parts if len(part) > 6]
        wanted = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
        likely = [message for message in known if all(part in message for part in parts)]
        assert parts and any(wanted.search(message) for message in likely), text


def test_modules_of_the_architecture_page_exist(repository):
    page = (repository / "docs/architecture.md").read_text()
    table = page.partition("## Which module owns what")[2].partition("\n## ")[0]
    library = repository / "scripts/genomesieve"
    named = [
        name
        for line in re.findall(r"^\| [^|]+ \| (.*) \|$", table, re.MULTILINE)
        for name in re.findall(r"`([a-z\d_*]+)`", line)
    ]
    assert len(named) > 60
    assert [name for name in named if not list(library.glob(f"{name}.py"))] == []


def blocks_of(page: Path) -> list[str]:
    """Return what stands between fences on a page."""
    return re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_tables_of_the_splice_tutorial_make_a_plan(repository, tmp_path):
    blocks = blocks_of(repository / "docs/tutorials/splice_sites.md")
    (tmp_path / "my.genomes.tsv").write_text(next(b for b in blocks if b.startswith("genome\t")))
    (tmp_path / "my.yaml").write_text(next(b for b in blocks if b.startswith("genomes:")))
    command = next(b for b in blocks if "--dry-run" in b).split()
    assert command[0] == "snakemake"
    jobs = planned_jobs(snakemake(repository, tmp_path, *command[1:]))
    assert (jobs["train_model"], jobs["render_report"]) == (1, 1)
    # A network and two baselines, on two genomes: baselines scan only what can be evaluated.
    assert jobs["scan_genome"] == 4


def test_the_binding_tutorial_shows_the_recipe_as_it_is(repository):
    blocks = blocks_of(repository / "docs/tutorials/binding_sites.md")
    recipes = repository / "config/recipes"
    for name in ("genomes", "tracks"):
        assert (recipes / f"binding.{name}.tsv").read_text() in blocks
    recipe = yaml.safe_load((recipes / "binding.yaml").read_text())["screens"]["binding"]
    shown = next(yaml.safe_load(block) for block in blocks if "independent" in block)
    assert recipe["classes"].items() >= shown.pop("classes").items()
    assert recipe.items() >= shown.items()
