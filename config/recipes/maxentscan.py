"""MaxEntScan (Yeo and Burge 2004) as a network of one's own, to compare with.

The maximum-entropy models of short splice-site sequence are tables; a score is a sum of table
entries, so that it can be read off a whole chromosome at once. Weights are made from the published
tables (in the layout of the `maxentpy` package) by

    python config/recipes/maxentscan.py score5_matrix.txt.gz score3_matrix.txt.gz out.safetensors
"""

import gzip
import math
import sys

import torch
from torch import Tensor, nn

BACKGROUND = (0.27, 0.23, 0.23, 0.27)
"""Of A, C, G, T."""
GT = ((0.004, 0.0032, 0.9896, 0.0032), (0.0034, 0.0039, 0.0042, 0.9884))
AG = ((0.9903, 0.0032, 0.0034, 0.0030), (0.0027, 0.0037, 0.9905, 0.0030))
"""Frequencies of A, C, G, T at the two fixed bases of donors and of acceptors."""
PIECES = ((0, 7), (7, 14), (14, 21), (4, 11), (11, 18), (4, 7), (7, 11), (11, 14), (14, 18))
"""Stretches of the acceptor's 21 free bases that have a table; the last four are divided by."""
DIVIDED = 5
LOWEST = -50.0
"""Score (bits) where a base is unknown, below that of any known sequence."""


class MaxEntScan(nn.Module):
    """Score of the donor (9 bases) and the acceptor (23) at every base, in bits.

    A donor is the last base of an exon, the third of its nine; an acceptor is the first base of an
    exon, the twenty-first of its 23.
    """

    context = 20

    def __init__(self):
        super().__init__()
        self.register_buffer("donor", torch.zeros(4**7))
        for number, (first, end) in enumerate(PIECES):
            self.register_buffer(f"acceptor{number}", torch.zeros(4 ** (end - first)))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, 4, L) to log2 odds (N, 2, L - 40): donor, acceptor."""
        codes = x.argmax(1)
        length = x.shape[-1] - 2 * self.context
        # Bases by their distance from the one that is scored.
        donor = [codes[:, self.context + at :][:, :length] for at in range(-2, 7)]
        acceptor = [codes[:, self.context + at :][:, :length] for at in range(-20, 3)]
        scores = [self._donor(donor), self._acceptor(acceptor)]
        known = (x.sum(1) > 0).float().unfold(1, 2 * self.context + 1, 1)
        seen = [known[..., 18:27].amin(-1), known[..., :23].amin(-1)]
        both = [torch.where(ok > 0, score, LOWEST) for score, ok in zip(scores, seen)]
        return torch.stack(both, dim=1)

    def _donor(self, bases: list[Tensor]) -> Tensor:
        """Score nine bases, of which the fourth and fifth are fixed."""
        return _fixed(bases[3:5], GT) + self.donor[_index([*bases[:3], *bases[5:]])]

    def _acceptor(self, bases: list[Tensor]) -> Tensor:
        """Score 23 bases, of which the nineteenth and twentieth are fixed."""
        free = [*bases[:18], *bases[20:]]
        total = _fixed(bases[18:20], AG)
        for number, (first, end) in enumerate(PIECES):
            part = getattr(self, f"acceptor{number}")[_index(free[first:end])]
            total = total - part if number >= DIVIDED else total + part
        return total


def _index(bases: list[Tensor]) -> Tensor:
    """Read bases as the digits of a number."""
    total = torch.zeros_like(bases[0])
    for base in bases:
        total = total * 4 + base
    return total


def _fixed(bases: list[Tensor], frequencies: tuple) -> Tensor:
    """Return the log2 odds of the two fixed bases."""
    odds = [
        torch.tensor([math.log2(p / q) for p, q in zip(row, BACKGROUND)], device=bases[0].device)
        for row in frequencies
    ]
    return odds[0][bases[0]] + odds[1][bases[1]]


def read_tables(donor_path: str, acceptor_path: str) -> dict[str, Tensor]:
    """Read the published tables as weights: log2 of the probability ratios."""
    state = {name: tensor.clone() for name, tensor in MaxEntScan().state_dict().items()}
    letters = str.maketrans("ACGT", "0123")
    with gzip.open(donor_path, "rt") as handle:
        for line in handle:
            word, value = line.split()
            state["donor"][int(word.translate(letters), 4)] = math.log2(float(value))
    with gzip.open(acceptor_path, "rt") as handle:
        for line in handle:
            table, index, value = line.split()
            state[f"acceptor{table}"][int(index)] = math.log2(float(value))
    return state


if __name__ == "__main__":
    from safetensors.torch import save_file

    save_file(read_tables(*sys.argv[1:3]), sys.argv[3])
