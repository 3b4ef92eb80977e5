"""How hidden states are probed, known without loading torch."""

from __future__ import annotations

from dataclasses import dataclass

from genomesieve.errors import InputError

NUMERIC = ("gc", "cpg", "stacking", "purine_run", "distance")
CATEGORICAL = ("codon_phase", "strand", "repeat", "laboratory")
PROPERTIES = (*NUMERIC, *CATEGORICAL)
"""What is probed: the sequence around a bin, the sites, the genes, the repeats, the data."""


@dataclass(frozen=True)
class ProbeSettings:
    """How hidden states are probed.

    Parameters
    ----------
    positions : int
        Bins of the train part that probes are fitted on, and of the test part that they are scored
        on; a third as many of the valid part choose the regularisation. Of each genome.
    properties : tuple of str
        Some of `PROPERTIES`.
    flank : int
        bp on each side of the bin over which the properties of the sequence are taken.
    reach : int
        bp at which the distance to the nearest site ends.
    words : int
        Length of the k-mers of the baseline.
    type_length : int
        Length of the k-mers at the bin's middle that are the types of control tasks.
    controls : int
        Control tasks a property.
    bases : int
        bp of the test part, about, on which the model runs with a property removed.
    random_removals : int
        Random directions (or sets of them) that are removed to compare with.
    repeats : int
        Bootstrap resamples.
    seed : int
    """

    positions: int = 12_000
    properties: tuple[str, ...] = PROPERTIES
    flank: int = 50
    reach: int = 1000
    words: int = 3
    type_length: int = 6
    controls: int = 3
    bases: int = 500_000
    random_removals: int = 8
    repeats: int = 400
    seed: int = 0

    def check(self, where: str = "--") -> None:
        """Raise InputError for settings out of range; `where` stands before their names."""
        least = {
            **{"positions": 100, "flank": 0, "reach": 1, "words": 1, "type_length": 1},
            **{"controls": 1, "bases": 0, "random_removals": 1, "repeats": 20, "seed": 0},
        }
        most = {"words": 6, "type_length": 8}
        for name, low in least.items():
            value, high = getattr(self, name), most.get(name)
            if value < low or (high is not None and value > high):
                rest = f"at least {low}" if high is None else f"{low} to {high}"
                option = name.replace("_", "-") if where == "--" else name
                raise InputError(f"{where}{option}: found {value}; expected {rest}")
        wrong = [name for name in self.properties if name not in PROPERTIES]
        if wrong or not self.properties:
            raise InputError(
                f"{where}properties: found {', '.join(wrong) or 'none'}; expected some of "
                f"{', '.join(PROPERTIES)}"
            )
