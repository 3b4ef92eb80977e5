"""What is known of a bin without the network: the properties that probes look for.

Sequence properties are taken over the bin and a flank; all others hold at the base in its middle.
What depends on a strand is said of the strand that the network reads at that place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomesieve.alphabet import DNA
from genomesieve.annotation import is_gff3, read_annotation
from genomesieve.contig_names import read_aliases, require_shared_names
from genomesieve.files import read_table
from genomesieve.gathering import one_hot
from genomesieve.genome import EncodedGenome, contig_rows
from genomesieve.labels_on_bins import expand_ranges
from genomesieve.probe_places import Places
from genomesieve.sequence_properties import sequence_property

CODON = ("first", "second", "third")
STRAND = ("other", "read")
REPEAT = ("unique", "repeat")


@dataclass(frozen=True)
class Property:
    """A property of some bins.

    Parameters
    ----------
    name : str
    values : numpy.ndarray, shape=(n,), dtype=float64
        NaN where it is not known or not defined; categories are numbers from 0.
    categories : tuple of str
        Names of the categories; empty for a number.
    """

    name: str
    values: np.ndarray
    categories: tuple[str, ...] = ()

    @property
    def known(self) -> np.ndarray:
        """Where the property is known."""
        return np.isfinite(self.values)


def sequence_properties(places: Places, names: Sequence[str], flank: int) -> list[Property]:
    """Return properties that the sequence around each bin tells."""
    x = one_hot(torch.from_numpy(places.codes(flank)), DNA)
    return [
        Property(name, _one_column(sequence_property(name, x, places.resolution, flank)))
        for name in names
    ]


def _one_column(values: torch.Tensor) -> np.ndarray:
    """Turn (N, 1) into float64 (N,), what is infinite into NaN."""
    values = values[:, 0].double().numpy()
    return np.where(np.isfinite(values), values, np.nan)


def site_distance(places: Places, sites: pd.DataFrame, stranded: bool, most: int) -> Property:
    """Return log(1 + bp) from the middle of each bin to the nearest site of any class.

    Parameters
    ----------
    places : Places
    sites : pandas.DataFrame
        Columns contig, position, strand.
    stranded : bool
        Whether only sites on the strand that is read count.
    most : int
        bp at which the distance ends.
    """
    rows = contig_rows(places.genome.contigs, sites["contig"], places.genome.name)
    position, minus = sites["position"].to_numpy(np.int64), (sites["strand"] == "-").to_numpy()
    distance = np.full(len(places), most, dtype=np.int64)
    for side in (False, True):
        mine = minus == side if stranded else np.ones(len(rows), dtype=bool)
        theirs = places.minus == side
        keys = np.sort(_key(places.genome, rows[mine], position[mine]))
        here = _key(places.genome, places.contig[theirs], places.middle[theirs])
        distance[theirs] = np.minimum(_nearest(keys, here), most)
    return Property("distance", np.log1p(distance))


def _key(genome: EncodedGenome, rows: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return numbers of bases, with more between two contigs than any distance."""
    spacing = int(genome.contigs["length"].max()) * 2 + 2 if len(genome.contigs) else 1
    return rows * spacing + position


def _nearest(keys: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return the distance to the nearest of some sorted numbers."""
    if not len(keys):
        return np.full(len(here), np.iinfo(np.int64).max)
    after = np.searchsorted(keys, here)
    right = keys[np.minimum(after, len(keys) - 1)]
    left = keys[np.maximum(after - 1, 0)]
    return np.minimum(np.abs(right - here), np.abs(here - left))


def repeat_status(places: Places, masked: pd.DataFrame) -> Property:
    """Tell bins whose middle lies in a soft-masked run (columns contig, start, end)."""
    inside = _inside(places, masked)
    return Property("repeat", inside.astype(np.float64), REPEAT)


def _inside(places: Places, intervals: pd.DataFrame) -> np.ndarray:
    """Tell which middles lie in intervals that do not overlap each other."""
    rows = contig_rows(places.genome.contigs, intervals["contig"], places.genome.name)
    starts, ends = (
        _key(places.genome, rows, intervals[name].to_numpy(np.int64)) for name in ("start", "end")
    )
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    here = _key(places.genome, places.contig, places.middle)
    row = np.searchsorted(starts, here, "right") - 1
    return (
        (row >= 0) & (here < ends[np.maximum(row, 0)]) if len(starts) else np.zeros(len(here), bool)
    )


def read_masked(genome: EncodedGenome, folder: Path) -> pd.DataFrame | None:
    """Read the soft-masked runs of an encoded genome; None where its folder has none."""
    path = folder / "softmask.parquet"
    if not path.is_file():
        return None
    return read_table(path, f"soft-masked runs of {genome.name}", ("contig", "start", "end"))


@dataclass(frozen=True)
class Genes:
    """Coding parts and spans of the genes of an annotation.

    Parameters
    ----------
    coding : pandas.DataFrame
        Columns contig, start, end (0-based half-open), strand, phase (bases to the next codon).
    spans : pandas.DataFrame
        Columns contig, start, end, strand: one row a transcript.
    """

    coding: pd.DataFrame
    spans: pd.DataFrame


def read_genes(path: Path, genome: EncodedGenome, alias: Path | None = None) -> Genes:
    """Read the genes of a GTF or GFF3 file; contigs that the genome has not are left out.

    Parameters
    ----------
    path : Path
    genome : EncodedGenome
    alias : Path or None
        Table of aliases: two columns, name in the file and name in the FASTA.

    Raises
    ------
    InputError
        If the file cannot be read or has no gene on a contig of the genome.
    """
    features = read_annotation(path, is_gff3(path)).features
    names = features["contig"].replace(read_aliases(alias, genome.contigs["contig"]))
    require_shared_names(names, genome.contigs["contig"], path)
    features = features.assign(contig=names)[names.isin(genome.contigs["contig"])]
    parts = features["feature"].isin(["exon", "CDS"]) & ~features["pseudo"].astype(bool)
    spans = features[parts].groupby(["transcript", "contig", "strand"], sort=False)
    spans = spans.agg(start=("start", "min"), end=("end", "max")).reset_index()
    coding = features[(features["feature"] == "CDS") & ~features["pseudo"].astype(bool)]
    return Genes(
        coding[["contig", "start", "end", "strand", "phase"]].reset_index(drop=True),
        spans[["contig", "start", "end", "strand"]],
    )


def codon_phase(places: Places, genes: Genes) -> Property:
    """Return which base of its codon a bin of one base is, in genes on the strand that is read.

    NaN outside of them, and where transcripts read in different frames.
    """
    least = np.full(len(places), 3)
    most = np.full(len(places), -1)
    coding = genes.coding[genes.coding["phase"] >= 0]
    which, part = _covered(places, coding)
    minus = (coding["strand"] == "-").to_numpy()[part]
    same = minus == places.minus[which]
    which, part, minus = which[same], part[same], minus[same]
    start, end, phase = (
        coding[name].to_numpy(np.int64)[part] for name in ("start", "end", "phase")
    )
    middle = places.middle[which]
    base = (np.where(minus, end - 1 - middle, middle - start) - phase) % 3
    np.minimum.at(least, which, base)
    np.maximum.at(most, which, base)
    return Property("codon_phase", np.where(least == most, least, np.nan).astype(float), CODON)


def gene_strand(places: Places, genes: Genes) -> Property:
    """Tell whether the gene at each bin lies on the strand that is read.

    NaN outside of genes, and where there are some on both strands.
    """
    seen = np.zeros((len(places), 2), dtype=bool)
    which, part = _covered(places, genes.spans)
    minus = (genes.spans["strand"] == "-").to_numpy()[part]
    seen[which, (minus == places.minus[which]).astype(np.int64)] = True
    known = seen.sum(axis=1) == 1
    return Property("strand", np.where(known, seen[:, 1], np.nan).astype(float), STRAND)


def _covered(places: Places, intervals: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (place, row of an interval that holds its middle)."""
    rows = contig_rows(places.genome.contigs, intervals["contig"], places.genome.name)
    here = _key(places.genome, places.contig, places.middle)
    order = np.argsort(here, kind="stable")
    starts, ends = (
        _key(places.genome, rows, intervals[name].to_numpy(np.int64)) for name in ("start", "end")
    )
    ranges = np.searchsorted(here[order], np.stack([starts, ends], axis=1))
    part = np.repeat(np.arange(len(intervals)), ranges[:, 1] - ranges[:, 0])
    return order[expand_ranges(ranges)], part


def join_properties(parts: Sequence[Mapping[str, Property]]) -> dict[str, Property]:
    """Put the properties of several genomes one after the other; only those that all have."""
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {
        name: Property(
            name, np.concatenate([part[name].values for part in parts]), parts[0][name].categories
        )
        for name in shared
    }
