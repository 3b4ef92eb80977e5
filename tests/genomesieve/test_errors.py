"""What scripts say at their edge: one printable line about bad input, a word when interrupted."""

import argparse

import pytest

from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError, first_names


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


def test_an_interrupted_script_says_that_alone(capsys):
    def work(_):
        raise KeyboardInterrupt

    assert run_script(work, argparse.Namespace()) == 130
    assert capsys.readouterr().err == "interrupted (Ctrl-C)\n"


@pytest.mark.parametrize(
    ("names", "shown"),
    [((), ""), (("a",), "a"), (("a", "b", "c"), "a, b, c"), ("abcd", "a, b, c, ...")],
)
def test_the_first_of_many_names_are_listed(names, shown):
    assert first_names(names, 3) == shown
    assert first_names(iter(names), 3) == shown


def test_help_tells_defaults_that_say_something():
    parser = make_parser("Does it.")
    parser.add_argument("--steps", default=3, help="how many")
    parser.add_argument("--seed", default=0, help="of what is drawn")
    parser.add_argument("--start", default=None, help="where (default: fresh weights)")
    parser.add_argument("--classes", default=(), help="which")
    parser.add_argument("--force", action="store_true", help="do")
    parser.add_argument("--output", required=True, help="where to")
    said = " ".join(parser.format_help().split())
    assert "how many (default: 3)" in said and "of what is drawn (default: 0)" in said
    assert said.count("(default:") == 3
