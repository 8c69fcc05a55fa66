"""What animation systems call the joints of SMPL's skeleton."""

from nbf.arguments import shown
from nbf.body.joints import SMPL24
from nbf.errors import InputError

_LEG_AND_ARM = "hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist", "hand"
_TRUNK = "pelvis", "spine1", "spine2", "spine3", "neck", "head"


def _names(trunk: tuple[str, ...], limbs: tuple[str, ...], left: str, right: str) -> tuple[str, ...]:
    """In the order of `SMPL24`; `left` and `right` are templates of the name of a limb's joint."""
    names: dict[str, str] = dict(zip(_TRUNK, trunk, strict=True))
    for ours, theirs in zip(_LEG_AND_ARM, limbs, strict=True):
        names |= {f"left_{ours}": left.format(theirs), f"right_{ours}": right.format(theirs)}
    return tuple(names[name] for name in SMPL24)


RIGS = {
    "smpl": SMPL24,
    # Humanoid bones of VRM 1.0; SMPL's hand is where the fingers begin.
    "vrm": _names(
        ("hips", "spine", "chest", "upperChest", "neck", "head"),
        ("UpperLeg", "LowerLeg", "Foot", "Toes", "Shoulder", "UpperArm", "LowerArm", "Hand", "MiddleProximal"),
        "left{}",
        "right{}",
    ),
    # Adobe Mixamo's auto-rigger.
    "mixamo": _names(
        tuple(f"mixamorig:{name}" for name in ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")),
        ("UpLeg", "Leg", "Foot", "ToeBase", "Shoulder", "Arm", "ForeArm", "Hand", "HandMiddle1"),
        "mixamorig:Left{}",
        "mixamorig:Right{}",
    ),
    # The mannequin of Unreal Engine 4 and 5.
    "unreal": _names(
        ("pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head"),
        ("thigh", "calf", "foot", "ball", "clavicle", "upperarm", "lowerarm", "hand", "middle_01"),
        "{}_l",
        "{}_r",
    ),
}
"""Names of SMPL's 24 joints, in their order, by the name of the rig."""


def joint_names(rig: str) -> tuple[str, ...]:
    """Of the 24 joints in a rig. Raises InputError where there is no such rig."""
    if not isinstance(rig, str) or rig not in RIGS:
        raise InputError(f"rig: expected one of {', '.join(RIGS)}, got {shown(rig)}")
    return RIGS[rig]
