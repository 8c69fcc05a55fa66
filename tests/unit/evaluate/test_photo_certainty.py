"""What is said of joints in photos, against labels that are known to be off by so much."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.certainty import PARTS14
from nbf.data.human import HumanPhoto, Sightings
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture
from nbf.evaluate.photo_certainty import Sureness
from nbf.people import People

NOBODY = Sightings(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 12, 2))
FIRST = torch.tensor([0])


def labelled(points: Tensor, flags: Tensor) -> HumanPhoto:
    rows = torch.cat([points, flags[:, None]], 1).numpy()
    person = LabelledPerson(torch.tensor([0.0, 0, 96, 128]).numpy(), JointLabels.of("coco17", rows))
    return HumanPhoto(LabelledPicture("coco/x", Path("x"), (person,)), NOBODY)


def of_shape(people: People, covariance: Tensor) -> People:
    certainty = replace(people[0].certainty, keypoint_covariance=covariance.expand(17, 2, 2))
    return People((replace(people[0], certainty=certainty),), people.picture, people.camera)


def test_errors_of_the_size_that_is_said(make_people: Callable[..., People]) -> None:
    covariance = torch.tensor([[5.0, 3.0], [3.0, 4.0]])
    people, sureness = of_shape(make_people(1), covariance), Sureness()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(300, 17, 2, generator=generator) @ torch.linalg.cholesky(covariance).T
    for missed in noise:
        photo = labelled(people[0].joints_2d("coco17") + missed, torch.full((17,), 2.0))
        sureness.add(photo, people, FIRST)
    errors = sureness.report(visibility=False)["errors"]["all"]
    assert errors["joints"] == 300 * 12
    side = float(people[0].parts.crop.size)
    assert errors["was"] == pytest.approx(100 / side * float(noise.norm(dim=-1).mean()), rel=0.02)
    assert errors["said"] == pytest.approx(errors["was"], rel=0.06)
    assert errors["within_68"] == pytest.approx(68, abs=2.5)
    assert errors["within_95"] == pytest.approx(95, abs=1.5)


def test_joints_without_labels_have_no_error_and_missed_people_do_not_count(
    make_people: Callable[..., People],
) -> None:
    people, sureness = make_people(1), Sureness()
    flags = torch.full((17,), 2.0)
    flags[COCO17.index("left_wrist")], flags[COCO17.index("left_knee")] = 0, 1
    photo = labelled(people[0].joints_2d("coco17"), flags)
    sureness.add(photo, people, torch.tensor([-1]))
    assert sureness.report(visibility=True) == {}
    sureness.add(photo, people, FIRST)
    errors = sureness.report(visibility=True)["errors"]
    assert (errors["all"]["joints"], errors["seen by people"]["joints"], errors["hidden"]["joints"]) == (11, 10, 1)
    assert errors["all"]["was"] == pytest.approx(0, abs=1e-3)
    assert errors["all"]["within_68"] == 100


def test_a_joint_is_guessed_where_all_parts_are_that_meet_in_it(make_people: Callable[..., People]) -> None:
    people, sureness = make_people(1), Sureness()
    guessed = torch.zeros(14, dtype=torch.bool)
    guessed[[PARTS14.index(f"left_{part}") for part in ("lower_arm", "hand", "upper_leg", "lower_leg")]] = True
    certainty = replace(people[0].certainty, guessed=guessed)
    people = People((replace(people[0], certainty=certainty),), people.picture, people.camera)
    flags = torch.full((17,), 2.0)
    for name in ("left_wrist", "right_elbow", "right_wrist"):
        flags[COCO17.index(name)] = 0
    sureness.add(labelled(people[0].joints_2d("coco17"), flags), people, FIRST)
    names = [name for name, said in zip(LIMB_JOINTS, sureness.guessed[0].tolist()) if said]
    assert names == ["left_knee", "left_wrist"]
    report = sureness.report(visibility=True)
    assert report["guessed_precision"] == 50
    assert report["guessed_recall"] == pytest.approx(100 / 3, abs=0.01)
