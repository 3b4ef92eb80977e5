"""Write the sheets and the configuration of a new screen, checked as the workflow checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError
from genomesieve.files import whole_files, write_table
from genomesieve.screen_names import shown_path
from genomesieve.screen_proposal import Draft, config_text
from genomesieve.screen_sources import COLUMN_4, Source

_SCHEMAS = Path(__file__).resolve().parents[2] / "workflow" / "schemas"
_FILES = ("config.yaml", "genomes.tsv", "tracks.tsv", "alias.tsv")


def check_free(folder: Path, name: str) -> None:
    """Raise InputError where files or results of another screen would be replaced."""
    for path in (*(folder / file for file in _FILES), Path("results") / name):
        if path.exists():
            raise InputError(
                f"{shown_path(path)} exists; expected another --name, or --force to replace it"
            )


def write_screen(
    folder: Path, draft: Draft, sources: Sequence[Source], fastas: Mapping[str, Path],
    aliases: Mapping[str, str],
) -> None:  # fmt: skip
    """Write sheets and configuration, all of them or none.

    Parameters
    ----------
    folder : Path
    draft : Draft
    sources : sequence of Source
    fastas : mapping of str to Path
        The genome to learn from, then the further ones to scan.
    aliases : mapping of str to str
        What contigs are called in the files of sites, to their names in the FASTA.

    Raises
    ------
    InputError
        If the workflow would refuse what is written.
    """
    tracks = sheet_of_tracks(sources, draft.genome)
    names = ["genomes.tsv", "config.yaml"]
    names += ["tracks.tsv"] if len(tracks) else []
    names += ["alias.tsv"] if aliases else []
    final = {name: shown_path(folder / name) for name in names}
    with whole_files(*(folder / name for name in names)) as paths:
        part = dict(zip(names, paths))
        genomes = sheet_of_genomes(sources, fastas, final.get("alias.tsv", ""))
        write_table(part["genomes.tsv"], genomes)
        if len(tracks):
            write_table(part["tracks.tsv"], tracks)
        if aliases:
            lines = (f"{name}\t{other}\n" for name, other in aliases.items())
            part["alias.tsv"].write_text("".join(lines))
        text = config_text(draft, final["genomes.tsv"], final.get("tracks.tsv", ""))
        _check_config(text, part)
        part["config.yaml"].write_text(text)


def sheet_of_genomes(
    sources: Sequence[Source], fastas: Mapping[str, Path], alias: str
) -> pd.DataFrame:
    """Return the sheet of genomes; the first one has the annotation and the aliases, if any."""
    annotations = [shown_path(s.file.path) for s in sources if s.file.is_annotation]
    rows = [{"genome": name, "fasta": shown_path(path)} for name, path in fastas.items()]
    rows[0] |= {"annotation": "".join(annotations), "regions": "", "alias": alias}
    return pd.DataFrame(rows).fillna("")


def sheet_of_tracks(sources: Sequence[Source], genome: str) -> pd.DataFrame:
    """Return the sheet of tracks, without rows where all sites are in an annotation."""
    rows = [track_row(source, genome) for source in sources if not source.file.is_annotation]
    table = pd.DataFrame(rows)
    if len(table) and table["track"].duplicated().any():
        name = table["track"][table["track"].duplicated()].iloc[0]
        raise InputError(f"--sites: two files of class {name}; expected CLASS=FILE, a class once")
    return table


def track_row(source: Source, genome: str) -> dict[str, str]:
    """Return the row of the sheet of tracks for a file of intervals."""
    return {
        "track": "sites" if source.kind == COLUMN_4 else source.kind,
        "genome": genome,
        "file": shown_path(source.file.path),
        "role": "site",
        "class": source.kind,
    }


def _check_config(text: str, part: Mapping[str, Path]) -> None:
    """Check a configuration as the workflow does, with the sheets that are not in place yet."""
    config = yaml.safe_load(text)
    config["genomes"] = str(part["genomes.tsv"])
    if "tracks.tsv" in part:
        config["tracks"] = str(part["tracks.tsv"])
    names = ("config", "genomes", "tracks")
    resolve_plan(
        config,
        *(yaml.safe_load((_SCHEMAS / f"{name}.schema.yaml").read_text()) for name in names),
    )
