"""Score counts of two normal distributions, so that everything about a shift is known.

Log-odds of two normal distributions of one spread are a straight line of the score, so the logistic
calibration is right but for sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from genomesieve.calibration import calibrate_class, fit_logistic
from genomesieve.score_counts import ScoreCounts
from genomesieve.scores import CODES, coarsen_codes, decode_scores, encode_scores
from genomesieve.transfer import Target

SITES, OTHERS, SPREAD = 0.0, -12.0, 2.4
RARE = 1 / 1500


@dataclass(frozen=True)
class Drawn:
    """Codes of sites and of other bins, block by block."""

    sites: list[np.ndarray]
    others: list[np.ndarray]

    @property
    def prevalence(self) -> float:
        """Share of bins that hold a site."""
        sites, others = (sum(map(len, one)) for one in (self.sites, self.others))
        return sites / (sites + others)

    def histograms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return sites and others by code."""
        return tuple(
            np.bincount(np.concatenate(one), minlength=CODES) for one in (self.sites, self.others)
        )

    def called(self, code: int) -> tuple[int, int]:
        """Return how many sites and how many other bins score at least a code."""
        return tuple(int((np.concatenate(one) >= code).sum()) for one in (self.sites, self.others))

    def counts(self, floor: int) -> ScoreCounts:
        """Count by block and code, coarse below the floor."""
        codes = np.unique(coarsen_codes(np.concatenate([*self.sites, *self.others]), floor))
        tables = [np.zeros((len(self.sites), len(codes))) for _ in range(2)]
        for table, kind in zip(tables, (self.sites, self.others)):
            for block, found in enumerate(kind):
                place = np.searchsorted(codes, coarsen_codes(found, floor))
                np.add.at(table[block], place, 1)
        return ScoreCounts(codes.astype(np.int64), *tables)

    def target(self, floor: int, threshold: int) -> Target:
        """Return the same without labels; every called bin is a call."""
        counts = self.counts(floor)
        return Target(counts.codes, counts.sites + counts.others, sum(self.called(threshold)))


def draw(
    generator: np.random.Generator,
    prevalence: float,
    bins: int = 3_000_000,
    blocks: int = 30,
    sites: float = SITES,
    others_spread: float = SPREAD,
) -> Drawn:
    """Draw a genome; its sites score around `sites`, other bins `others_spread` around -12."""
    size = bins // blocks
    positives = generator.binomial(size, prevalence, blocks)

    def codes(number: int, mean: float, spread: float) -> np.ndarray:
        return encode_scores(generator.normal(mean, spread, number))

    return Drawn(
        [codes(number, sites, SPREAD) for number in positives],
        [codes(size - number, OTHERS, others_spread) for number in positives],
    )


def calibrate(drawn: Drawn) -> dict:
    """Calibrate one class as calibrate_model does; calls are single bins."""
    positives, negatives = drawn.histograms()
    slope, intercept = fit_logistic(positives, negatives, "donor")
    floor = int(encode_scores(np.array([(np.log(0.002 / 0.998) - intercept) / slope]))[0])
    tables = [
        pd.DataFrame({"code": codes[codes >= floor], "block": block, "status": status})
        for status, kind in (("true", drawn.sites), ("false", drawn.others))
        for block, codes in enumerate(kind)
    ]
    return calibrate_class(
        positives, negatives, pd.concat(tables), name="donor", sites=int(positives.sum()),
        blocks=len(drawn.sites), precision_targets=[0.9, 0.75, 0.5], floor_code=floor,
        min_distance=1, match_distance=0, operating=1, repeats=200,
    )  # fmt: skip


def true_precision(prevalence: float, code: int) -> float:
    """Return the precision of calls at a code, from the two distributions themselves."""
    # Scores are rounded, so a bin is called if it is nearer to the code than to the one below.
    at, below = decode_scores(np.array([code, code - 1], np.uint16)).astype(float)
    limit = (at + below) / 2
    right = prevalence * norm.sf(limit, SITES, SPREAD)
    wrong = (1 - prevalence) * norm.sf(limit, OTHERS, SPREAD)
    return right / (right + wrong)
