"""The joint sets' names, tree and mirror images."""

import pytest

from nbf.body.joints import JOINT_SETS, LEVELS, LSP14, MIRROR, PARENTS, SMPL24


def test_sizes():
    assert {kind: len(names) for kind, names in JOINT_SETS.items()} == {"smpl24": 24, "coco17": 17, "lsp14": 14}


def test_every_joint_comes_after_its_parent():
    assert PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(PARENTS) if joint)
    assert sorted(j for level in LEVELS for j in level) == list(range(24))


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
