"""K-mer models that predict a base from its neighbours: what a pretrained network has to beat.

Words of `left` bases, the base itself and `right` bases are counted on both strands. A context of a
and b bases is a *shape* (a, b). The model of shape (a, b) mixes what was counted there with the
model of the next smaller shape,

    P_ab(x) = (count(x) + theta_ab * P_smaller(x)) / (sum of counts + theta_ab),

so that a context that was never seen says what its smaller one says (interpolation with a Dirichlet
prior, MacKay and Peto 1995). Each theta is fitted by the likelihood of bases that the counts do not
hold. Shapes grow one base at a time, by turns on the left and on the right; the smallest one, no
context at all, is mixed with even frequencies.

Where a flank holds a hidden or unknown base, the model uses what lies before it: the nearest known
run on that side, and all that is known on the other. So a base in a hidden span is predicted from
less, as a k-mer model has to.
"""

from __future__ import annotations

import numpy as np

from genomesieve.errors import InputError

LETTERS = 4
_BASES_AT_ONCE = 1 << 22
_THETAS = 2.0 ** np.arange(-2, 21)
"""Weights of the smaller context, in counts, to choose from."""


class WordCounts:
    """How often each word of `left + 1 + right` known bases occurs, on both strands.

    Parameters
    ----------
    left, right : int
        Bases on each side. Memory is 4 ** (left + 1 + right) numbers of 8 bytes below 10 bases a
        word and of 4 bytes from there on: 268 MB for 6 bases on each side, and a gigabyte while
        the tables of all shapes are made.
    """

    def __init__(self, left: int, right: int):
        self.left, self.right = left, right
        self.width = left + 1 + right
        self.counts = np.zeros(LETTERS**self.width, dtype=_kind(self.width))

    def add(self, codes: np.ndarray) -> None:
        """Count the words of the plus strand of one stretch of codes."""
        for first in range(0, len(codes) - self.width + 1, _BASES_AT_ONCE):
            piece = np.asarray(codes[first : first + _BASES_AT_ONCE + self.width - 1])
            words, times = np.unique(_words(piece, self.width), return_counts=True)
            self.counts[words] += times.astype(self.counts.dtype)

    def tables(self) -> dict[tuple[int, int], np.ndarray]:
        """Return the counts of both strands of every shape (a, b), shape=(4**a, 4, 4**b).

        They are sums over the whole words, so that every shape was counted at the same places.
        """
        a, b = self.left, self.right
        both = self.counts + _other_strand(self.counts)
        found = {(a, b): both.reshape(LETTERS**a, LETTERS, LETTERS**b)}
        for a, b in shapes_of(self)[-2::-1]:
            if a < self.left:
                larger = found[a + 1, b].reshape(LETTERS, LETTERS**a, LETTERS, LETTERS**b)
                summed = larger.sum(0, dtype=_kind(a + 1 + b))
            else:
                larger = found[a, b + 1].reshape(LETTERS**a, LETTERS, LETTERS**b, LETTERS)
                summed = larger.sum(3, dtype=_kind(a + 1 + b))
            found[a, b] = summed
        return found


def _kind(width: int) -> type:
    """Return the numbers that words of a width are counted with."""
    return np.int64 if width < 10 else np.uint32


def _other_strand(counts: np.ndarray) -> np.ndarray:
    """Return counts of words (4**n,) by their reverse complements: A, C, G, T are 0 to 3."""
    width = round(np.log(len(counts)) / np.log(LETTERS))
    return np.ascontiguousarray(np.flip(counts.reshape([LETTERS] * width).T)).ravel()


def _words(codes: np.ndarray, width: int) -> np.ndarray:
    """Return the number of each word without an unknown base, first base first."""
    count = len(codes) - width + 1
    words = np.zeros(count, dtype=np.int64)
    known = np.ones(count, dtype=bool)
    for at in range(width):
        letters = codes[at : at + count]
        words = words * LETTERS + letters
        known &= letters < LETTERS
    return words[known]


def smaller_shape(a: int, b: int) -> tuple[int, int]:
    """Return the shape that (a, b) is mixed with: one base less on the side that grew last."""
    return (a - 1, b) if a > b else (a, b - 1)


class KmerModel:
    """Interpolated k-mer models of all shapes up to (left, right).

    Parameters
    ----------
    counts : WordCounts
        Of the training part.
    thetas : dict of tuple to float
        Weight of the smaller shape, for each shape.
    """

    def __init__(self, counts: WordCounts, thetas: dict[tuple[int, int], float]):
        self.left, self.right, self.thetas = counts.left, counts.right, thetas
        self.tables = counts.tables()
        self._shapes = shapes_of(counts)

    def probabilities(
        self, flanks: np.ndarray, letters: np.ndarray, k: list[tuple[int, int]]
    ) -> np.ndarray:
        """Return the probability of each base under models of several sizes.

        Parameters
        ----------
        flanks : numpy.ndarray, shape=(n, left + 1 + right), dtype=uint8
            Codes around each base; the base itself is not looked at. Unknown and hidden bases
            are codes above 3.
        letters : numpy.ndarray, shape=(n,), dtype=int
            The bases themselves, 0 to 3.
        k : list of tuple of int
            Most bases on the left and on the right, a model each.

        Returns
        -------
        numpy.ndarray, shape=(models, n), dtype=float64
        """
        contexts = _Contexts(flanks, self.left, self.right)
        found = {shape: np.zeros(len(letters)) for shape in self._shapes}
        for shape in self._shapes:
            mine = np.flatnonzero(contexts.reach(*shape))
            smaller = np.full(len(mine), 1 / LETTERS)
            if shape != (0, 0):
                smaller = found[smaller_shape(*shape)][mine]
            seen, total = _look_up(self.tables[shape], contexts, shape, mine, letters[mine])
            found[shape][mine] = _mixed(seen, total, smaller, self.thetas[shape])
        result = np.empty((len(k), len(letters)))
        for row, (most_left, most_right) in enumerate(k):
            a = np.minimum(contexts.known_left, most_left)
            b = np.minimum(contexts.known_right, most_right)
            for shape, values in found.items():
                here = (a == shape[0]) & (b == shape[1])
                result[row, here] = values[here]
        return result


def shapes_of(counts: WordCounts) -> list[tuple[int, int]]:
    """List all shapes, each after the one that it is mixed with."""
    shapes = [(a, b) for a in range(counts.left + 1) for b in range(counts.right + 1)]
    return sorted(shapes, key=lambda shape: (sum(shape), shape))


class _Contexts:
    """The neighbours of bases as numbers, and how many of them are known on each side."""

    def __init__(self, flanks: np.ndarray, left: int, right: int):
        flanks = flanks.astype(np.int64)
        self._left, self.known_left = _side(flanks[:, :left][:, ::-1], nearest_last=True)
        self._right, self.known_right = _side(flanks[:, left + 1 :], nearest_last=False)

    def reach(self, a: int, b: int) -> np.ndarray:
        """Tell where a bases on the left and b on the right are known."""
        return (self.known_left >= a) & (self.known_right >= b)

    def rows(self, a: int, b: int, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the left and right context of some bases in a table."""
        return self._left[a][chosen], self._right[b][chosen]


def _side(flank: np.ndarray, nearest_last: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Give contexts of every size on one side a number; `flank` has the nearest base first."""
    words = [np.zeros(len(flank), dtype=np.int64)]
    known = np.zeros(len(flank), dtype=np.int64)
    for at, letters in enumerate(flank.T):
        known += (known == at) & (letters < LETTERS)
        letters = np.minimum(letters, LETTERS - 1)
        # On the left the nearest base is the word's last one, on the right its first.
        last = words[-1]
        words.append(last + letters * LETTERS**at if nearest_last else last * LETTERS + letters)
    return words, known


def _look_up(
    table: np.ndarray,
    contexts: _Contexts,
    shape: tuple[int, int],
    chosen: np.ndarray,
    letters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how often bases followed their contexts, and how often the contexts occurred."""
    before, after = contexts.rows(*shape, chosen)
    four = table[before[:, None], np.arange(LETTERS), after[:, None]].astype(np.float64)
    return four[np.arange(len(chosen)), letters], four.sum(1)


def _mixed(seen: np.ndarray, total: np.ndarray, smaller: np.ndarray, theta: float) -> np.ndarray:
    """Mix what was counted with what the smaller context says."""
    return (seen + theta * smaller) / (total + theta)


def fit_model(
    stretches: list[np.ndarray],
    left: int,
    right: int,
    seed: int = 0,
    block: int = 100_000,
    held: int = 10,
    most: int = 200_000,
) -> KmerModel:
    """Count words in stretches of codes and fit how contexts are mixed.

    One block in `held` is set aside and the others are counted; each theta is the one under which
    the bases set aside are most likely, with all their neighbours known. Then they are counted too.

    Parameters
    ----------
    stretches : list of numpy.ndarray, dtype=uint8
        Codes of the training part.
    left, right : int
        Bases of context on each side.
    seed : int
        Chooses the bases that thetas are fitted on.
    block : int
        Bases a block; smaller where there would be fewer than `held` blocks.
    held : int
    most : int
        Bases that thetas are fitted on.

    Raises
    ------
    InputError
        If there is no whole word to count, or nothing to fit on.
    """
    counts = WordCounts(left, right)
    total = sum(map(len, stretches))
    block = max(counts.width, min(block, total // (2 * held)))
    blocks = [
        piece[first : first + block + counts.width - 1]
        for piece in stretches
        for first in range(0, len(piece), block)
    ]
    aside = blocks[held // 2 :: held]
    for number, piece in enumerate(blocks):
        if number % held != held // 2:
            counts.add(piece)
    flanks = _sample_words(aside, counts.width, most, seed)
    if not counts.counts.any() or not len(flanks):
        raise InputError(
            f"k-mer models need known bases: no {counts.width} in a row to count, or none to fit "
            f"on, in the {total} bp of the training part"
        )
    thetas = fit_thetas(counts, flanks)
    for piece in aside:
        counts.add(piece)
    return KmerModel(counts, thetas)


def _sample_words(blocks: list[np.ndarray], width: int, most: int, seed: int) -> np.ndarray:
    """Return some words without unknown bases, shape=(n, width), in the order of the blocks."""
    views = [np.lib.stride_tricks.sliding_window_view(b, width) for b in blocks if len(b) >= width]
    if not views:
        return np.zeros((0, width), dtype=np.uint8)
    ends = np.cumsum([len(view) for view in views])
    chosen = np.arange(ends[-1])
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(ends[-1], most, replace=False))
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = ends - [len(view) for view in views]
    words = np.concatenate([view[part - at] for view, part, at in zip(views, parts, starts)])
    return words[(words < LETTERS).all(1)]


def fit_thetas(counts: WordCounts, words: np.ndarray) -> dict[tuple[int, int], float]:
    """Fit the weight of the smaller context for each shape, smallest shapes first.

    Parameters
    ----------
    counts : WordCounts
    words : numpy.ndarray, shape=(n, left + 1 + right)
        Words that the counts do not hold.
    """
    contexts = _Contexts(words, counts.left, counts.right)
    letters = words[:, counts.left].astype(np.int64)
    every = np.arange(len(words))
    thetas: dict[tuple[int, int], float] = {}
    found: dict[tuple[int, int], np.ndarray] = {}
    tables = counts.tables()
    for shape in shapes_of(counts):
        seen, total = _look_up(tables[shape], contexts, shape, every, letters)
        smaller = found.get(smaller_shape(*shape), np.full(len(words), 1 / LETTERS))
        losses = [-np.log(_mixed(seen, total, smaller, theta)).sum() for theta in _THETAS]
        thetas[shape] = float(_THETAS[int(np.argmin(losses))])
        found[shape] = _mixed(seen, total, smaller, thetas[shape])
    return thetas
