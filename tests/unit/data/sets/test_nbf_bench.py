"""nbf-bench as a data set: its labels are those of the pictures beside them."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from nbf.data.catalogue import recognised
from nbf.data.sets.nbf_bench import NUMBERS, PICTURES, SET
from nbf.errors import DataError
from nbf.evaluate.bench import Benchmark
from nbf.synth.tracks import Track

PEOPLE = Path(__file__).parents[4] / "benchmarks/people"


@pytest.mark.parametrize("split", get_args(Track))
def test_labels_are_those_of_the_benchmark(split: Track) -> None:
    pictures, bench = SET.open(PEOPLE, split), Benchmark.load(split, PEOPLE)
    assert len(pictures) == len(bench)
    group = next(bench.groups(2))
    for picture, crop, labels in zip(pictures[:2], group.batch["image"], group.batch["labels"], strict=True):
        np.testing.assert_array_equal(picture.pixels().transpose(2, 0, 1), (crop * 255).round().byte())
        np.testing.assert_array_equal(picture.labels(), labels)


@pytest.mark.parametrize("split", SET.splits)
def test_joints_fall_onto_the_labelled_person(split: str) -> None:
    for picture in SET.open(PEOPLE, split)[:20]:
        (person,), labels = picture.people, picture.labels()
        assert person.joints_2d is not None
        columns, rows = np.floor(person.joints_2d.points).astype(int).T
        inside = (columns >= 0) & (columns < labels.shape[1]) & (rows >= 0) & (rows < labels.shape[0])
        on_person = labels[rows[inside], columns[inside]] > 0
        assert on_person.mean() > 0.5, picture.name  # the rest is hidden behind things


def test_its_folder_is_recognised_and_damage_named(tmp_path: Path) -> None:
    assert SET in recognised(PEOPLE)
    for track in SET.splits:
        shutil.copytree(PEOPLE / track, tmp_path / track)
    (tmp_path / "studio" / PICTURES).write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"0000\.webp"):
        SET.open(tmp_path, "studio")[0].pixels()
    (tmp_path / "studio" / NUMBERS).write_bytes(b"no numbers")
    with pytest.raises(DataError, match=NUMBERS):
        SET.open(tmp_path, "studio")
