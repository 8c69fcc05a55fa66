"""The orders in which data sets list joints, by names that mean the same wherever they stand.

Limb joints carry one name in all sets, though each set's annotators or markers place them a little differently, as the
field's own converters have it (nkolot/SPIN, constants.py). Where trunk and head joints mean different places, names
differ: `neck` and `head_top` are LSP's, `pelvis` and `thorax` MPII's, `spine`, `jaw` and `head` Human3.6M's as its
regressor gives them, `neck_openpose` and `pelvis_openpose` the mid-points of shoulders and hips that OpenPose finds.
"""

from collections.abc import Sequence

import numpy as np

from nbf.body.joints import COCO17, LSP14, SMPL24

_LIMBS = LSP14[:12]
_SMPLS_OWN = ("pelvis", "neck", "head")

BODY25 = (
    "nose",
    "neck_openpose",
    *(f"right_{name}" for name in ("shoulder", "elbow", "wrist")),
    *(f"left_{name}" for name in ("shoulder", "elbow", "wrist")),
    "pelvis_openpose",
    *(f"right_{name}" for name in ("hip", "knee", "ankle")),
    *(f"left_{name}" for name in ("hip", "knee", "ankle")),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
    *(f"left_{name}" for name in ("big_toe", "small_toe", "heel")),
    *(f"right_{name}" for name in ("big_toe", "small_toe", "heel")),
)
"""OpenPose's BODY_25."""

SPIN24 = (
    *_LIMBS,
    *("neck", "head_top", "pelvis", "thorax", "spine", "jaw", "head"),
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
)
"""The "ground truth joints" of SPIN (Kolotouros et al., ICCV 2019)."""

ORDERS: dict[str, tuple[str, ...]] = {
    # Others call other places pelvis, neck and head.
    "smpl24": tuple(f"smpl_{name}" if name in _SMPLS_OWN else name for name in SMPL24),
    "coco17": COCO17,
    "lsp14": LSP14,
    # OpenPose's COCO model, of 2017.
    "coco18": (
        *BODY25[:8],
        *(f"right_{name}" for name in ("hip", "knee", "ankle")),
        *(f"left_{name}" for name in ("hip", "knee", "ankle")),
        *("right_eye", "left_eye", "right_ear", "left_ear"),
    ),
    "body25": BODY25,
    "mpii16": (
        *LSP14[:6],
        *("pelvis", "thorax", "neck", "head_top"),
        *LSP14[6:12],
    ),
    # Rows of J_regressor_h36m.npy.
    "human36m17": (
        "pelvis",
        *("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle"),
        *("spine", "neck", "jaw", "head"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
    ),
    # What the field reports on as "14 joints": the last is Human3.6M's head, not LSP's head top.
    "common14": (*LSP14[:13], "head"),
    "common17": (*LSP14[:13], "head", "pelvis", "spine", "jaw"),
    "spin24": SPIN24,
    "spin49": (*BODY25, *SPIN24),
    "hmr2_44": (*BODY25, *SPIN24[:19]),
    "humaneva15": (
        *("pelvis", "thorax"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle"),
        "head_top",
    ),
    # Joints of MPI-INF-3DHP in the order of its test set; its head and head top are SPIN's jaw and head.
    "mpi_inf_3dhp17": (
        *("head", "neck"),
        *("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "spine", "jaw"),
    ),
}
"""Names of the joints of each order."""


def places(order: str, wanted: Sequence[str]) -> np.ndarray:
    """For each of the names `wanted` its index in `order`; -1 where that lacks it.

    An order may list a name twice, as SPIN's 49 joints do: the last one, which people labelled, counts.
    """
    index = {name: place for place, name in enumerate(ORDERS[order])}
    return np.array([index.get(name, -1) for name in wanted])
