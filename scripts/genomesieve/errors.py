"""The one exception for what a user can fix."""


class InputError(Exception):
    """Report bad input.

    The message names the file, line, contig or key, what was found, and what was expected.
    Scripts print it without a traceback and exit with status 1; everything else is a bug and may
    show one.
    """
