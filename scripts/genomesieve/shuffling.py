"""Shuffled sequence with the same dinucleotides, exactly (Altschul and Erickson 1985)."""

from __future__ import annotations

import numpy as np


def shuffle_dinucleotides(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Shuffle a sequence so that every dinucleotide occurs as often as before.

    The sequence is an Eulerian path over its letters, and the result is another one, drawn
    uniformly: each letter's last edge is drawn from a random tree towards the last letter, all
    other edges are shuffled. Unknown bases are one more letter.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(length,), dtype=uint8
    generator : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape=(length,), dtype=uint8
        With the same first and last letter.
    """
    if len(codes) < 3:
        return codes.copy()
    followers = {
        int(letter): codes[1:][codes[:-1] == letter].copy() for letter in np.unique(codes[:-1])
    }
    last = _last_edges(followers, int(codes[-1]), generator)
    for letter, edges in followers.items():
        if letter in last:
            # One edge of the kind that is kept for the end; the others in any order.
            kept = int(np.flatnonzero(edges == last[letter])[0])
            edges[kept] = edges[-1]
            generator.shuffle(edges[:-1])
            edges[-1] = last[letter]
        else:
            generator.shuffle(edges)
    result = np.empty_like(codes)
    result[0] = codes[0]
    used = dict.fromkeys(followers, 0)
    for place in range(1, len(codes)):
        letter = int(result[place - 1])
        result[place] = followers[letter][used[letter]]
        used[letter] += 1
    return result


def _last_edges(
    followers: dict[int, np.ndarray], end: int, generator: np.random.Generator
) -> dict[int, int]:
    """Draw every letter's last edge: a random tree in which all letters lead to the last one.

    Walks with loops taken out draw trees by their weight (Wilson 1996).
    """
    chosen: dict[int, int] = {}
    done = {end}
    for start in followers:
        letter = start
        while letter not in done:
            chosen[letter] = int(generator.choice(followers[letter]))
            letter = chosen[letter]
        letter = start
        while letter not in done:
            done.add(letter)
            letter = chosen[letter]
    return {letter: chosen[letter] for letter in followers if letter != end}
