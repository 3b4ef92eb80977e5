"""Whole numbers as they stand in text files."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def whole_number(text: str) -> int:
    """Read a whole number of digits 0 to 9, with or without a minus.

    `int` takes more: blanks, underscores, digits of other scripts, and numbers that no array of
    int64 holds. No other tool reads those the same way.

    Raises
    ------
    ValueError
        If the text is anything else, or has more than 18 digits.
    """
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(text)
