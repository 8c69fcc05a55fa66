"""The joint sets' names, tree and mirror images."""

import pytest
import torch
from bodies import noise

from nbf.body.joints import JOINT_SETS, LEVELS, LSP14, MIRROR, PARENTS, SMPL24, local_rotations, world_rotations
from nbf.body.model import pose_joints
from nbf.geometry import matrix_from_axis_angle


def test_sizes():
    assert {kind: len(names) for kind, names in JOINT_SETS.items()} == {"smpl24": 24, "coco17": 17, "lsp14": 14}


def test_every_joint_comes_after_its_parent():
    assert PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(PARENTS) if joint)
    assert [j for level in LEVELS for j in level] == list(range(24))


def test_tree_runs_down_the_left_arm():
    chain, joint = [], SMPL24.index("left_hand")
    while joint >= 0:
        chain.append(SMPL24[joint])
        joint = PARENTS[joint]
    arm = ["left_hand", "left_wrist", "left_elbow", "left_shoulder", "left_collar"]
    assert chain == [*arm, "spine3", "spine2", "spine1", "pelvis"]


@pytest.mark.parametrize("kind", JOINT_SETS)
def test_mirror_swaps_left_and_right_and_is_its_own_inverse(kind: str):
    names, order = JOINT_SETS[kind], MIRROR[kind]
    assert [order[k] for k in order] == list(range(len(names)))
    for k, partner in enumerate(order):
        sides = {name.split("_")[0] for name in (names[k], names[partner])} & {"left", "right"}
        assert len(sides) in (0, 2)


def test_lsp_order():
    assert LSP14[0] == "right_ankle"
    assert LSP14[5:7] == ("left_ankle", "right_wrist")
    assert LSP14[11:] == ("left_wrist", "neck", "head_top")


def test_chains_are_those_of_a_walk_down_the_tree():
    """A plain twin: joint by joint, each after its parent."""
    local, rest, translation = matrix_from_axis_angle(noise(2, 24, 3)), noise(2, 24, 3, seed=1), noise(2, 3, seed=2)
    world, joints = [local[:, 0]], [rest[:, 0] + translation]
    for joint, parent in list(enumerate(PARENTS))[1:]:
        world.append(world[parent] @ local[:, joint])
        bone = rest[:, joint] - rest[:, parent]
        joints.append(joints[parent] + (world[parent] @ bone[..., None])[..., 0])
    turned, places = torch.stack(world, 1), torch.stack(joints, 1)
    torch.testing.assert_close(world_rotations(local), turned)
    torch.testing.assert_close(local_rotations(turned), local)
    transforms, found = pose_joints(rest, local, translation)
    torch.testing.assert_close(found, places)
    torch.testing.assert_close((transforms[..., :3] @ rest[..., None])[..., 0] + transforms[..., 3], places)
