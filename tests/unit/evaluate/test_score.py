"""Scores of bodies against the truth, where the error is known beforehand."""

from dataclasses import replace

import pytest
import torch

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.evaluate.bench import Group
from nbf.evaluate.score import PersonScores, concatenated, score_bodies, summary
from nbf.geometry.camera import Camera
from nbf.geometry.rotations import matrix_from_axis_angle

ERRORS = ("pa_mpjpe", "pa_mpjpe_lsp14", "mpjpe", "pve", "pa_pve", "shape", "rotation", "quaternion", "height")


def truth(group: Group, body: BodyModel) -> Bodies:
    return Bodies.placed(body, *(group.batch[name] for name in ("betas", "rotations", "translation")))


def score(group: Group, body: BodyModel, found: Bodies) -> PersonScores:
    camera = Camera(group.batch["focal"], group.batch["center"])
    return score_bodies(body, found, truth(group, body), camera, 256)


def test_the_truth_has_no_error(group: Group, body: BodyModel) -> None:
    scores = score(group, body, truth(group, body))
    assert all(scores[name].shape == (3,) for name in ERRORS)
    assert all(scores[name].max() < 0.1 for name in ERRORS)
    numbers = summary(scores)
    assert numbers["n"] == 3
    assert numbers["pckh50"] == numbers["pck20_torso"] == 100


def test_a_body_elsewhere_is_wrong_in_the_picture_alone(group: Group, body: BodyModel) -> None:
    true = truth(group, body)
    scores = score(group, body, replace(true, pelvis=true.pelvis + torch.tensor([0.6, 0.0, 0.0])))
    assert all(scores[name].max() < 0.1 for name in ERRORS)
    assert summary(scores)["pckh50"] == 0


def test_a_body_turned_as_a_whole(group: Group, body: BodyModel) -> None:
    """Half a turn about the vertical: Procrustes forgives it, MPJPE does not, and one of 24 rotations is 180 off."""
    true = truth(group, body)
    turn = matrix_from_axis_angle(torch.tensor([0.0, torch.pi, 0.0]))
    rotations = true.rotations.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    scores = score(group, body, replace(true, rotations=rotations))
    assert scores["pa_mpjpe"].max() < 0.1
    assert scores["pa_pve"].max() < 0.1
    assert scores["mpjpe"].min() > 50
    assert scores["rotation"].mean().item() == pytest.approx(180 / 24, abs=0.05)
    assert scores["quaternion"].mean().item() == pytest.approx(torch.pi / 24, abs=1e-3)


def test_a_joint_bent_by_a_known_angle(group: Group, body: BodyModel) -> None:
    """The left elbow (18) moves the wrist and hand on circles; nothing else moves."""
    true = truth(group, body)
    bent = true.rotations.clone()
    bent[:, 18] = bent[:, 18] @ matrix_from_axis_angle(torch.tensor([0.0, 0.5, 0.0]))
    scores = score(group, body, replace(true, rotations=bent))
    joints = [bodies.posed(body).joints for bodies in (true, replace(true, rotations=bent))]
    moved = (joints[1] - joints[0]).norm(dim=-1)
    assert set(torch.nonzero(moved[0] > 1e-4)[:, 0].tolist()) == {20, 22}
    torch.testing.assert_close(scores["mpjpe"], moved.mean(-1) * 1000)


def test_summary_takes_mean_and_median_over_people(group: Group, body: BodyModel) -> None:
    scores = score(group, body, truth(group, body))
    scores["pa_mpjpe"] = torch.tensor([10.0, 20.0, 60.0])
    numbers = summary(scores)
    assert (numbers["pa_mpjpe_mean_mm"], numbers["pa_mpjpe_median_mm"]) == (30, 20)
    assert numbers["pa_mpjpe_sem_mm"] == pytest.approx(((400 + 100 + 900) / 3) ** 0.5 / 3**0.5, abs=0.01)


def test_batches_join(group: Group, body: BodyModel) -> None:
    scores = score(group, body, truth(group, body))
    both = concatenated([scores, scores])
    assert all(len(both[name]) == 6 for name in both)


def test_joints_outside_of_the_crop_do_not_count(group: Group, body: BodyModel) -> None:
    group.batch["center"] = group.batch["center"] + 1000
    scores = score(group, body, truth(group, body))
    assert scores["pckh"].isnan().all()
