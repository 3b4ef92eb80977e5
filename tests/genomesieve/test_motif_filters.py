import numpy as np
import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import Batch, one_hot
from genomesieve.errors import InputError
from genomesieve.motif_filters import fit_shortcut, set_motif_filters
from genomesieve.motifs import Motif
from genomesieve.networks import build_network

EVEN = np.full(4, 0.25)


def motif(generator, width):
    return Motif(f"M{width}", f"name{width}", generator.dirichlet(np.full(4, 0.3), width).T * 50)


def network_of(reverse_complement, channels=8, kernel=11):
    model = {
        "preset": "motif_cnn", "channels": channels, "stem_kernels": [kernel], "norm": "none",
    }  # fmt: skip
    torch.manual_seed(0)
    return build_network(resolve_architecture(model), 1, "independent", reverse_complement)


@pytest.mark.parametrize("mode", ["augment", "average", "equivariant"])
def test_filters_score_sequence_as_the_motifs_do_on_both_strands(mode):
    generator = np.random.default_rng(1)
    motifs = [motif(generator, 6), motif(generator, 9)]
    network = network_of(mode)
    used = set_motif_filters(network, motifs)
    assert used == (2 if mode == "equivariant" else 4)
    codes = torch.from_numpy(generator.integers(0, 4, (1, 300), dtype=np.uint8))
    layer = getattr(network, "network", network).stem[0]
    found = layer(one_hot(codes, DNA).unsqueeze(2))[0, :, 0].detach().numpy()
    sequence = codes[0].numpy()
    for row, item in enumerate(motifs):
        odds = item.log_odds(EVEN)
        width = odds.shape[1]
        spare = 11 - width
        # Complements of A, C, G, T in reversed order; the whole filter turns, its padding too.
        for strand, matrix in enumerate((odds, odds[::-1, ::-1])):
            left = spare // 2 if strand == 0 else spare - spare // 2
            scores = [
                matrix[sequence[at + left : at + left + width], np.arange(width)].sum()
                for at in range(290)
            ]
            mirrored = len(found) - 1 - row if strand else row
            mine = found[mirrored if mode == "equivariant" else 2 * row + strand]
            assert np.corrcoef(mine, scores)[0, 1] > 0.99999


class Windows:
    """Random sequence, 20 bins of 50 bp a window; what a bin holds follows from its best match."""

    def __init__(self, matrix: np.ndarray, count: int):
        generator = np.random.default_rng(4)
        self.codes = generator.integers(0, 4, (count, 1010), dtype=np.uint8)
        self.best = np.stack([best_matches(codes, matrix) for codes in self.codes])
        chance = 1 / (1 + np.exp(6 - self.best))
        self.sites = generator.random(chance.shape) < chance

    def __len__(self):
        return len(self.codes)

    def batch(self, rows):
        """Return the batch of some windows; the first of two classes has no site."""
        sites = torch.from_numpy(self.sites[rows])
        sites = torch.stack([torch.zeros_like(sites), sites], dim=1)
        x = one_hot(torch.from_numpy(self.codes[rows]), DNA)
        return Batch(x, sites, torch.ones(sites.shape))


def best_matches(codes: np.ndarray, matrix: np.ndarray) -> list[float]:
    """Return the best score of a motif of 8 on either strand, in each bin of 50 bp."""
    best = []
    for start in range(5, 1005, 50):
        # A filter's middle lies in the bin; 8 places of 11 begin one after its start, turned two.
        matches = [
            strand[codes[at - before : at - before + 8], np.arange(8)].sum()
            for at in range(start, start + 50)
            for strand, before in ((matrix, 4), (matrix[::-1, ::-1], 3))
        ]
        # Without a trunk the stem ends with a ReLU.
        best.append(max(0, *matches))
    return best


def test_output_of_a_class_starts_as_a_baseline_on_its_own_motif():
    generator = np.random.default_rng(4)
    motifs = [motif(generator, 7), motif(generator, 8)]
    model = {
        "preset": "motif_cnn", "channels": 8, "stem_kernels": [11], "resolution": 50,
        "shortcut": True,
    }  # fmt: skip
    network = build_network(resolve_architecture(model), 2, "independent", "equivariant")
    set_motif_filters(network, motifs)
    source = Windows(motifs[1].log_odds(EVEN), 200)
    # Names are compared without case; the first class has no motif of its own.
    assert fit_shortcut(network, motifs, ["other", "NAME8"], source, 0) == ["NAME8"]
    batch = source.batch(np.arange(200))
    found = network.eval()(batch.x).detach().numpy()
    assert np.ptp(found[:, 0]) == 0
    assert np.corrcoef(found[:, 1].ravel(), source.best.ravel())[0, 1] > 0.99999
    # The chance of a site in truth is that of its match; slope and offset are found again.
    slope, offset = np.polyfit(source.best.ravel(), found[:, 1].ravel(), 1)
    assert (slope, offset) == (pytest.approx(1, abs=0.15), pytest.approx(-6, abs=0.8))
    assert (1 / (1 + np.exp(-found[:, 1]))).mean() == pytest.approx(source.sites.mean(), rel=0.02)


def test_other_filters_stay_as_they_were():
    before = network_of("augment").stem[0].weight.detach().clone()
    network = network_of("augment")
    set_motif_filters(network, [motif(np.random.default_rng(0), 7)])
    after = network.stem[0].weight.detach()
    assert torch.equal(after[2:], before[2:])
    assert not torch.equal(after[:2], before[:2])
    assert after[:2].flatten(1).norm(dim=1).numpy() == pytest.approx(
        [before.flatten(1).norm(dim=1).mean().item()] * 2, rel=1e-5
    )


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([12], r"motif M12 \(name12\) is 12 bp wide and the first filters 11 bp"),
        ([6, 7, 8, 9, 10], "names 5 motifs, which take 10 filters; expected at most 8"),
    ],
)
def test_motifs_that_do_not_fit_are_refused(widths, message):
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match=message):
        set_motif_filters(network_of("augment"), [motif(generator, width) for width in widths])
