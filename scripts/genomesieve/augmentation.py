"""Reverse-complement rows of a windows table."""

from __future__ import annotations

import pandas as pd

from genomesieve.architecture import REVERSE_COMPLEMENTS


def add_reverse_complements(
    windows: pd.DataFrame, stranded: bool, reverse_complement: str
) -> pd.DataFrame:
    """Add the minus-strand twins of windows, each right after its window.

    Stranded classes: every window of every part gets one; it is the minus strand's own data, not an
    augmentation. Unstranded classes: with `augment`, windows of the training part get one, marked
    as augmented; a model that averages over both strands or ties its weights needs none.

    Parameters
    ----------
    windows : pandas.DataFrame
        Plus-strand windows with columns part, strand, augmented and any others, which twins copy:
        `inclusion` stays in plus-strand order.
    stranded : bool
        Whether the classes have a strand.
    reverse_complement : {'augment', 'average', 'equivariant'}
        How a model of unstranded classes sees the other strand.

    Returns
    -------
    pandas.DataFrame
        The same columns.

    Raises
    ------
    ValueError
        If the mode is unknown or a window is already on the minus strand.
    """
    if reverse_complement not in REVERSE_COMPLEMENTS:
        raise ValueError(
            f"reverse_complement {reverse_complement!r}; expected one of {REVERSE_COMPLEMENTS}"
        )
    if (windows["strand"] != "+").any():
        raise ValueError("windows already hold minus-strand rows; expected plus-strand ones only")
    windows = windows.reset_index(drop=True)
    if stranded:
        twins = windows
    elif reverse_complement == "augment":
        twins = windows[windows["part"] == "train"]
    else:
        twins = windows.iloc[:0]
    twins = twins.assign(strand="-", augmented=not stranded)
    both = pd.concat([windows, twins]).sort_index(kind="stable").reset_index(drop=True)
    return both[list(windows.columns)]
