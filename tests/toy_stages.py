"""A small screen with stages, as configuration."""

from __future__ import annotations

STAGE = {"new_classes": [], "measure_on": None, "training": {}}
"""What the schema fills in."""
SETTINGS = {
    "classes": {"donor": {}, "acceptor": {}},
    "stages": {
        "thale": STAGE | {"genomes": ["thale"]},
        "fly": STAGE | {"genomes": ["fly"], "method": "ewc", "lambda": 3, "training": {"steps": 9}},
        "human": STAGE | {"genomes": ["human", "fly"], "measure_on": "human"},
    },
    "stage_methods": {"replay": {"method": "replay", "replay_share": 0.1}},
}
