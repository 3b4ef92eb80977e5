"""The section of a report on why the model calls what it calls, part by part."""

from __future__ import annotations

from genomesieve import report_attention as attention
from genomesieve import report_attributions as attributions
from genomesieve import report_interventions as interventions
from genomesieve import report_motifs as motifs
from genomesieve import report_probes as probes
from genomesieve.attribution_files import read_attributions
from genomesieve.figures import Picture
from genomesieve.figures_attention import attention_pictures
from genomesieve.figures_attributions import attribution_pictures
from genomesieve.figures_interventions import intervention_pictures
from genomesieve.figures_motifs import motif_pictures
from genomesieve.figures_probes import probe_pictures
from genomesieve.report_data import Screen
from genomesieve.report_items import DrawnPicture, Item, Section

READERS = {
    attributions.PART: read_attributions,
    motifs.PART: motifs.read_motifs,
    interventions.PART: interventions.read_interventions,
    attention.PART: attention.read_attention,
    probes.PART: probes.read_probes,
}
"""How the folder of each part is read: from its path and the genome's name."""
_PICTURES = (
    attribution_pictures,
    motif_pictures,
    intervention_pictures,
    attention_pictures,
    probe_pictures,
)
_ITEMS = (
    attributions.attribution_items,
    motifs.motif_items,
    interventions.intervention_items,
    attention.attention_items,
    probes.probe_items,
)


def explanation_pictures(screen: Screen) -> list[Picture]:
    """Return the pictures of all parts that there are."""
    return [picture for make in _PICTURES for picture in make(screen)]


def explanation_sections(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Section]:
    """Return the section; none where nothing was explained."""
    items: list[Item] = [item for make in _ITEMS for item in make(screen, drawn)]
    return [Section("why", "Why the model calls what it calls", items)] if items else []
