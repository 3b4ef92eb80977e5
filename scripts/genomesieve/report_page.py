"""Put the words, tables and pictures of a screen together as one HTML page."""

from __future__ import annotations

import json
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from genomesieve import report_rounds as rounds
from genomesieve import report_stages as stages
from genomesieve import report_tables as tables
from genomesieve import report_transfer as transfer
from genomesieve.figures import Picture
from genomesieve.figures_evaluation import MOST_PANELS, evaluation_pictures
from genomesieve.figures_genome import (
    MOST_FALSE,
    genome_map,
    logo_picture,
    split_picture,
    training_picture,
)
from genomesieve.figures_interactive import page_data, vega_libraries
from genomesieve.figures_stages import stage_pictures
from genomesieve.report_curves import ThresholdCurves, threshold_curves, thresholds_table
from genomesieve.report_data import Screen
from genomesieve.report_explanations import explanation_pictures, explanation_sections
from genomesieve.report_glossary import GLOSSARY
from genomesieve.report_items import (
    DrawnPicture,
    Item,
    Section,
    side_by_side,
    table_item,
    text_item,
)
from genomesieve.report_scripts import THRESHOLD_SCRIPT
from genomesieve.report_template import STYLE, TEMPLATE
from genomesieve.report_words import answer

PICTURES = (
    "precision_recall",
    "roc",
    "promises",
    "prevalence",
    "reliability",
    "scores",
    "genome_map",
    "logos",
    "training",
    "split",
)
"""Names of all pictures that a report has, whatever the screen."""

READOUT = {
    "text": "What would be called at another threshold? Move the slider or click on the curve: the "
    "threshold is the highest one that still finds so many of the sites. Every prediction counts "
    "for itself, before neighbouring ones are merged into calls; the band is the 95 % interval of "
    "the precision, the dotted line what chance would give.",
    "headings": (
        *("score", "recall", "precision", "called", "right", "wrong"),
        "false positives per Mb",
    ),
}
"""What is told of a threshold; a script writes the rows."""


def make_pictures(screen: Screen) -> dict[str, Picture]:
    """Return all pictures of a report by name."""
    pictures = [
        *evaluation_pictures(screen),
        genome_map(screen),
        logo_picture(screen),
        training_picture(screen),
        split_picture(screen),
        *stage_pictures(screen),
        *explanation_pictures(screen),
    ]
    return {picture.name: picture for picture in pictures}


def make_page(screen: Screen, pictures: dict[str, Picture], drawings: dict[str, list[str]]) -> str:
    """Return the whole page as HTML.

    Parameters
    ----------
    screen : Screen
    pictures : dict of str to Picture
        As `make_pictures` returns.
    drawings : dict of str to list of str
        The SVGs of each picture's panels.
    """
    drawn = {
        name: DrawnPicture(
            name, picture.shape, [Markup(svg) for svg in drawings[name]], picture.empty
        )
        for name, picture in pictures.items()
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    curves = threshold_curves(screen)
    return (
        environment.from_string(TEMPLATE)
        .render(
            screen=screen,
            style=Markup(STYLE),
            answer=answer(screen),
            sections=make_sections(screen, drawn, curves),
            chart=_chart(curves),
        )
        .lstrip()
    )


def _chart(curves: ThresholdCurves) -> dict[str, Markup]:
    """Return what the chart of a movable threshold needs on the page; nothing without curves."""
    if curves.empty:
        return {}
    return {
        "data": page_data(curves),
        "libraries": vega_libraries(),
        "script": Markup(THRESHOLD_SCRIPT),
    }


def make_sections(
    screen: Screen, drawn: dict[str, DrawnPicture], curves: ThresholdCurves | None = None
) -> list[Section]:
    """Return the sections of the page in reading order; gathers the curves where none are given."""
    curves = threshold_curves(screen) if curves is None else curves
    return [
        Section("answer", "The answer", [table_item(tables.contrast_table(screen))]),
        _curves(screen, drawn, curves),
        _promises(screen, drawn),
        _expected(screen, drawn),
        *_trust(screen),
        _probabilities(screen, drawn),
        *_stages(screen, drawn),
        _along(screen, drawn),
        _logos(screen, drawn),
        *explanation_sections(screen, drawn),
        _training(screen, drawn),
        _split(screen, drawn),
        _dropped(screen),
        Section("glossary", "What the words mean", [Item("terms", GLOSSARY)]),
        _configuration(screen),
    ]


def _curves(screen: Screen, drawn: dict[str, DrawnPicture], curves: ThresholdCurves) -> Section:
    """Return the section on curves and baselines."""
    items = [
        *threshold_items(curves),
        text_item(
            "<b>First of each pair: precision and recall at natural prevalence.</b> Every "
            "prediction counts, at the rate at which sites really occur; nothing was balanced. The "
            "band is the 95 % interval from resampled blocks."
        ),
        text_item(
            "<b>Second: the ROC curve of the same scores, and what it hides.</b> Its lower axis "
            "counts false positives against the enormous number of places that are no sites, so "
            "that good and bad models look alike. The upper axis says what the same distance means "
            "in false positives per Mb: only models within a hair's breadth of the left edge are "
            "of use."
        ),
        Item("picture", side_by_side(drawn["precision_recall"], drawn["roc"])),
        Item("heading", "Does the network beat the baselines?"),
        text_item(
            "Differences on the same resampled blocks. A model beats another if the interval does "
            "not hold 0."
        ),
        table_item(tables.differences_table(screen)),
        Item("fold", tables.metrics_table(screen), "More metrics of every model"),
    ]
    if len(screen.pairs()) > MOST_PANELS:
        items.append(
            text_item("Pictures and thresholds show the first {} of {} pairs of genome and class; "
                  "the other tables show all.", MOST_PANELS, len(screen.pairs()))
        )  # fmt: skip
    return Section("curves", "Finding sites: precision and recall", items)


def threshold_items(curves: ThresholdCurves) -> list[Item]:
    """Return the chart whose threshold moves and the same in numbers; nothing without curves."""
    if curves.empty:
        return []
    return [
        Item("thresholds", READOUT, "Move the threshold"),
        Item("fold", thresholds_table(curves), "Thresholds in numbers"),
        Item("heading", "All genomes and classes"),
    ]


def _promises(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on promised and found precision."""
    notes = []
    for genome in screen.evaluated:
        remarks = genome.evaluation.details.get("notes", [])
        if remarks:
            notes.append(text_item("What to know of <b>{}</b>:", genome.name))
            notes.append(Item("list", remarks))
    return Section(
        "promises",
        "Promised against found precision",
        [
            text_item(
                "The thresholds were set on the calibration part of {} alone. For each precision "
                "asked for, the bar is what was promised for new calls and the dot what the "
                "annotation confirms. On another genome the promise holds only if prevalence and "
                "score distributions carry over. Sites that nobody annotated count as wrong, so a "
                "patchy annotation makes the precision found a lower bound.",
                screen.calibration_genome,
            ),
            Item("picture", drawn["promises"]),
            text_item("● marks the operating point, the one that calls.bed.gz uses."),
            table_item(tables.promises_table(screen, [screen.network])),
            Item("fold", tables.promises_table(screen, screen.baselines), "Promises of baselines"),
            *notes,
        ],
    )


def _expected(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on expected calls and other prevalences."""
    return Section(
        "expected",
        "Expected right and wrong calls",
        [
            text_item(
                "At the operating point, in everything that was scanned: what the promise lets "
                "expect of the calls, and what the annotation confirms."
            ),
            table_item(tables.expected_table(screen)),
            text_item("In all contigs of each genome, if they are like what was scanned:"),
            table_item(tables.whole_genome_table(screen)),
            Item("heading", "Precision against prevalence"),
            text_item(
                "The same share of sites found and the same false positive rate give another "
                "precision where sites are rarer or more common. Probabilities in the calls are "
                "stated at the prevalence of {}; the marks show this genome's, a third and three "
                "times it.",
                screen.calibration_genome,
            ),
            Item("picture", drawn["prevalence"]),
            table_item(tables.prevalence_table(screen)),
        ],
    )


def _trust(screen: Screen) -> list[Section]:
    """Return the section on trust without labels, nothing where nothing was estimated."""
    if not transfer.trusted(screen):
        return []
    items = [
        text_item(
            "Nothing in this section looks at an annotation of the scanned genome, so it can be "
            "had for a genome that has none; where there is one, it stands beside the estimates, "
            "which shows how good they are."
        ),
        Item("list", transfer.warning_points(screen)),
        Item("heading", "Is the sequence like that of training?"),
        text_item(
            "Divergence is 0 for sequences of the same composition and 1 for those that share no "
            "word; beside it stands the largest between a piece of the training sequence, as long "
            "as what was scanned, and the rest of it. Long words that are shared tell of relatives."
        ),
        table_item(transfer.sequence_table(screen)),
        Item("heading", "How many sites, and how many right calls?"),
        text_item(
            "If sites score here as those of {} do, and other places too, then only how common "
            "sites are can differ, and that follows from the scores: from all of them (expectation "
            "maximisation) and from the number of called positions alone (black-box shift "
            "estimation). Calls are the less often right the rarer sites are. The intervals hold "
            "the chance of sampling, not the error of that assumption: for that, heed the warnings "
            "above.",
            screen.calibration_genome,
        ),
        table_item(transfer.prevalence_table(screen)),
        table_item(transfer.precision_table(screen)),
        Item("fold", transfer.checks_table(screen), "What the warnings rest on"),
    ]
    return [Section("trust", "How far can this be trusted?", items)]


def _probabilities(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on reliability and scores."""
    return Section(
        "probabilities",
        "Are the probabilities right?",
        [
            text_item(
                "<b>Reliability.</b> Predictions in bins of log-odds: how many were expected to be "
                "sites and how many are. On the diagonal, a stated 30 % means 30 %. Both axes are "
                "logarithmic, since almost all predictions are far below 1 %."
            ),
            Item("picture", drawn["reliability"]),
            text_item(
                "<b>Scores.</b> How many sites and how many other places have each score; counts "
                "are logarithmic. Right of the dotted line, predictions become calls."
            ),
            Item("picture", drawn["scores"]),
        ],
    )


def _stages(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Section]:
    """Return the section on genomes learned in order; none where there are no stages."""
    if not screen.has_stages:
        return []
    return [
        Section(
            "stages",
            "One genome after the other: what was kept and lost",
            [
                Item("text", stages.forgetting_sentence(screen)),
                text_item(
                    "After every stage, everything that any stage taught is measured again, at "
                    "each genome's own rate of sites. <b>Gain</b> is what the further stages "
                    "brought over the first one's network, left alone; <b>forgetting</b> is how "
                    "far the average precision fell from its best; <b>backward transfer</b> is "
                    "what later stages changed in earlier ones (negative: lost); <b>forward "
                    "transfer</b> is what was known before a stage, above chance."
                ),
                table_item(stages.summary_table(screen)),
                *_stage_differences(screen),
                Item("heading", "After each stage (rows), on what each stage taught (columns)"),
                Item("picture", drawn["stage_matrix"]),
                Item("heading", "What became of it"),
                Item("picture", drawn["stage_curves"]),
                Item("heading", "Old against new"),
                text_item(
                    "Right is better on the new stage, up is better on the older ones. The line "
                    "joins consolidation at rising lambda. Bars are 95 % intervals over blocks."
                ),
                Item("picture", drawn["stage_trade_off"]),
                Item("heading", "Stages of this model"),
                text_item(
                    "Every choice was made on the validation part of the stage's own genomes."
                ),
                table_item(stages.lineage_table(screen)),
                Item("fold", stages.matrix_table(screen), "Every class after every stage"),
            ],
        )
    ]


def _stage_differences(screen: Screen) -> list[Item]:
    """Return the paired differences to plain fine-tuning, where it is among the methods."""
    table = stages.differences_table(screen)
    if not table.rows:
        return []
    words = "Differences on the same resampled blocks, or between the same seeds:"
    return [text_item(words), table_item(table)]


def _along(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on calls along the genome."""
    return Section(
        "along",
        "Calls along the genome",
        [
            text_item(
                "Calls of all classes per Mb, in a hundred windows a stretch; the longest "
                "stretches of each genome. Right calls point up, wrong ones down."
            ),
            Item("picture", drawn["genome_map"]),
        ],
    )


def _logos(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on the sequence of calls."""
    text = (
        "Information in bits around the site's base (position 0, marked), in the direction of its "
        "strand. The best-scoring false positives are the {} candidates with the highest scores "
        "that the annotation does not know: if they look like sites, some may be real."
    )
    if screen.resolution > 1:
        text += " Predictions cover several bases, so that calls are not aligned to the base."
    return Section(
        "logos",
        "What was called, as sequence",
        [
            text_item(text, MOST_FALSE),
            Item("picture", drawn["logos"]),
            table_item(tables.consensus_table(screen)),
            *view_items(screen),
        ],
    )


def view_items(screen: Screen) -> list[Item]:
    """Return links to the pages that show places on their sequence, nothing without any."""
    if not screen.views:
        return []
    link = Markup('<a href="{}">{}</a>')
    links = [link.format(quote(path), name) for name, path in screen.views.items()]
    text = Markup(
        "One by one, in a genome browser, with known sites and probabilities around each: the best "
        "calls, the best misses and the best-scoring false positives of {}. These are pages of "
        "their own, beside this one."
    )
    return [Item("text", text.format(Markup(", ").join(links)))]


def _training(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on training."""
    text = (
        "The loss is weighted so that it speaks for the whole training part, although "
        "sites were sampled more often. The average precision is measured at natural "
        "prevalence on the validation part."
    )
    if screen.imported:
        text = (
            "The network was imported with its weights and not trained here. What it was trained "
            "on is not known, so parts called held out are held out from calibration (and from the "
            "baselines) alone, and the audit of leakage below compares with the train part of the "
            "split, which this network need not have seen."
        )
    items = [
        text_item(text),
        Item("picture", drawn["training"]),
        *seed_items(screen),
        *round_items(screen),
    ]
    return Section("training", "Training", items)


def seed_items(screen: Screen) -> list[Item]:
    """Return what several seeds brought, nothing where there is one."""
    if not screen.members:
        return []
    return [
        Item("heading", "Seeds"),
        text_item(
            "{} is the mean of the probabilities of {} networks that were trained from different "
            "seeds: other first weights, another order of the windows; above, each has a line of "
            "its own. How far they lie apart is what training once more would change; the 95 % "
            "intervals do not hold it. The best seed is the best on these very sites, which "
            "favours it.",
            screen.network.name,
            len(screen.members),
        ),
        table_item(rounds.seeds_table(screen)),
    ]


def round_items(screen: Screen) -> list[Item]:
    """Return what rounds of hard negatives gained, nothing where there are none."""
    if not screen.rounds:
        return []
    return [
        Item("heading", "Rounds of hard negatives"),
        Item("text", rounds.gain_sentence(screen)),
        text_item(
            "Before each round the training part was scanned with the network of the round before, "
            "and training went on with windows around the best-scoring places that are no sites; "
            "above, a dashed line marks its start. A round also trains longer, and its gain is "
            "that of both: with <code>hard_negatives.share: 0</code> it only trains longer. It "
            "keeps the weights that it started from unless a validation is better."
        ),
        table_item(rounds.rounds_table(screen)),
        text_item("On what was held out and on other genomes, on the same resampled blocks:"),
        table_item(rounds.gains_table(screen)),
    ]


def _split(screen: Screen, drawn: dict[str, DrawnPicture]) -> Section:
    """Return the section on the split and on leakage."""
    return Section(
        "split",
        "The split, and what leaks through it",
        [
            text_item("Parts of each genome; guards keep the context of one part out of another."),
            Item("picture", drawn["split"]),
            table_item(tables.split_table(screen)),
            Item("heading", "Leakage"),
            text_item(
                "Repeats and duplicated genes carry training sequence into the other parts. "
                "Average precision with and without sites of which half of the surrounding "
                "21-letter words occur in training sequence."
            ),
            table_item(tables.leakage_table(screen)),
            Item("heading", "What was judged"),
            table_item(tables.universe_table(screen)),
        ],
    )


def _dropped(screen: Screen) -> Section:
    """Return the section on what was dropped on the way."""
    items = [
        text_item("Nothing is repaired silently: everything that was left out is counted here."),
        table_item(tables.dropped_table(screen)),
    ]
    for genome in screen.genomes:
        for subject, summary in genome.summaries.items():
            title = f"{genome.name}: {subject}, everything counted"
            items.append(Item("fold", tables.summary_table(summary), title))
    if screen.windows_summary:
        windows = tables.summary_table(screen.windows_summary)
        items.append(Item("fold", windows, "Training windows: how they were drawn"))
    return Section("dropped", "What was dropped on the way", items)


def _configuration(screen: Screen) -> Section:
    """Return the section on configuration, versions and digests."""
    items = [Item("code", _json(screen.settings), "Configuration of this screen")]
    for model in screen.models:
        items.append(Item("code", _json(model.facts), f"Model {model.name} (model.json)"))
    for genome in screen.evaluated:
        details = _json(genome.evaluation.details)
        items.append(Item("code", details, f"Evaluation of {genome.name} (details.json)"))
    return Section("configuration", "Configuration, versions and digests", items)


def _json(content: object) -> str:
    """Write JSON for reading, long lists shortened."""
    return json.dumps(tables.shorten(content), indent=2, ensure_ascii=False)
