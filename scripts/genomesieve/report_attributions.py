"""Which bases the scores of calls rest on, as tables and words of a report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from genomesieve.attribution_files import JUDGE, AttributionResults
from genomesieve.report_data import GenomeResults, Screen
from genomesieve.report_items import DrawnPicture, Item, table_item, text_item
from genomesieve.report_numbers import ABSENT, count, decimal, percent
from genomesieve.report_tables import Table

PART = "attributions"
"""Key of the attributions among a genome's explanations."""
METHOD_WORDS = {
    "gradient_x_input": "gradient x input",
    "corrected_gradient": "corrected gradient",
    "integrated_gradients": "integrated gradients",
    "deep_lift_shap": "DeepLIFT/SHAP",
}
"""What a reader calls the methods; others have the name that they have in files."""
_LISTED = 10


def attributed(screen: Screen) -> list[tuple[GenomeResults, AttributionResults]]:
    """Return the genomes whose calls were attributed."""
    return screen.explained(PART)


def attributed_classes(screen: Screen) -> Iterator[tuple[GenomeResults, AttributionResults, str]]:
    """Go through every genome and class of which there is a site."""
    for genome, found in attributed(screen):
        for name in screen.classes:
            if len(found.rows(name)):
                yield genome, found, name


def mean_letters(found: AttributionResults, rows: np.ndarray, method: str) -> np.ndarray:
    """Return the mean contribution of each letter at each position, (positions, letters).

    A letter that a site does not carry contributes nothing there, so the sum over letters is the
    mean contribution of the position. Unknown bases are left out.
    """
    values = found.arrays["contributions"][rows, found.methods.index(method)]
    codes = found.arrays["sequence"][rows]
    size = len(found.arrays["letters"])
    heights = [np.where(codes == code, np.nan_to_num(values), 0).sum(0) for code in range(size)]
    known = np.maximum((codes < size).sum(0), 1)
    return np.stack(heights, axis=1) / known[:, None]


def attribution_items(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Item]:
    """Return what a report tells of attributions; nothing where there are none."""
    if not attributed(screen):
        return []
    return [
        Item("heading", "Bases that the scores rest on"),
        Item("text", _agreement_sentence(screen)),
        text_item(
            "<b>What each base contributes</b> (log-odds), by mutagenesis: the mean loss when it "
            "is substituted by another. Letters below the line speak against the site. Position 0, "
            "marked, is the first base of the prediction, read in the direction of its strand."
        ),
        Item("picture", drawn["attribution_logos"]),
        text_item(
            "<b>Where each method looks.</b> Share of all contributions, whatever their sign, that "
            "falls on each position: the mean over calls. Only mutagenesis asks what happens when "
            "a base changes; the others are gradients, which say it for changes too small to be a "
            "base, or spread the score over all bases that differ from shuffled sequence."
        ),
        Item("picture", drawn["attribution_profiles"]),
        table_item(agreement_table(screen)),
        Item("fold", calls_table(screen), "The best-scoring calls one by one"),
    ]


def agreement_table(screen: Screen) -> Table:
    """List how the other methods agree with mutagenesis, and how well they add up."""
    rows, others = [], _other_methods(screen)
    for genome, found, name in attributed_classes(screen):
        stated = found.summary["classes"][name]
        cells = [genome.name, name, count(len(found.rows(name)))]
        cells += [_decimal(stated["median_spearman"].get(f"{JUDGE}~{other}")) for other in others]
        for method in ("integrated_gradients", "deep_lift_shap"):
            cells.append(_missing_share(stated.get(method)))
        rows.append(cells)
    headings = ["genome", "class", "calls"]
    headings += [
        f"{METHOD_WORDS.get(other, other)} ~ {JUDGE} (Spearman, median over calls)"
        for other in others
    ]
    headings += [
        f"{METHOD_WORDS[method]}: share of the score not accounted for"
        for method in ("integrated_gradients", "deep_lift_shap")
    ]
    return Table(headings, rows, 2)


def _other_methods(screen: Screen) -> list[str]:
    """Return the methods that stand beside mutagenesis."""
    return [name for name in attributed(screen)[0][1].methods if name != JUDGE]


def _missing_share(stated: dict | None) -> str:
    """Write which share of the log-odds to be explained a method misses."""
    if not stated or not stated.get("median_expected") or stated.get("median_missing") is None:
        return ABSENT
    return percent(abs(stated["median_missing"] / stated["median_expected"]), 1)


def calls_table(screen: Screen) -> Table:
    """List the best-scoring calls of each class with the agreement of methods at each."""
    rows, others = [], _other_methods(screen)
    for genome, found, name in attributed_classes(screen):
        for row in found.rows(name)[:_LISTED]:
            site = found.sites.iloc[row]
            place = f"{site['contig']}:{int(site['position']) + 1:,}"
            agreement = [_decimal(site.get(f"{JUDGE}~{other}")) for other in others]
            rows.append(
                [genome.name, name, place, site["strand"], decimal(site["score"], 2), *agreement]
            )
    headings = ["genome", "class", "position (1-based)", "strand", "score (log-odds)"]
    headings += [f"{METHOD_WORDS.get(other, other)} ~ {JUDGE} (Spearman)" for other in others]
    return Table(headings, rows, 4)


def _decimal(value: float | None) -> str:
    """Write a correlation that may be missing."""
    return ABSENT if value is None else decimal(float(value), 2)


def _agreement_sentence(screen: Screen) -> Markup:
    """Say how well methods agree, whatever it is."""
    sentence = Markup(
        "These are effects <b>on the model</b>: what a base does in the cell only an experiment "
        "tells. "
    )
    found = {}
    for other in _other_methods(screen):
        values = [
            one.summary["classes"][name]["median_spearman"].get(f"{JUDGE}~{other}")
            for _, one, name in attributed_classes(screen)
        ]
        known = [value for value in values if value is not None and np.isfinite(value)]
        if known:
            found[METHOD_WORDS.get(other, other)] = (min(known), max(known))
    if not found:
        return sentence + "No two methods could be compared."
    ends = {name: [decimal(end, 2) for end in pair] for name, pair in found.items()}
    clauses = [f"{name} {' to '.join(dict.fromkeys(pair))}" for name, pair in ends.items()]
    return sentence + Markup(
        "Agreement with mutagenesis (rank correlation over positions, median over the calls of a "
        "class): {}. Where methods disagree, trust mutagenesis first: it is the intervention."
    ).format("; ".join(clauses))
