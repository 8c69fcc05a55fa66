"""Arguments that cannot be used are refused with what was expected and what came."""

import numpy as np
import pytest

from nbf.errors import InputError
from nbf.limits import checked_max_people, checked_min_score


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
