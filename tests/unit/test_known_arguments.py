"""Arguments that cannot be used are refused with what was expected and what came."""

import numpy as np
import pytest
import torch

from nbf.errors import InputError
from nbf.given import checked_parts
from nbf.limits import checked_max_people, checked_min_score
from nbf.pictures import Picture


@pytest.mark.parametrize("value", [0, -3, 1.5, 2.0, True, "3", float("nan")])
def test_numbers_of_people_are_whole_and_positive(value):
    with pytest.raises(InputError, match=r"max_people: expected a whole number of 1 or more.*got "):
        checked_max_people(value)


def test_everybody_or_a_number_of_people():
    assert [checked_max_people(value) for value in (None, 1, np.int64(7))] == [None, 1, 7]


@pytest.mark.parametrize("value", [0, -0.1, 1.01, 30, True, "0.3", None, float("nan")])
def test_scores_are_probabilities(value):
    with pytest.raises(InputError, match="min_score: expected a probability"):
        checked_min_score(value)


def test_any_probability_is_a_least_score():
    assert [checked_min_score(value) for value in (0.01, np.float32(0.5), 1)] == pytest.approx([0.01, 0.5, 1.0])


PICTURE = Picture(np.zeros((4, 6, 3), np.uint8), "photo.jpg")


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 6), np.uint8),
        np.full((4, 6), 24),
        np.asfortranarray(np.ones((4, 6), ">i8")),
        torch.ones(4, 6, dtype=torch.int64),
        [[3] * 6] * 4,
        np.ones((4, 6), np.uint64)[::1],
    ],
)
def test_part_maps_are_labels_of_the_pixels(value):
    labels = checked_parts(value, PICTURE)
    assert type(labels) is np.ndarray
    assert (labels.dtype, labels.flags.c_contiguous) == (np.uint8, True)
    np.testing.assert_array_equal(labels, np.asarray(value))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((6, 4), np.uint8), r"got the shape \(6, 4\)"),
        (np.zeros((4, 6, 1), np.uint8), "got the shape"),
        (np.zeros((0, 6), np.uint8), "got the shape"),
        (np.full((4, 6), 25), "got 25 to 25"),
        (np.full((4, 6), -1), "got -1 to -1"),
        (np.zeros((4, 6)), "got float64; convert"),
        (np.zeros((4, 6), bool), "got bool"),
        (np.ma.masked_equal(np.zeros((4, 6), int), 0), "a masked array; fill it"),
        (torch.zeros(4, 6, dtype=torch.int64).to_sparse(), "got Tensor"),
        (torch.zeros(4, 6, dtype=torch.int64, device="meta"), "got Tensor"),
        ("walk_parts.png", "got <U14"),
        (None, "got object"),
        ([[1], [2, 3]], "got list"),
    ],
)
def test_other_part_maps_are_refused_by_name(value, words):
    with pytest.raises(InputError, match=rf"parts: expected whole numbers 0 .. 24 .*\(4, 6\), .*{words}"):
        checked_parts(value, PICTURE)
