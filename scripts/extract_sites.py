"""Extract the known sites of a genome from its annotation and its tracks.

In: an encoded genome; an annotation (GTF or GFF3) for classes whose `site` is splice_donor,
splice_acceptor, transcription_start, start_codon or stop_codon; tracks (BED, narrowPeak, broadPeak,
GTF, GFF3). Out: sites.parquet (one row a site, which is one base), intervals.parquet (stretches to
ignore, to exclude, or that make up the universe) and a summary with everything that was dropped, by
reason. Coordinates out are 0-based half-open.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pybedtools

from genomesieve.annotation import is_gff3, read_annotation
from genomesieve.command_line import comma_list, json_value, make_parser, run_script
from genomesieve.consensus import codon_shares, gc_share, intron_ends, require_consensus
from genomesieve.contig_names import read_aliases, require_shared_names
from genomesieve.errors import InputError
from genomesieve.files import existing_file, file_digest, whole_files, write_json, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.intervals import merge_intervals, positions_inside, surroundings
from genomesieve.peaks import anchor_positions, read_intervals
from genomesieve.regions import parse_regions
from genomesieve.site_files import track_format
from genomesieve.transcripts import check_transcripts, list_introns, sites_of_kind

SITE_COLUMNS = ["contig", "position", "start", "end", "strand", "class", "track", "batch"]
SITE_KEY = ["contig", "position", "strand", "class"]
INTERVAL_COLUMNS = ["contig", "start", "end", "role", "class", "track"]
COLUMN = "column:"
FORMATS = ("", "auto", "bed", "narrowPeak", "broadPeak", "gtf", "gff3")
STRANDS = ("", "+", "-", ".")
ROLES = ("site", "ignore", "exclude", "universe")
GC_FLANK = 100


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", required=True, help="name of the genome, for messages")
    parser.add_argument("--genome-folder", type=Path, required=True, help="from encode_genome")
    parser.add_argument("--annotation", type=Path, help="GTF or GFF3, plain or gzip (1-based)")
    parser.add_argument("--alias", type=Path, help="two columns: name elsewhere, name in the FASTA")
    parser.add_argument(
        "--tracks",
        type=json_value,
        default=[],
        help="JSON list of tracks: track, file, format, role (site | ignore | exclude | universe), "
        "class (a name or column:4), strand, anchor, batch",
    )
    parser.add_argument(
        "--classes",
        type=json_value,
        required=True,
        help='JSON: {"donor": {"stranded": true, "site": "splice_donor"}, ...}; site null: tracks',
    )
    parser.add_argument(
        "--regions",
        type=json_value,
        default=[],
        help="JSON list of contig:start-end (0-based half-open) or contigs; empty: all",
    )
    parser.add_argument("--resolution", type=int, default=1, help="bp a prediction covers")
    parser.add_argument(
        "--labels", choices=["exclusive", "independent"], default="independent", help="of the model"
    )
    parser.add_argument(
        "--min-intron", type=int, default=20, help="bp; shorter gaps are no introns"
    )
    parser.add_argument("--ignore-margin", type=int, default=0, help="bp around a site's interval")
    parser.add_argument(
        "--may-lack",
        type=comma_list,
        default=(),
        help="classes that need not occur on this genome, with commas between them",
    )
    parser.add_argument(
        "--check-consensus",
        choices=["true", "false"],
        default="true",
        help="stop where introns and codons of an annotation lack what nearly all carry (GT-AG, "
        "ATG, stops), as on another assembly",
    )
    parser.add_argument("--sites", type=Path, required=True, help="sites (parquet) to write")
    parser.add_argument(
        "--intervals", type=Path, required=True, help="intervals (parquet) to write"
    )
    parser.add_argument("--summary", type=Path, required=True, help="summary (JSON) to write")
    return parser.parse_args(argv)


class Extraction:
    """Sites and intervals as they are collected, with counts of what was dropped."""

    def __init__(
        self,
        genome: EncodedGenome,
        classes: dict,
        aliases: dict[str, str],
        check_consensus: bool,
    ):
        self.genome, self.classes, self.aliases = genome, classes, aliases
        self.check_consensus = check_consensus
        self.lengths = dict(zip(genome.contigs["contig"], genome.contigs["length"].astype(int)))
        self.sites: list[pd.DataFrame] = []
        self.intervals: list[pd.DataFrame] = []
        self.dropped: Counter[str] = Counter()
        self.facts: dict = {}

    def add_annotation(
        self, path: Path, track: dict, gff3: bool, min_intron: int, names: Sequence[str]
    ) -> None:
        """Take the sites of some classes, those with a `site`, from an annotation."""
        annotation = read_annotation(existing_file(path, "annotation"), gff3)
        features = annotation.features
        features = features.assign(contig=features["contig"].replace(self.aliases))
        require_shared_names(features["contig"], self.lengths, path)
        for reason, count in annotation.skipped.items():
            self._drop(reason, count)
        known = features["contig"].isin(self.lengths)
        self._drop("annotation row on a contig that the FASTA lacks", int((~known).sum()))
        features = self._inside_contigs(features[known], annotation.circular, path)
        features, transcripts = check_transcripts(features, path)
        annotation = replace(annotation, features=features)
        introns = self._splice_introns(features, min_intron)
        self.facts |= {"transcripts": transcripts, "introns": len(introns)}
        shares, counts = intron_ends(self.genome, introns), {"introns": len(introns)}
        for name in names:
            kind = self.classes[name]["site"]
            found, dropped = sites_of_kind(annotation, introns, kind)
            for reason, count in dropped.items():
                self._drop(f"{reason} ({name})", count)
            shares |= codon_shares(self.genome, found, kind)
            counts[f"{kind.replace('_', ' ')}s"] = len(found)
            self._add_sites(
                found.assign(start=found["position"], end=found["position"] + 1, **{"class": name}),
                track,
            )
        self.facts |= shares
        if self.check_consensus:
            require_consensus(shares, counts, f"{path} on genome {self.genome.name}")

    def _splice_introns(self, features: pd.DataFrame, min_intron: int) -> pd.DataFrame:
        """Return the introns that a spliceosome removes; count the other ones."""
        transfer = features["transfer_rna"].to_numpy(bool)
        self._drop("intron of a tRNA", len(list_introns(features[transfer])))
        introns = list_introns(features[~transfer])
        short = (introns["end"] - introns["start"] < min_intron).to_numpy()
        self._drop(f"intron shorter than {min_intron} bp", int(short.sum()))
        return introns[~short]

    def _inside_contigs(
        self, features: pd.DataFrame, circular: set[str], path: Path
    ) -> pd.DataFrame:
        """Drop features across the origin of circular contigs; others beyond are an error."""
        beyond = features["end"].to_numpy() > features["contig"].map(self.lengths).to_numpy()
        circular = {self.aliases.get(name, name) for name in circular}
        across = beyond & features["contig"].isin(circular).to_numpy()
        self._drop("annotation row across the origin of a circular contig", int(across.sum()))
        if (beyond & ~across).any():
            row = features.iloc[int(np.argmax(beyond & ~across))]
            raise InputError(
                f"{path} line {row['line']}: end {row['end']} lies beyond contig {row['contig']}; "
                f"expected at most {self.lengths[row['contig']]} (another assembly?)"
            )
        return features[~across]

    def _add_sites(self, found: pd.DataFrame, track: dict) -> None:
        """Keep sites of a track; those of classes without a strand lose theirs."""
        stranded = found["class"].map(
            {name: bool(item.get("stranded")) for name, item in self.classes.items()}
        )
        strand = np.where(stranded.astype(bool), found["strand"], ".")
        found = found.assign(strand=strand, track=track["track"], batch=track.get("batch", ""))
        self.sites.append(found[SITE_COLUMNS])

    def add_track(self, row: dict, min_intron: int) -> None:
        """Take sites or intervals from a row of the sheet of tracks."""
        self._check_track(row)
        path = existing_file(row["file"], f"file of track {row['track']}")
        kind = track_format(row, path)
        name = row.get("class", "")
        if kind in ("gtf", "gff3"):
            if row["role"] != "site":
                raise InputError(
                    f"track {row['track']}: role {row['role']} needs BED; found {kind}"
                )
            if not self.classes.get(name, {}).get("site"):
                raise InputError(
                    f"track {row['track']}: class {name!r} names no `site` to take from an "
                    f"annotation; expected one of {', '.join(with_site(self.classes)) or 'none'}"
                )
            self.add_annotation(path, row, kind == "gff3", min_intron, [name])
            return
        narrow_peak = kind == "narrowPeak"
        intervals = read_intervals(path, self.lengths, self.aliases, narrow_peak)
        if row["role"] == "site":
            self._add_site_track(row, path, intervals, narrow_peak)
            return
        merged = merge_intervals(intervals)
        self.intervals.append(
            merged.assign(role=row["role"], track=row["track"], **{"class": name})
        )

    def _check_track(self, row: dict) -> None:
        """Refuse a track that lacks something, or with an unknown role, class, format or strand."""
        if not isinstance(row, dict) or not all(isinstance(text, str) for text in row.values()):
            raise InputError(f"--tracks: found {row!r}; expected a table of text for each track")
        missing = [key for key in ("track", "file", "role") if not row.get(key)]
        if missing:
            raise InputError(f"--tracks: {row!r} lacks {', '.join(missing)}")
        for key, known in (("format", FORMATS), ("strand", STRANDS)):
            if row.get(key, "") not in known:
                raise InputError(
                    f"track {row['track']}: {key} {row[key]!r}; expected one of "
                    f"{', '.join(item or 'nothing' for item in known)}"
                )
        name = row.get("class", "")
        if row["role"] not in ROLES:
            raise InputError(
                f"track {row['track']}: role {row['role']!r}; expected one of {', '.join(ROLES)}"
            )
        allowed = [*self.classes, "column:4"] if row["role"] == "site" else [*self.classes, ""]
        if name not in allowed:
            raise InputError(
                f"track {row['track']}: class {name!r}; expected one of "
                f"{', '.join(item or 'nothing' for item in allowed)}"
            )

    def _add_site_track(
        self, row: dict, path: Path, intervals: pd.DataFrame, narrow_peak: bool
    ) -> None:
        """Take sites from the rows of a track."""
        name, fixed = row["class"], row.get("strand", "")
        if name.startswith(COLUMN):
            other = ~intervals["name"].isin(list(self.classes))
            self._drop("track row of a class that the screen has not", int(other.sum()))
            intervals = intervals[~other]
        classes = intervals["name"] if name.startswith(COLUMN) else name
        intervals = intervals.assign(**{"class": classes})
        if fixed in ("+", "-", "."):
            intervals = intervals.assign(strand=fixed)
        self._check_strands(path, intervals)
        if narrow_peak and row.get("anchor", "") in ("", "summit"):
            self.facts["peaks_without_summit"] = self.facts.get("peaks_without_summit", 0) + int(
                (intervals["summit"] < 0).sum()
            )
        position = anchor_positions(intervals, row.get("anchor", ""), narrow_peak)
        self._add_sites(intervals.assign(position=position), row)

    def _check_strands(self, path: Path, intervals: pd.DataFrame) -> None:
        """Refuse rows without a strand where the class has one."""
        stranded = [name for name, item in self.classes.items() if item.get("stranded")]
        blind = intervals["class"].isin(stranded) & (intervals["strand"] == ".")
        if blind.any():
            first = intervals[blind].iloc[0]
            raise InputError(
                f"{path} line {first['line']}: no strand, but class {first['class']} is stranded; "
                "expected + or - in column 6, or a `strand` for the track"
            )

    def _drop(self, reason: str, count: int) -> None:
        """Count what is left out."""
        if count:
            self.dropped[reason] += count

    def finish(self, regions: pd.DataFrame, resolution: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Join, collapse and filter; return sites and intervals."""
        sites = pd.concat(self.sites or [pd.DataFrame(columns=SITE_COLUMNS)], ignore_index=True)
        order = {name: row for row, name in enumerate(self.lengths)}
        sites = sites.assign(order=sites["contig"].map(order))
        sites = sites.sort_values(["order", "position", "class", "strand"], kind="stable")
        copies = sites.duplicated(SITE_KEY).to_numpy()
        self._drop("site named more than once", int(copies.sum()))
        same = sites.groupby(SITE_KEY)
        sites = sites.assign(start=same["start"].transform("min"), end=same["end"].transform("max"))
        sites = sites[~copies]
        inside = positions_inside(sites, regions)
        self._drop("site outside the regions", int((~inside).sum()))
        sites = sites[inside]
        last = sites["contig"].map(self.lengths).to_numpy(np.int64) // resolution * resolution
        whole = sites["position"].to_numpy(np.int64) < last
        self._drop("site in the last, incomplete bin of a contig", int((~whole).sum()))
        sites = sites[whole]
        intervals = pd.concat(
            self.intervals or [pd.DataFrame(columns=INTERVAL_COLUMNS)], ignore_index=True
        )[INTERVAL_COLUMNS].astype({"start": "int64", "end": "int64"})
        sites = self._without_excluded(sites, intervals)
        sites = sites[SITE_COLUMNS].reset_index(drop=True)
        return sites.astype({"position": "int64", "start": "int64", "end": "int64"}), intervals

    def _without_excluded(self, sites: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
        """Drop the sites that exclude tracks cover."""
        excluded = intervals[intervals["role"] == "exclude"]
        for name, rows in excluded.groupby("class"):
            hit = positions_inside(sites, rows)
            if name:
                hit &= (sites["class"] == name).to_numpy()
            self._drop("site in an excluded interval", int(hit.sum()))
            sites = sites[~hit]
        return sites


def with_site(classes: dict) -> list[str]:
    """Return the classes whose sites an annotation can give."""
    return [name for name, item in classes.items() if item.get("site")]


def check_exclusive(sites: pd.DataFrame, resolution: int) -> None:
    """Raise InputError if a bin holds two classes on one strand."""
    bins = sites.assign(bin=sites["position"] // resolution)
    bins = bins.drop_duplicates(["contig", "bin", "strand", "class"])
    mixed = bins[bins.duplicated(["contig", "bin", "strand"], keep=False)]
    if mixed.empty:
        return
    examples = [
        f"{' and '.join(sorted(rows['class']))} at {contig}:{number * resolution} ({strand})"
        for (contig, number, strand), rows in mixed.head(40).groupby(
            ["contig", "bin", "strand"], sort=False
        )
    ]
    count = len(mixed[["contig", "bin", "strand"]].drop_duplicates())
    raise InputError(
        f"labels: exclusive, but {count} bins of {resolution} bp hold two classes, such "
        f"as {'; '.join(examples[:3])}; expected classes that exclude each other, or "
        "labels: independent"
    )


def check_sites(extraction: Extraction, sites: pd.DataFrame, arguments: argparse.Namespace) -> None:
    """Raise InputError if a class has no sites, or classes overlap that must not."""
    for name in arguments.classes:
        absent = sites.empty or name not in arguments.may_lack
        if absent and not (sites["class"] == name).any():
            files = ", ".join(map(str, files_read(arguments)))
            dropped = f" (dropped: {dict(extraction.dropped)})" if extraction.dropped else ""
            raise InputError(
                f"genome {arguments.genome}: no site of class {name} was found in "
                f"{files}{dropped}; expected at least one"
            )
    if arguments.labels == "exclusive":
        check_exclusive(sites, arguments.resolution)


def summarise(
    extraction: Extraction,
    sites: pd.DataFrame,
    intervals: pd.DataFrame,
    regions: pd.DataFrame,
    arguments: argparse.Namespace,
) -> dict:
    """Return the content of the summary."""
    genome, kept = extraction.genome, {name: {} for name in arguments.classes}
    for (name, strand), count in sites.groupby(["class", "strand"]).size().items():
        kept[name][strand] = int(count)
    near = {
        name: gc_share(genome, surroundings(rows, GC_FLANK, extraction.lengths))
        for name, rows in sites.groupby("class")
    }
    return {
        "genome": arguments.genome,
        "kept": kept,
        "dropped": dict(extraction.dropped),
        "files_sha256": {str(path): file_digest(path) for path in files_read(arguments)},
        "ignore_margin": arguments.ignore_margin,
        "min_intron": arguments.min_intron,
        "interval_bp": {
            role: int((rows["end"] - rows["start"]).sum())
            for role, rows in intervals.groupby("role")
        },
        "gc_regions": gc_share(genome, regions),
        f"gc_within_{GC_FLANK}_bp_of_sites": near,
        **extraction.facts,
    }


def files_read(arguments: argparse.Namespace) -> list[Path]:
    """Return the files of users that sites were taken from."""
    named = [arguments.annotation, arguments.alias, *(row["file"] for row in arguments.tracks)]
    return [Path(path) for path in named if path]


def extract(arguments: argparse.Namespace) -> None:
    """Collect, check and write."""
    genome = EncodedGenome.open(arguments.genome_folder, arguments.genome)
    aliases = read_aliases(arguments.alias, genome.contigs["contig"])
    regions = parse_regions(
        arguments.regions, genome.contigs, arguments.genome, f"regions of genome {arguments.genome}"
    )
    extraction = Extraction(genome, arguments.classes, aliases, arguments.check_consensus == "true")
    names = with_site(arguments.classes)
    if arguments.annotation is not None and names:
        gff3 = is_gff3(arguments.annotation)
        track = {"track": "annotation"}
        extraction.add_annotation(arguments.annotation, track, gff3, arguments.min_intron, names)
    if not isinstance(arguments.tracks, list):
        raise InputError(f"--tracks: found {arguments.tracks!r}; expected a list of tracks")
    for row in arguments.tracks:
        extraction.add_track(row, arguments.min_intron)
    sites, intervals = extraction.finish(regions, arguments.resolution)
    check_sites(extraction, sites, arguments)
    summary = summarise(extraction, sites, intervals, regions, arguments)
    outputs = (arguments.sites, arguments.intervals, arguments.summary)
    with whole_files(*outputs) as (sites_file, intervals_file, summary_file):
        write_table(sites_file, sites)
        write_table(intervals_file, intervals)
        write_json(summary_file, summary)


def work(arguments: argparse.Namespace) -> None:
    """Extract, and leave no temporary files of bedtools behind."""
    try:
        extract(arguments)
    finally:
        pybedtools.cleanup()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
