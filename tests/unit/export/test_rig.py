"""Names of joints."""

import pytest

from nbf.body.joints import SMPL24
from nbf.export.rig import RIGS


@pytest.mark.parametrize("rig", RIGS)
def test_each_joint_has_its_own_name(rig: str):
    assert len(set(RIGS[rig])) == len(SMPL24)


def test_names_are_of_the_same_joint():
    left_elbow, head = SMPL24.index("left_elbow"), SMPL24.index("head")
    assert [RIGS[rig][left_elbow] for rig in RIGS] == [
        "left_elbow", "leftLowerArm", "mixamorig:LeftForeArm", "lowerarm_l"
    ]  # fmt: skip
    assert [RIGS[rig][head] for rig in RIGS] == ["head", "head", "mixamorig:Head", "head"]
