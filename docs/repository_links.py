"""Let the site's pages link to files of the repository, as they do where the repository is read.

A hook of MkDocs (`hooks` in mkdocs.yml). Pages in docs/ link to `../config/README.md`,
`../benchmarks/transfer.py` and so on. Pages of the repository that stand in the site's navigation
(`PAGES`) become pages of the site; any other file that a page links to is put beside the pages as
it is, below `repository/`. A link to a file that is not there stops the build.

Lists are written with two or three spaces before what belongs to an item, as most programs read
them; Python-Markdown wants four.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

PAGES = ("config/README.md", "benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages outside docs/ that are pages of the site, by their path in the repository."""

_LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?P<close>\))")
_FENCE = re.compile(r"^ *(```|~~~)")
_ITEM = re.compile(r"^(?P<marker>[-*+] |\d+\. )")


def _root(config: MkDocsConfig) -> Path:
    """Return the folder of the repository."""
    return Path(config.config_file_path).parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's own pages to those of docs/."""
    for name in PAGES:
        path = str(_root(config) / name)
        files.append(File.generated(config, name, abs_src_path=path))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links out of docs/ into links within the site, and indent lists."""
    name = page.file.src_uri
    place = name if name in PAGES else f"{Path(config.docs_dir).name}/{name}"

    def within(found: re.Match) -> str:
        target = site_target(found["target"], place, page, config, files)
        return f"{found['open']}{target}{found['close']}"

    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= bool(_FENCE.match(line))
        lines.append(line if fenced else _LINK.sub(within, line))
    return indent_lists("\n".join(lines))


def site_target(target: str, place: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return where a link leads within the site.

    Parameters
    ----------
    target : str
        As the page has it.
    place : str
        The page's path in the repository.
    page, config, files
        Of MkDocs.

    Raises
    ------
    PluginError
        If the repository has no such file.
    """
    path, hash_sign, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", target):
        return target
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    docs = f"{Path(config.docs_dir).name}/"
    if wanted.startswith(docs) and place.startswith(docs):
        return target
    if not (_root(config) / wanted).is_file():
        raise PluginError(f"{place} links to {target}; expected a file of the repository")
    uri = wanted.removeprefix(docs)
    if not wanted.startswith(docs) and wanted not in PAGES:
        uri = f"repository/{wanted}"
        if files.get_file_from_path(uri) is None:
            source = str(_root(config) / wanted)
            level = InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, uri, abs_src_path=source, inclusion=level))
    relative = os.path.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")
    return f"{relative}{hash_sign}{anchor}"


def indent_lists(markdown: str) -> str:
    """Write lists as Python-Markdown reads them.

    What belongs to an item is indented by four spaces instead of by its marker's width, and an
    empty line stands before a list that follows a paragraph, also one within an item.
    """
    lines: list[str] = []
    width, fenced, later = 0, False, False
    for line in markdown.split("\n"):
        item = None if fenced else _ITEM.match(line)
        if item and not width and line[0].isdigit() and not line.startswith("1. "):
            # A wrapped line may begin with a year.
            item = None
        if item:
            if lines and lines[-1].strip() and (later or not width):
                lines.append("")
            width, later = len(item["marker"]), False
        elif not fenced and width and line.strip() and not line.startswith(" " * width):
            width = 0
        later |= bool(width) and not line.strip()
        belongs = width and not item and line.startswith(" " * width)
        if _FENCE.match(line):
            fenced = not fenced
        lines.append(" " * (4 - width) + line if belongs else line)
    return "\n".join(lines)
