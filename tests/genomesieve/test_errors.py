"""Messages about bad input are one printable line, whatever the input was."""

import argparse

import pytest

from genomesieve.command_line import run_script
from genomesieve.errors import InputError


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\udcff", r"\udcff"),
        ("\u202etxt", r"\u202etxt"),
        ("é 中", "é 中"),
        ("x" * 4000 + "y" * 1000, "x" * 1400 + "..." + "y" * 600),
    ],
)
def test_message_is_one_line_that_a_terminal_can_show(capsys, quoted, shown):
    def work(_):
        raise InputError(quoted)

    assert run_script(work, argparse.Namespace()) == 1
    assert capsys.readouterr().err == f"error: {shown}\n"
