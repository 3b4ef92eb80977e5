"""Extract the known sites of a genome from its annotation and its tracks.

In: an encoded genome; an annotation (GTF or GFF3) for classes whose `site` is splice_donor,
splice_acceptor, transcription_start, start_codon or stop_codon; tracks (BED, narrowPeak, broadPeak,
GTF, GFF3). Out: sites.parquet (one row a site, which is one base), intervals.parquet (stretches to
ignore, to exclude, or that make up the universe) and a summary with everything that was dropped, by
reason. Coordinates out are 0-based half-open.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pybedtools

from genomesieve.annotation import (
    check_transcripts,
    is_gff3,
    list_introns,
    read_features,
    sites_of_kind,
)
from genomesieve.command_line import json_value, make_parser, run_script
from genomesieve.contig_names import read_aliases, require_shared_names
from genomesieve.errors import InputError
from genomesieve.files import existing_file, write_json, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.peaks import anchor_positions, read_intervals
from genomesieve.regions import parse_regions

logger = logging.getLogger(__name__)

SITE_COLUMNS = ["contig", "position", "start", "end", "strand", "class", "track", "batch"]
INTERVAL_COLUMNS = ["contig", "start", "end", "role", "class", "track"]
COLUMN = "column:"


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
    parser.add_argument("--sites", type=Path, required=True, help="sites (parquet) to write")
    parser.add_argument(
        "--intervals", type=Path, required=True, help="intervals (parquet) to write"
    )
    parser.add_argument("--summary", type=Path, required=True, help="summary (JSON) to write")
    return parser.parse_args(argv)


class Extraction:
    """Sites and intervals as they are collected, with counts of what was dropped."""

    def __init__(self, genome: EncodedGenome, classes: dict, aliases: dict[str, str]):
        self.genome, self.classes, self.aliases = genome, classes, aliases
        self.lengths = dict(zip(genome.contigs["contig"], genome.contigs["length"].astype(int)))
        self.sites: list[pd.DataFrame] = []
        self.intervals: list[pd.DataFrame] = []
        self.dropped: Counter[str] = Counter()
        self.facts: dict = {}

    def add_annotation(self, path: Path, track: str, batch: str, min_intron: int) -> None:
        """Take the classes with a `site` from an annotation."""
        features, trans_spliced = read_features(existing_file(path, "annotation"))
        features = features.assign(contig=features["contig"].replace(self.aliases))
        require_shared_names(features["contig"], self.lengths, path)
        known = features["contig"].isin(self.lengths)
        self._drop("annotation row on a contig that the FASTA lacks", int((~known).sum()))
        self._drop("annotation row of a trans-spliced transcript", trans_spliced)
        features, transcripts = check_transcripts(features[known], path)
        self._check_ends(features, path)
        introns = list_introns(features)
        short = (introns["end"] - introns["start"] < min_intron).to_numpy()
        self._drop(f"intron shorter than {min_intron} bp", int(short.sum()))
        introns = introns[~short]
        self.facts |= {"transcripts": transcripts, "introns": len(introns)}
        self.facts |= intron_ends(self.genome, introns)
        for name, item in self.classes.items():
            if item.get("site"):
                found = sites_of_kind(features, introns, item["site"], is_gff3(path))
                found = found.assign(
                    start=found["position"],
                    end=found["position"] + 1,
                    track=track,
                    batch=batch,
                    **{"class": name},
                )
                self.sites.append(found[SITE_COLUMNS])

    def _check_ends(self, features: pd.DataFrame, path: Path) -> None:
        """Raise InputError for a feature beyond its contig."""
        beyond = features["end"].to_numpy() > features["contig"].map(self.lengths).to_numpy()
        if beyond.any():
            row = features.iloc[int(np.argmax(beyond))]
            raise InputError(
                f"{path} line {row['line']}: end {row['end']} lies beyond contig {row['contig']}; "
                f"expected at most {self.lengths[row['contig']]} (another assembly?)"
            )

    def add_track(self, row: dict, min_intron: int) -> None:
        """Take sites or intervals from a row of the sheet of tracks."""
        path = existing_file(row["file"], f"file of track {row['track']}")
        kind = track_format(row, path)
        if kind in ("gtf", "gff3"):
            if row["role"] != "site":
                raise InputError(
                    f"track {row['track']}: role {row['role']} needs BED; found {kind}"
                )
            self.add_annotation(path, row["track"], row.get("batch", ""), min_intron)
            return
        intervals = read_intervals(path, self.lengths, self.aliases)
        if row["role"] == "site":
            self._add_site_track(row, path, intervals, kind == "narrowPeak")
            return
        merged = merged_intervals(intervals)
        name = row.get("class", "")
        self.intervals.append(
            merged.assign(role=row["role"], track=row["track"], **{"class": name})
        )

    def _add_site_track(
        self, row: dict, path: Path, intervals: pd.DataFrame, narrow_peak: bool
    ) -> None:
        name, fixed = row["class"], row.get("strand", "")
        if name.startswith(COLUMN):
            if name != "column:4":
                raise InputError(f"track {row['track']}: class {name!r}; expected column:4")
            names = intervals["name"]
            other = ~names.isin(list(self.classes))
            self._drop("track row of a class that the screen has not", int(other.sum()))
            intervals = intervals[~other]
        intervals = intervals.assign(
            **{"class": intervals["name"] if name.startswith(COLUMN) else name}
        )
        if fixed in ("+", "-", "."):
            intervals = intervals.assign(strand=fixed)
        stranded = intervals["class"].map(
            {key: bool(item.get("stranded")) for key, item in self.classes.items()}
        )
        blind = (stranded.astype(bool) & (intervals["strand"] == ".")).to_numpy()
        if blind.any():
            first = intervals.iloc[int(np.argmax(blind))]
            raise InputError(
                f"{path} line {first['line']}: no strand, but class {first['class']} is stranded; "
                "expected + or - in column 6, or a `strand` for the track"
            )
        # A class without a strand has sites on both; where its rows say one, that is set aside.
        strand = np.where(stranded.astype(bool), intervals["strand"], ".")
        found = intervals.assign(
            strand=strand,
            position=anchor_positions(intervals, row.get("anchor", ""), narrow_peak),
            track=row["track"],
            batch=row.get("batch", ""),
        )
        self.sites.append(found[SITE_COLUMNS])

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
        key = ["contig", "position", "strand", "class"]
        copies = sites.duplicated(key).to_numpy()
        self._drop("site named more than once", int(copies.sum()))
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


def track_format(row: dict, path: Path) -> str:
    """Return a track's format: as stated, or by the file's name."""
    stated = row.get("format") or "auto"
    if stated != "auto":
        return stated
    names = [suffix.lower() for suffix in path.suffixes]
    for kind in ("narrowPeak", "broadPeak", "gtf", "gff3"):
        if f".{kind.lower()}" in names:
            return kind
    return "gff3" if ".gff" in names else "bed"


def merged_intervals(intervals: pd.DataFrame) -> pd.DataFrame:
    """Sort and merge intervals (bedtools); columns contig, start, end."""
    if intervals.empty:
        return intervals[["contig", "start", "end"]]
    tool = pybedtools.BedTool.from_dataframe(intervals[["contig", "start", "end"]])
    merged = tool.sort().merge()
    return pd.DataFrame(
        [(item.chrom, item.start, item.end) for item in merged], columns=["contig", "start", "end"]
    )


def positions_inside(sites: pd.DataFrame, regions: pd.DataFrame) -> np.ndarray:
    """Tell which sites lie in some intervals (bedtools intersect)."""
    if sites.empty or regions.empty:
        return np.zeros(len(sites), dtype=bool)
    table = pd.DataFrame(
        {
            "contig": sites["contig"].to_numpy(),
            "start": sites["position"].to_numpy(np.int64),
            "end": sites["position"].to_numpy(np.int64) + 1,
            "row": np.arange(len(sites)),
        }
    )
    inside = pybedtools.BedTool.from_dataframe(table).intersect(
        pybedtools.BedTool.from_dataframe(regions[["contig", "start", "end"]]), u=True
    )
    result = np.zeros(len(sites), dtype=bool)
    result[[int(item.name) for item in inside]] = True
    return result


def intron_ends(genome: EncodedGenome, introns: pd.DataFrame) -> dict:
    """Measure the share of introns that begin GT and end AG (or GC-AG, AT-AC) on their strand."""
    if introns.empty:
        return {}
    alphabet = genome.alphabet
    offset = (
        introns["contig"]
        .map(dict(zip(genome.contigs["contig"], genome.contigs["offset"])))
        .to_numpy(np.int64)
    )
    start, end = offset + introns["start"].to_numpy(), offset + introns["end"].to_numpy()
    ends = np.stack([genome.codes[at] for at in (start, start + 1, end - 2, end - 1)], axis=1)
    minus = (introns["strand"] == "-").to_numpy()
    ends[minus] = alphabet.reverse_complement(ends[minus])
    words = [alphabet.decode(row) for row in ends]
    counts = Counter(words)
    return {
        "gt_ag_share": counts["GTAG"] / len(words),
        "gc_ag_or_at_ac_share": (counts["GCAG"] + counts["ATAC"]) / len(words),
    }


def check_exclusive(sites: pd.DataFrame, resolution: int) -> None:
    """Raise InputError if a bin holds two classes on one strand."""
    bins = sites.assign(bin=sites["position"] // resolution)
    kinds = bins.groupby(["contig", "bin", "strand"])["class"].agg(lambda x: tuple(sorted(set(x))))
    mixed = kinds[kinds.map(len) > 1]
    if len(mixed):
        contig, number, strand = mixed.index[0]
        raise InputError(
            f"labels: exclusive, but {len(mixed)} bins of {resolution} bp hold two classes, such "
            f"as {' and '.join(mixed.iloc[0])} at {contig}:{number * resolution} ({strand}); "
            "expected classes that exclude each other, or labels: independent"
        )


def extract(arguments: argparse.Namespace) -> None:
    """Collect, check and write."""
    genome = EncodedGenome.open(arguments.genome_folder, arguments.genome)
    aliases = read_aliases(arguments.alias, genome.contigs["contig"])
    regions = parse_regions(
        arguments.regions, genome.contigs, arguments.genome, f"regions of genome {arguments.genome}"
    )
    extraction = Extraction(genome, arguments.classes, aliases)
    wanted = any(item.get("site") for item in arguments.classes.values())
    if arguments.annotation is not None and wanted:
        extraction.add_annotation(arguments.annotation, "annotation", "", arguments.min_intron)
    for row in arguments.tracks:
        extraction.add_track(row, arguments.min_intron)
    sites, intervals = extraction.finish(regions, arguments.resolution)
    counts = sites.groupby(["class", "strand"]).size()
    for name in arguments.classes:
        if not (sites["class"] == name).any():
            raise InputError(
                f"genome {arguments.genome}: no site of class {name} is left "
                f"(dropped: {dict(extraction.dropped) or 'nothing'}); expected at least one"
            )
    if arguments.labels == "exclusive":
        check_exclusive(sites, arguments.resolution)
    kept: dict[str, dict[str, int]] = {name: {} for name in arguments.classes}
    for (name, strand), count in counts.items():
        kept[name][strand] = int(count)
    write_table(arguments.sites, sites)
    write_table(arguments.intervals, intervals)
    write_json(
        arguments.summary,
        {
            "genome": arguments.genome,
            "kept": kept,
            "dropped": dict(extraction.dropped),
            "ignore_margin": arguments.ignore_margin,
            "min_intron": arguments.min_intron,
            "interval_bp": {
                role: int((rows["end"] - rows["start"]).sum())
                for role, rows in intervals.groupby("role")
            },
            **extraction.facts,
        },
    )
    pybedtools.cleanup()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(extract, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
