"""Which networks a screen trains, from which seeds and in which rounds, and where they lie.

Rounds and seeds are fixed by the configuration, so that everything is planned before anything runs.
A road is the folder below which a model is calibrated, scanned and evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass

HARD = "hard"
"""Source of windows around harvested positions."""


@dataclass(frozen=True)
class TrainingPlan:
    """The networks of one screen.

    Parameters
    ----------
    screen : str
    network : str
        What metrics and reports call the screen's own model.
    baselines : tuple of str
    seeds : tuple of int
        One network each; the model is their mean where there are several.
    rounds : int
        Rounds of hard negatives after the first training, which is round 0.
    """

    screen: str
    network: str
    baselines: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    rounds: int = 0

    @property
    def road(self) -> str:
        """Folder of the screen's own model."""
        return f"results/{self.screen}"

    @property
    def baseline_roads(self) -> dict[str, str]:
        """Folder of each baseline."""
        return {name: f"{self.road}/baselines/{name}" for name in self.baselines}

    @property
    def member_roads(self) -> dict[str, str]:
        """Folder of the network of each seed, by the model's name, where there are several."""
        if len(self.seeds) == 1:
            return {}
        return {f"{self.network}.seed{s}": f"{self.road}/members/seed{s}" for s in self.seeds}

    @property
    def round_roads(self) -> dict[str, str]:
        """Folder of the model of each round but the last, whose model is the screen's own."""
        return {
            f"{self.network}.round{r}": f"{self.road}/rounds/round{r}" for r in range(self.rounds)
        }

    @property
    def roads(self) -> dict[str, str]:
        """Every road by the model's name, the screen's own first."""
        others = self.baseline_roads | self.member_roads | self.round_roads
        return {self.network: self.road} | others

    @property
    def round_pairs(self) -> list[tuple[str, str]]:
        """Rounds with the one before, but for pairs with the screen's own model."""
        names = list(self.round_roads)
        return list(zip(names[1:], names))

    def seed_folder(self, round_number: int, seed: int) -> str:
        """Return where the network of a seed lies after a round, uncalibrated."""
        return f"{self.road}/training/base/round{round_number}/seed{seed}"

    def round_folder(self, round_number: int) -> str:
        """Return where the model of a round lies, uncalibrated."""
        if len(self.seeds) == 1:
            return self.seed_folder(round_number, self.seeds[0])
        return f"{self.road}/training/base/round{round_number}/ensemble"

    def uncalibrated(self, road: str) -> str:
        """Return where the model of a road lies before calibration."""
        if road in self.baseline_roads.values():
            return f"{road}/training/base/round0/seed{self.seeds[0]}"
        for seed, member in zip(self.seeds, self.member_roads.values()):
            if road == member:
                return self.seed_folder(self.rounds, seed)
        rounds = list(self.round_roads.values())
        return self.round_folder(rounds.index(road) if road in rounds else self.rounds)


def with_hard_negatives(sampling: dict, share: float) -> dict:
    """Return settings of sampling in which a share of the windows surrounds hard negatives.

    Parameters
    ----------
    sampling : dict
        `sources` holds the share of each source; what the hard ones leave is shared out likewise.
    share : float
    """
    sources = {name: value * (1 - share) for name, value in sampling["sources"].items()}
    return sampling | {"sources": sources | {HARD: share}}
