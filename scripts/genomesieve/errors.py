"""The one exception for what a user can fix."""

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


def _visible(character: str) -> str:
    """Return a character, or its escape where it is not printable."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
