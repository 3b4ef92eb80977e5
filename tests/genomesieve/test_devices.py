import multiprocessing
import os
import re

import pytest
import torch
import yaml

from genomesieve.devices import (
    DEVICE_WORDS,
    choose_device,
    choose_devices,
    divide_rows,
    reported_memory,
    run_processes,
)
from genomesieve.errors import InputError


def machine_with(monkeypatch, gpus):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)


@pytest.mark.parametrize(
    ("words", "gpus", "expected"),
    [
        ("auto", 0, ["cpu"]),
        ("auto", 2, ["cuda:0", "cuda:1"]),
        ("cpu", 2, ["cpu"]),
        ("cpu:3", 2, ["cpu", "cpu", "cpu"]),
        ("cuda", 2, ["cuda:0", "cuda:1"]),
        ("cuda:1", 2, ["cuda:1"]),
        ("cuda:2,0", 3, ["cuda:2", "cuda:0"]),
    ],
)
def test_words_name_devices(monkeypatch, words, gpus, expected):
    machine_with(monkeypatch, gpus)
    assert [str(device) for device in choose_devices(words)] == expected
    assert str(choose_device(words)) == expected[0]


@pytest.mark.parametrize(
    ("words", "gpus", "message"),
    [
        ("cuda", 0, "device cuda was asked for, but this machine shows no CUDA GPU"),
        ("cuda:0", 0, "device cuda:0 was asked for"),
        ("cuda:0,2", 2, "device is cuda:0,2; expected different numbers below 2"),
        ("cuda:1,1", 2, "expected different numbers"),
        ("cpu:0", 0, "expected at least one process"),
        ("tpu", 0, "device is 'tpu'; expected auto, cpu"),
        ("cuda:", 1, "device is 'cuda:'"),
    ],
)
def test_devices_that_are_not_there_are_refused(monkeypatch, words, gpus, message):
    machine_with(monkeypatch, gpus)
    with pytest.raises(InputError, match=re.escape(message)):
        choose_devices(words)


def test_configuration_takes_the_same_words(repository):
    text = (repository / "workflow/schemas/config.schema.yaml").read_text()
    pattern = yaml.safe_load(text)["properties"]["device"]["pattern"]
    for words in (
        "auto",
        "cpu",
        "cpu:12",
        "cuda",
        "cuda:0",
        "cuda:0,11",
        "cuda:",
        "gpu",
        "cpu:1,2",
    ):
        assert bool(re.search(pattern, words)) == bool(DEVICE_WORDS.fullmatch(words)), words


@pytest.mark.parametrize("parts", [1, 2, 3, 20])
def test_rows_are_divided_in_order(parts):
    divided = divide_rows(range(5, 16), parts)
    assert [row for part in divided for row in part] == list(range(5, 16))
    assert len(divided) == min(parts, 11)
    assert max(map(len, divided)) - min(map(len, divided)) <= 1
    assert divide_rows(range(3, 3), parts) == []


def test_jobs_run_each_in_its_own_process(tmp_path):
    jobs = [(name, (f"open({str(tmp_path / name)!r}, 'w').close()",)) for name in "ab"]
    run_processes(exec, jobs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_first_failure_is_one_line_and_ends_the_others():
    jobs = [("first", ("import time; time.sleep(3600)",)), ("second", ("1 / 0",))]
    with pytest.raises(InputError) as caught:
        run_processes(exec, jobs)
    assert str(caught.value) == "process on second failed: ZeroDivisionError: division by zero"
    assert multiprocessing.active_children() == []


def test_process_that_dies_without_a_word_is_reported():
    with pytest.raises(InputError, match="process on cuda:7 failed: it ended with exit code 3"):
        run_processes(os._exit, [("cuda:7", (3,))])


def test_lack_of_memory_says_what_to_do():
    with pytest.raises(
        InputError, match=r"cuda:1 has not enough memory \(CUDA out of memory\); try"
    ):
        with reported_memory(torch.device("cuda:1"), "try another"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
