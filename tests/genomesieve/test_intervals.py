import numpy as np

from bedtools_oracle import LENGTHS, bedtools, random_intervals, write_bed, write_random_genome
from genomesieve.intervals import merge_intervals, positions_inside, surroundings


def test_merge_against_bedtools(tmp_path):
    table = random_intervals(1, 60, 17)
    write_bed(table, tmp_path / "a.bed")
    expected = bedtools("bedtools sort -i a.bed | bedtools merge -i -", tmp_path)
    assert merge_intervals(table).astype(str).to_numpy().tolist() == expected
    assert merge_intervals(table[:0]).empty


def test_positions_inside_against_bedtools(tmp_path):
    sites = random_intervals(2, 200, 1).rename(columns={"start": "position"})
    mask = random_intervals(3, 9, 40)
    write_bed(sites.assign(row=range(200)), tmp_path / "s.bed")
    write_bed(mask, tmp_path / "m.bed")
    expected = {
        int(row[3]) for row in bedtools("bedtools intersect -u -a s.bed -b m.bed", tmp_path)
    }
    assert set(np.flatnonzero(positions_inside(sites, mask))) == expected
    assert not positions_inside(sites, mask[:0]).any()


def test_surroundings_against_bedtools(tmp_path):
    folder = write_random_genome(tmp_path)
    sites = random_intervals(4, 25, 1)
    write_bed(sites, folder / "s.bed")
    command = "bedtools slop -i s.bed -g sizes -b 30 | bedtools sort -i - | bedtools merge -i -"
    around = surroundings(sites.rename(columns={"start": "position"}), 30, LENGTHS)
    assert around.astype(str).to_numpy().tolist() == bedtools(command, folder)
    assert surroundings(around[:0], 30, LENGTHS).empty
