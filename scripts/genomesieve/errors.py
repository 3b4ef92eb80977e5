"""What a user can fix: the one exception for it, and words that its messages share."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

INTERRUPTED = "interrupted (Ctrl-C)"
"""Last word of a script that was interrupted."""

_HEAD, _TAIL = 1400, 600
"""Characters that are kept of a long message: what was expected stands at its end."""


class InputError(Exception):
    """Report bad input.

    The message names the file, line, contig or key, what was found, and what was expected.
    Scripts print it without a traceback and exit with status 1; everything else is a bug and may
    show one.
    """

    def __str__(self) -> str:
        """Return the message as one line of bounded length, whatever input it quotes.

        Line ends, control characters that a terminal would obey, and halves of surrogate pairs
        (which no terminal can be sent) are written as escapes.
        """
        text = super().__str__()
        if len(text) > _HEAD + _TAIL:
            text = f"{text[:_HEAD]}...{text[-_TAIL:]}"
        return text if text.isprintable() else "".join(map(_visible, text))


def first_names(names: Iterable[str], most: int = 5) -> str:
    """List names, the first of many: `chr1, chr2, chr3, chr4, chr5, ...`."""
    shown = list(islice(names, most + 1))
    return ", ".join([*shown[:most], *(["..."] if len(shown) > most else [])])


def _visible(character: str) -> str:
    """Return a character, or its escape where it is not printable."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
