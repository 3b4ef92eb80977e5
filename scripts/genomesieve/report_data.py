"""What a report is made from: the results of one screen, read but not yet judged."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from genomesieve.genome import EncodedGenome
from genomesieve.report_numbers import Estimate


@dataclass(frozen=True)
class ModelFacts:
    """A model as its bundle states it.

    Parameters
    ----------
    name : str
        As in the `model` column of the evaluation's tables.
    facts : dict
        model.json.
    history : pandas.DataFrame
        history.tsv.
    """

    name: str
    facts: dict
    history: pd.DataFrame

    @property
    def calibration(self) -> dict:
        """Calibration per class; empty for a model that was not calibrated."""
        return (self.facts.get("calibration") or {}).get("classes", {})

    def operating(self, class_name: str) -> dict | None:
        """Return the operating threshold of a class, None without calibration."""
        chosen = self.calibration.get(class_name)
        if not chosen or not chosen["thresholds"]:
            return None
        return chosen["thresholds"][chosen["operating"]]


@dataclass(frozen=True)
class Evaluation:
    """The tables that the evaluation of one genome wrote (see evaluate_scan.py)."""

    metrics: pd.DataFrame
    curves: pd.DataFrame
    reliability: pd.DataFrame
    promises: pd.DataFrame
    calls: pd.DataFrame
    details: dict


@dataclass(frozen=True)
class Trust:
    """What was estimated of one genome without its labels (see estimate_transfer.py).

    Parameters
    ----------
    measures : list of dict
        class, measure, value, low, high; class "" is the whole genome.
    warnings : list of dict
        class, what, sentence.
    """

    measures: list[dict]
    warnings: list[dict]

    def get(self, class_name: str, measure: str) -> Estimate:
        """Look a measure up; an `Estimate` of NaN where it is not known."""
        for row in self.measures:
            if (row["class"], row["measure"]) == (class_name, measure):
                values = (row["value"], row["low"], row["high"])
                return Estimate(*(float("nan") if one is None else one for one in values))
        return Estimate()


@dataclass(frozen=True)
class GenomeResults:
    """What a screen knows about one genome.

    Parameters
    ----------
    name : str
    genome : EncodedGenome
    split : pandas.DataFrame
        Columns contig, start, end (0-based half-open), part.
    calls : pandas.DataFrame
        calls.bed.gz: contig, start, end, class, score, strand, probability, fdr; empty where
        nothing was scanned, as is `intervals`.
    intervals : pandas.DataFrame
        The stretches that were scanned: contig, start, end, part.
    evaluation : Evaluation or None
        None where there is no annotation.
    summaries : dict of dict
        Summaries by subject, for the account of what was dropped.
    transfer : Trust or None
        None where nothing was estimated.
    explanations : dict of str to object
        What explains its calls, by part (`attributions` and others), as the reader of each part
        returns it; see `report_explanations`.
    """

    name: str
    genome: EncodedGenome
    split: pd.DataFrame
    calls: pd.DataFrame
    intervals: pd.DataFrame
    evaluation: Evaluation | None = None
    summaries: dict = field(default_factory=dict)
    transfer: Trust | None = None
    explanations: dict[str, object] = field(default_factory=dict)

    @property
    def scanned(self) -> bool:
        """Whether there was a scan; genomes that only taught the model have none."""
        return not self.intervals.empty

    @property
    def held_out(self) -> bool:
        """Whether the scanned part was held out from training on this very genome."""
        return bool((self.split["part"] == "test").any())

    @property
    def scanned_bases(self) -> int:
        """Length of what was scanned, bp."""
        return int((self.intervals["end"] - self.intervals["start"]).sum())

    @property
    def whole_bases(self) -> int:
        """Length of the whole genome, bp."""
        return int(self.genome.contigs["length"].sum())

    def bases(self, part: str) -> int:
        """Length of a part of the split, bp."""
        rows = self.split[self.split["part"] == part]
        return int((rows["end"] - rows["start"]).sum())

    @property
    def universe(self) -> str:
        """Name of the bins on which the main metrics are computed."""
        return "test" if self.held_out else "screen"


@dataclass(frozen=True)
class Screen:
    """One screen: its models, its genomes and its settings.

    `members` names the network of each seed in the metrics, `rounds` the model of each round but
    the last; `harvests` has the summary of each harvest by `round1/seed0`; `stage_matrix` and
    `stage_summary` are the tables of measure_forgetting.py, empty without stages; `views` has the
    page that shows a genome's calls on their sequence, as a path from the report's folder.
    """

    name: str
    settings: dict
    network: ModelFacts
    baselines: list[ModelFacts]
    genomes: list[GenomeResults]
    windows_summary: dict
    members: tuple[str, ...] = ()
    rounds: tuple[str, ...] = ()
    harvests: dict[str, dict] = field(default_factory=dict)
    stage_matrix: pd.DataFrame = field(default_factory=pd.DataFrame)
    stage_summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    views: dict[str, str] = field(default_factory=dict)

    @property
    def has_stages(self) -> bool:
        """Whether several genomes were learned one after the other."""
        return not self.stage_matrix.empty

    @property
    def classes(self) -> list[str]:
        """Classes in the order of the model's outputs."""
        return list(self.network.facts["classes"])

    @property
    def title(self) -> str:
        """What the page is called."""
        return str(self.settings.get("title") or self.name)

    @property
    def notes(self) -> list[str]:
        """Sentences that the configuration wants its readers to know."""
        return [str(note) for note in self.settings.get("notes") or []]

    @property
    def imported(self) -> bool:
        """Whether the network came with its weights: what it was trained on is not known here."""
        return bool((self.network.facts.get("training") or {}).get("imported"))

    @property
    def models(self) -> list[ModelFacts]:
        """The network, then the baselines."""
        return [self.network, *self.baselines]

    @property
    def scanned(self) -> list[GenomeResults]:
        """Genomes that were scanned."""
        return [genome for genome in self.genomes if genome.scanned]

    @property
    def evaluated(self) -> list[GenomeResults]:
        """Genomes that have an annotation to be compared with."""
        return [genome for genome in self.genomes if genome.evaluation is not None]

    @property
    def strands(self) -> int:
        """Strands that are predicted separately."""
        return 2 if any(self.network.facts["stranded"]) else 1

    @property
    def resolution(self) -> int:
        """Bases a prediction."""
        return int(self.network.facts["resolution"])

    @property
    def calibration_genome(self) -> str:
        """Genome on which probabilities and thresholds were calibrated."""
        named = (self.network.facts.get("calibration") or {}).get("genomes")
        return ", ".join(named) if named else "the calibration genome"

    def explained(self, part: str) -> list[tuple[GenomeResults, object]]:
        """Return the genomes on which a part of an explanation was made, with what it found."""
        return [
            (genome, genome.explanations[part])
            for genome in self.genomes
            if part in genome.explanations
        ]

    def pairs(self) -> list[tuple[GenomeResults, str]]:
        """Return every evaluated genome with every class."""
        return [(genome, name) for genome in self.evaluated for name in self.classes]


def estimate(
    genome: GenomeResults, model: str, class_name: str, metric: str, universe: str | None = None
) -> Estimate:
    """Look a metric up; an `Estimate` of NaN where it was not measured."""
    if genome.evaluation is None:
        return Estimate()
    table = genome.evaluation.metrics
    rows = table[
        (table["model"] == model)
        & (table["class"] == class_name)
        & (table["metric"] == metric)
        & (table["universe"] == (universe or genome.universe))
    ]
    if rows.empty:
        return Estimate()
    return Estimate(*(float(rows.iloc[0][column]) for column in ("value", "low", "high")))


def promises_of(genome: GenomeResults, model: str, class_name: str) -> pd.DataFrame:
    """Return the promises of a model for a class, by target."""
    if genome.evaluation is None:
        return pd.DataFrame()
    table = genome.evaluation.promises
    return table[(table["model"] == model) & (table["class"] == class_name)].sort_values(
        "precision_target"
    )


def operating_promise(
    genome: GenomeResults, model: ModelFacts, class_name: str
) -> pd.Series | None:
    """Return the promise at the operating threshold of a class, None where there is none."""
    rows, threshold = promises_of(genome, model.name, class_name), model.operating(class_name)
    if rows.empty or threshold is None:
        return None
    near = (rows["precision_target"] - threshold["precision_target"]).abs() < 1e-9
    return rows[near].iloc[0] if near.any() else None
