"""A body that a data set poses in its world stands before the camera where the world does."""

import numpy as np
import pytest
import torch
from smpl import tiny_smpl

from nbf.body.model import BodyModel
from nbf.body.smpl import read_smpl
from nbf.data.labelled import BodyLabel
from nbf.data.placed import in_camera
from nbf.geometry.rotations import matrix_from_axis_angle


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> BodyModel:
    path = tmp_path_factory.mktemp("smpl") / "smpl.npz"
    # Far off the origin, so that to turn about it is not to turn about the pelvis.
    table = tiny_smpl()
    np.savez(path, **(table | {"v_template": table["v_template"] + np.array([0.1, -0.3, 0.2])}))
    return BodyModel(read_smpl(path))


def label(seed: int) -> BodyLabel:
    draw = np.random.default_rng(seed)
    turn = matrix_from_axis_angle(torch.from_numpy(draw.normal(0, 2, 3))).numpy()
    return BodyLabel(
        "smpl",
        "female",
        draw.normal(0, 1, 10).astype(np.float32),
        draw.normal(0, 1, (24, 3)).astype(np.float32),
        draw.normal(0, 2, 3).astype(np.float32),
        np.concatenate([turn, draw.normal(0, 2, (3, 1))], axis=1),
    )


@pytest.mark.parametrize("seed", range(5))
def test_posing_then_moving_is_moving_the_label(body: BodyModel, seed: int) -> None:
    given = label(seed)
    assert given.translation is not None
    betas, shift = torch.from_numpy(given.betas), torch.from_numpy(given.translation)
    world = body(betas, matrix_from_axis_angle(torch.from_numpy(given.pose)), shift)
    camera = torch.from_numpy(given.camera_from_world).float()
    _, rotations, translation = in_camera(given, body)
    moved = body(betas, rotations, translation)
    for there, here in ((world.vertices, moved.vertices), (world.joints, moved.joints)):
        torch.testing.assert_close(here, there @ camera[:, :3].T + camera[:, 3], atol=2e-5, rtol=0)


def test_a_pelvis_serves_as_well(body: BodyModel) -> None:
    given = label(7)
    assert given.translation is not None
    pelvis = body.rest_joints(torch.from_numpy(given.betas))[0].numpy() + given.translation
    other = BodyLabel(
        given.model, given.gender, given.betas, given.pose, None, given.camera_from_world, pelvis.astype(np.float32)
    )
    torch.testing.assert_close(
        in_camera(other, body).translation, in_camera(given, body).translation, atol=1e-5, rtol=0
    )


def test_where_nothing_is_said_the_pelvis_is_at_the_origin(body: BodyModel) -> None:
    given = label(8)
    nowhere = BodyLabel("smpl", "female", given.betas[:4], given.pose, None, given.camera_from_world)
    assert given.is_placed
    assert not nowhere.is_placed
    betas, rotations, translation = in_camera(nowhere, body)
    np.testing.assert_allclose(betas, [*given.betas[:4], *[0] * 6])
    camera = torch.from_numpy(given.camera_from_world).float()
    torch.testing.assert_close(body(betas, rotations, translation).joints[0], camera[:, 3], atol=1e-5, rtol=0)
    torch.testing.assert_close(rotations[0], camera[:, :3] @ matrix_from_axis_angle(torch.from_numpy(given.pose[0])))
