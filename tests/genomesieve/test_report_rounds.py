"""Seeds and rounds in a report: what stands in the evaluation, and plain words about it."""

import dataclasses
import json

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from genomesieve.figures_genome import draw_progress
from genomesieve.report_page import round_items, seed_items
from genomesieve.report_rounds import gain_sentence, gains_table, rounds_table, seeds_table
from render_report import parse_arguments, read_screen
from synthetic_report import write_screen

MEMBERS = ("dilated.seed0", "dilated.seed7")
ROUNDS = ("dilated.round0", "dilated.round1")


def write_rounds(folder, gains, kept=(True, True)):
    """Add two seeds and two rounds to a made-up screen; return the options that name them.

    `gains` has the value, low and high of each round's gain, the same for all classes.
    """
    for genome in ("thaliana", "arenosa"):
        path = folder / genome / "metrics.tsv"
        table = pd.read_csv(path, sep="\t")
        mine = table[(table["model"] == "dilated") & (table["metric"] == "average_precision")]
        rows = [table]
        for shift, name in ((-0.02, MEMBERS[0]), (-0.01, MEMBERS[1]), *((0, x) for x in ROUNDS)):
            rows.append(mine.assign(model=name, value=0.5 + shift))
        pairs = {
            f"dilated-{MEMBERS[1]}": (0.01, 0.004, 0.016),
            f"dilated-{MEMBERS[0]}": (0.02, 0.01, 0.03),
            f"{ROUNDS[1]}-{ROUNDS[0]}": gains[0],
            f"dilated-{ROUNDS[1]}": gains[1],
            f"dilated-{ROUNDS[0]}": (0.9, 0.9, 0.9),
        }
        for name, (value, low, high) in pairs.items():
            rows.append(mine.assign(model=name, value=value, low=low, high=high))
        pd.concat(rows).to_csv(path, sep="\t", index=False)
    one = {"best": {"donor": 0.4, "acceptor": 0.3}, "kept": True}
    records = [one | {"kept": True}, *(one | {"kept": value} for value in kept)]
    facts = json.loads((folder / "model" / "model.json").read_text())
    facts["training"] = {"members": [{"seed": s, "rounds": records} for s in (0, 7)]}
    (folder / "model" / "model.json").write_text(json.dumps(facts))
    history = pd.read_csv(folder / "model" / "history.tsv", sep="\t").assign(round=0)
    later = history.assign(round=1, step=history["step"] + 1000)
    runs = [part.assign(seed=seed) for seed in (0, 7) for part in (history, later)]
    pd.concat(runs).to_csv(folder / "model" / "history.tsv", sep="\t", index=False)
    options = ["--members", ",".join(MEMBERS), "--rounds", ",".join(ROUNDS)]
    for number in (1, 2):
        for seed in (0, 7):
            path = folder / f"harvest-{number}-{seed}.json"
            item = {"places": 1000 + number, "lowest": 1.25, "highest": 7.75}
            path.write_text(json.dumps({"classes": {"donor": item, "acceptor": {"places": 0}}}))
            options += ["--harvest-summary", f"round{number}/seed{seed}={path}"]
    return options


def read(folder, *written):
    """Return the screen as the report reads it."""
    arguments = write_screen(folder)
    options = write_rounds(folder, *written) if written else []
    outputs = ["--output", str(folder / "report.html"), "--figures", str(folder / "figures")]
    return read_screen(parse_arguments([*arguments, *options, *outputs]))


def columns(table):
    return {name: list(cells) for name, cells in zip(table.headings, zip(*table.rows))}


GAIN, LOSS, UNCLEAR = (0.05, 0.02, 0.08), (-0.04, -0.06, -0.01), (0.01, -0.02, 0.04)


def test_one_seed_and_no_rounds_say_nothing(tmp_path):
    screen = read(tmp_path)
    assert seed_items(screen) == round_items(screen) == []


def test_seeds_are_listed_with_their_spread(tmp_path):
    screen = read(tmp_path, (GAIN, UNCLEAR))
    found = columns(seeds_table(screen))
    assert found["genome"] == ["thaliana"] * 2 + ["arenosa"] * 2
    assert (found["seed 0"], found["seed 7"]) == (["0.480"] * 4, ["0.490"] * 4)
    # The mean and the sample standard deviation of 0.48 and 0.49, which is 0.01 / sqrt(2).
    assert found["seeds: mean ± standard deviation"] == ["0.485 ± 0.007"] * 4
    assert found["mean of all − best seed (95 % interval)"] == ["0.010 (0.004–0.016)"] * 4
    assert found["better than the best seed?"] == ["yes"] * 4
    assert "dilated is the mean of the probabilities of 2" in str(seed_items(screen)[1].content)


@pytest.mark.parametrize(
    ("gain", "sentence", "word"),
    [
        (GAIN, "Round 1 helped</b>: of 4 pairs of genome and class, 4 better, 0 worse and", "yes"),
        (LOSS, "Round 1 did harm</b>: of 4 pairs of genome and class, 0 better, 4 worse", "no, it"),
        (UNCLEAR, "Round 1 did not help measurably</b>: of 4 pairs", "not measurably"),
    ],
)
def test_the_report_says_whether_a_round_helped(tmp_path, gain, sentence, word):
    screen = read(tmp_path, (gain, UNCLEAR))
    words = str(round_items(screen)[1].content)
    assert sentence in words and "Round 2 did not help measurably" in words
    assert f"gains in average precision: {gain[0]:+.3f}".replace("-", "−") in words
    found = columns(gains_table(screen))
    assert found["round"] == ["1", "2"] * 4
    assert found["did it help?"][1::2] == ["not measurably"] * 4
    assert all(text.startswith(word) for text in found["did it help?"][::2])


def test_rounds_list_what_was_harvested_and_kept(tmp_path):
    found = columns(rounds_table(read(tmp_path, (GAIN, LOSS), (True, False))))
    assert found["round"] == ["0", "0", "1", "1", "2", "2"]
    assert found["seed"] == ["0", "7"] * 3
    assert found["hard negatives"][::2] == ["–", "1,001 donor", "1,002 donor"]
    assert found["their log-odds"][2] == "1.2 to 7.8"
    assert found["validation: donor"] == ["0.400"] * 6
    assert found["weights kept?"][1::2] == ["yes", "yes", "no: those of the round before"]


def test_without_known_sites_only_validation_tells(tmp_path):
    screen = read(tmp_path, (GAIN, GAIN))
    bare = [dataclasses.replace(genome, evaluation=None) for genome in screen.genomes]
    words = gain_sentence(dataclasses.replace(screen, genomes=bare))
    assert "the validation part alone tells" in words


def test_history_of_seeds_and_rounds_is_drawn(tmp_path):
    screen = read(tmp_path, (GAIN, GAIN))
    figure, axes = plt.subplots()
    draw_progress(axes, screen)
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    # Two classes of two seeds; each line ends where its second round does.
    assert len(lines) == 4 and all(line.get_xdata()[-1] == 2000 for line in lines)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels.count("donor") == 1 and "next round" in labels
    plt.close(figure)
