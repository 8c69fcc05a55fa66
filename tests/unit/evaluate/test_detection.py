"""Pairs, verdicts and calibration with known answers."""

import pytest
import torch

from nbf.evaluate.detection import NEITHER, RIGHT, WRONG, assign, calibration, judge

A, B = [0.0, 0, 100, 100], [200.0, 0, 300, 100]
SMALL = [400.0, 0, 430, 50]
COUNTED = torch.tensor([True, True, False])


def verdict(*found: list[float]) -> list[int]:
    true = torch.tensor([A, B, SMALL])
    return judge(torch.tensor(found).reshape(-1, 4), true, COUNTED, overlap=0.4, least_side=60).tolist()


def test_perfect_boxes_are_right() -> None:
    assert verdict(A, B) == [RIGHT, RIGHT]
    assert verdict() == []


def test_a_second_box_on_a_person_is_wrong() -> None:
    assert verdict(A, [5.0, 0, 100, 100]) == [RIGHT, WRONG]


def test_a_box_between_people_is_wrong() -> None:
    assert verdict([100.0, 0, 200, 100], [61.0, 0, 161, 100]) == [WRONG, WRONG]


def test_boxes_on_ignored_people_and_small_boxes_are_neither() -> None:
    assert verdict(SMALL, [600.0, 0, 650, 50]) == [NEITHER, NEITHER]
    assert verdict([395.0, 0, 435, 61]) == [NEITHER]  # large enough to count, but on somebody who is not


def test_a_box_that_lies_by_half_in_an_ignored_one_is_neither() -> None:
    true, counted = torch.tensor([[0.0, 0, 1000, 1000]]), torch.tensor([False])
    found = torch.tensor([[900.0, 0, 1090, 100], [960.0, 0, 1090, 100]])
    assert judge(found, true, counted, overlap=0.4, least_side=60).tolist() == [NEITHER, WRONG]


def test_nobody_labelled() -> None:
    found, none = torch.tensor([A]), torch.zeros(0, dtype=torch.bool)
    assert judge(found, torch.zeros(0, 4), none, overlap=0.4, least_side=60).tolist() == [WRONG]


def test_pairs_are_made_by_overlap_and_only_once() -> None:
    assert assign(torch.tensor([[0.6, 0.0], [0.8, 0.2], [0.0, 0.05]]), 0.1).tolist() == [-1, 0, -1]
    assert assign(torch.tensor([[0.6, 0.5], [0.8, 0.2]]), 0.1).tolist() == [1, 0]
    assert assign(torch.zeros(2, 0), 0.1).tolist() == [-1, -1]


def test_scores_that_mean_what_they_say_have_no_error() -> None:
    scores = torch.tensor([0.25, 0.75]).repeat_interleave(40)
    right = torch.tensor([True, False, False, False] * 10 + [True, True, True, False] * 10)
    bins, error = calibration(scores, right)
    assert error == pytest.approx(0, abs=1e-6)
    assert sum(count for _, _, count in bins) == 80
    assert calibration(scores, torch.ones(80, dtype=torch.bool))[1] == pytest.approx(0.5)
