"""Which devices are used, and one process for each of them."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection

import torch

from genomesieve.errors import InputError

logger = logging.getLogger(__name__)

_ENDING = 10.0
"""Seconds that a process which has done its work may take to end."""

DEVICE_WORDS = re.compile(r"auto|cpu(:\d+)?|cuda(:\d+(,\d+)*)?")
"""What names devices; the schema of the configuration holds the same pattern."""


def choose_devices(words: str) -> list[torch.device]:
    """Return the devices that a few words name.

    Parameters
    ----------
    words : str
        `auto` (all visible GPUs, or the CPU), `cpu`, `cpu:2` (the CPU in two processes), `cuda`
        (all visible GPUs) or `cuda:0,1` (GPUs by number).

    Returns
    -------
    list of torch.device
        One or more; the CPU stands there once a process.

    Raises
    ------
    InputError
        If the words mean nothing or a GPU is asked for that is not there.
    """
    if not DEVICE_WORDS.fullmatch(words):
        raise InputError(
            f"device is {words!r}; expected auto, cpu, cpu:2 (processes), cuda or cuda:0,1"
        )
    kind, _, numbers = words.partition(":")
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cpu" or (kind == "auto" and not visible):
        return [torch.device("cpu")] * _at_least_one(int(numbers or 1), words)
    if not visible:
        raise InputError(
            f"device {words} was asked for, but this machine shows no CUDA GPU to PyTorch "
            f"{torch.__version__}; use --device cpu, or auto to take whatever is there"
        )
    chosen = [int(number) for number in numbers.split(",")] if numbers else range(visible)
    if max(chosen) >= visible or len(set(chosen)) < len(chosen):
        raise InputError(
            f"device is {words}; expected different numbers below {visible}, the visible GPUs"
        )
    return [torch.device("cuda", number) for number in chosen]


def choose_device(words: str) -> torch.device:
    """Return the one device to use where one is enough: the first of `choose_devices`."""
    return choose_devices(words)[0]


def _at_least_one(processes: int, words: str) -> int:
    """Return a number of processes, or raise InputError for none."""
    if processes < 1:
        raise InputError(f"device is {words}; expected at least one process")
    return processes


@contextlib.contextmanager
def reported_memory(device: torch.device, advice: str) -> Iterator[None]:
    """Turn a GPU's lack of memory into an InputError that names it and what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        first = str(error).split(". ")[0]
        raise InputError(f"{device} has not enough memory ({first}); {advice}") from error


def divide_rows(rows: range, parts: int) -> list[range]:
    """Cut a range into at most so many ranges of nearly equal length, none of them empty."""
    edges = [rows.start + number * len(rows) // parts for number in range(parts + 1)]
    return [range(a, b) for a, b in zip(edges, edges[1:]) if b > a]


def run_processes(work: Callable[..., None], jobs: Sequence[tuple[str, tuple]]) -> None:
    """Run a function in one fresh process a job, all at once, and wait for them.

    Parameters
    ----------
    work : callable
        A function of a module; it returns nothing.
    jobs : sequence of (str, tuple)
        Name of each process for messages, such as `cuda:1`, and the arguments of its call.

    Raises
    ------
    InputError
        With the message of the first process that fails; the others are ended.
    """
    # A fresh interpreter each: CUDA does not survive a fork.
    context = multiprocessing.get_context("spawn")
    waiting: dict[connection.Connection, tuple[str, multiprocessing.Process]] = {}
    started = []
    try:
        for name, arguments in jobs:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_serve, args=(sender, name, work, arguments))
            process.daemon = True
            process.start()
            sender.close()
            started.append(process)
            waiting[receiver] = name, process
        while waiting:
            for receiver in connection.wait(list(waiting)):
                name, process = waiting.pop(receiver)
                problem = _outcome(receiver, process)
                if problem:
                    raise InputError(f"process on {name} failed: {problem}")
                process.join(_ENDING)
    finally:
        for process in started:
            process.terminate()
            process.join()


def _outcome(receiver: connection.Connection, process: multiprocessing.Process) -> str:
    """Return what a process says, or how it ended if it said nothing; "" where all is well."""
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return f"it ended with exit code {process.exitcode} (negative: a signal, -9 if killed)"


def _serve(sender: connection.Connection, name: str, work: Callable, arguments: tuple) -> None:
    """Do a job in its own process and send what went wrong, "" if nothing."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(levelname)s [{name}] %(message)s"
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(*arguments)
    except InputError as error:
        _fail(sender, str(error))
    except Exception as error:
        logger.error("failed", exc_info=True)
        _fail(sender, f"{type(error).__name__}: {' '.join(str(error).split())}")
    else:
        sender.send("")


def _fail(sender: connection.Connection, problem: str) -> None:
    """Send what went wrong and wait to be ended.

    A process that ended by itself would close its connections to others that work with it, and they
    might report that before the reason is read.
    """
    sender.send(problem)
    threading.Event().wait()


def _end_with_parent() -> None:
    """End this process when its parent does, however that ended."""
    multiprocessing.parent_process().join()
    os._exit(1)
