"""Which networks a screen trains, in which stages and rounds and from which seeds, and where.

All of them are fixed by the configuration, so that everything is planned before anything runs.
A road is the folder below which a model is calibrated, scanned and evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genomesieve.stages import Stage

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
    stages : mapping of str to Stage
        By key, where several genomes are learned in order; the screen's own model is the last one
        of its own stages.
    """

    screen: str
    network: str
    baselines: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    rounds: int = 0
    stages: Mapping[str, Stage] = field(default_factory=dict)

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
        return self._members(self.road)

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

    @property
    def first_stage(self) -> str:
        """Key of the first stage; empty without stages."""
        return next(iter(self.stages), "")

    @property
    def last_stage(self) -> str:
        """Key of the last one of the screen's own stages; empty without stages."""
        own = [key for key, stage in self.stages.items() if not stage.chain]
        return own[-1] if own else ""

    def stage_road(self, key: str) -> str:
        """Return the folder of the model of a stage; the last one's is the screen's own."""
        return self.road if key == self.last_stage else f"{self.road}/stages/{key}"

    def stage_models(self, key: str) -> dict[str, str]:
        """Return the roads that are evaluated for a stage, by the model's name."""
        road = self.stage_road(key)
        return {self.network: road} | self._members(road)

    @property
    def stage_roads(self) -> dict[str, str]:
        """Key of the stage of every road of a stage but the last."""
        return {
            road: key
            for key in self.stages
            if key != self.last_stage
            for road in self.stage_models(key).values()
        }

    def stage_of(self, road: str) -> str:
        """Return the key of the stage whose model lies on a road; empty for baselines."""
        if road in self.baseline_roads.values():
            return ""
        return self.stage_roads.get(road, self.last_stage)

    def seed_road(self, key: str, seed: int) -> str:
        """Return the folder of the bundle of one seed's network after a stage."""
        members = self._members(self.stage_road(key))
        return members.get(f"{self.network}.seed{seed}", self.stage_road(key))

    def seed_of(self, road: str) -> int:
        """Return the seed of the network on a road; the first one's where it is not a member."""
        name = road.rpartition("/seed")[2]
        return int(name) if name.isdigit() and "/members/" in road else self.seeds[0]

    def training_folder(self, key: str) -> str:
        """Return where a stage's networks are trained; those of a screen without stages in base."""
        return f"{self.road}/training/{'base' if key == self.first_stage else key}"

    def seed_folder(self, round_number: int, seed: int, stage: str = "") -> str:
        """Return where the network of a seed lies after a round, uncalibrated."""
        folder = self.training_folder(stage or self.first_stage)
        return f"{folder}/round{round_number}/seed{seed}"

    def round_folder(self, round_number: int, stage: str = "") -> str:
        """Return where the model of a round lies, uncalibrated."""
        if len(self.seeds) == 1:
            return self.seed_folder(round_number, self.seeds[0], stage)
        return f"{self.training_folder(stage or self.first_stage)}/round{round_number}/ensemble"

    def uncalibrated(self, road: str) -> str:
        """Return where the model of a road lies before calibration."""
        if road in self.baseline_roads.values():
            return f"{road}/training/base/round0/seed{self.seeds[0]}"
        stage = self.stage_of(road)
        if "/members/" in road:
            return self.seed_folder(self.rounds, self.seed_of(road), stage)
        rounds = list(self.round_roads.values())
        return self.round_folder(rounds.index(road) if road in rounds else self.rounds, stage)

    def _members(self, road: str) -> dict[str, str]:
        """Return the folder of the network of each seed below a road, where there are several."""
        if len(self.seeds) == 1:
            return {}
        return {f"{self.network}.seed{s}": f"{road}/members/seed{s}" for s in self.seeds}


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
