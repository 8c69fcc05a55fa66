"""NPZ files of labels as 4D-Humans (Goel et al., ICCV 2023, HMR 2.0) packs them.

    DIR/NAME.npz                imgname (n), center (n, 2), scale (n) or (n, 2), and some of: body_keypoints_2d
                                (n, 25, 3), extra_keypoints_2d (n, 19, 3), both also _3d with 4 numbers, body_pose
                                (n, 72), betas (n, 10), has_body_pose (n), has_betas (n)
    DIR/h36m, DIR/3dpw, ...     the pictures of each data set, or links to them; imgname starts there

`scale` is the side of the box around `center` in pixels, or its width and height. 25 joints are OpenPose's, 19 the
first of SPIN's. What `scale` means and the names are shubham-goel/4D-Humans', hmr2/datasets/image_dataset.py and
hmr2/configs/datasets_eval.yaml. Which of them are half a pixel off ours is taken to be as in SPIN's files.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import BodyLabel, JointLabels, LabelledPerson, Pictures
from nbf.data.readers.npz import read_npz
from nbf.data.sets.spin import box_around, grouped
from nbf.errors import DataError
from nbf.reading import Array

_ARRAYS = {
    "imgname": Array(np.str_, ("n",)),
    "center": Array(np.float32, ("n", 2)),
    "body_keypoints_2d": Array(np.float32, ("n", 25, 3), optional=True),
    "extra_keypoints_2d": Array(np.float32, ("n", 19, 3), optional=True),
    "body_keypoints_3d": Array(np.float32, ("n", 25, 4), optional=True),
    "extra_keypoints_3d": Array(np.float32, ("n", 19, 4), optional=True),
    "body_pose": Array(np.float32, ("n", 72), optional=True),
    "betas": Array(np.float32, ("n", 10), optional=True),
    "has_body_pose": Array(np.float32, ("n",), optional=True),
    "has_betas": Array(np.float32, ("n",), optional=True),
}
# Of each file the folder of its pictures, and how far its joints are from our pixels.
_PACKS = {
    "h36m_val_p2": ("h36m", 0.0),
    "3dpw_test": ("3dpw", 0.0),
    "hr-lspet_train": ("lspet", -0.5),
    "coco_val": ("coco", 0.5),
    "posetrack_2018_val": ("posetrack", 0.5),
}


def _read(folder: Path, split: str) -> Pictures:
    path, (pictures, shift) = folder / f"{split}.npz", _PACKS[split]
    arrays = read_npz(path, _ARRAYS)
    scale = _scale(path, len(arrays["imgname"]))
    person = partial(_person, {name: each for name, each in arrays.items() if name != "imgname"}, scale, shift)
    return grouped(arrays["imgname"], folder / pictures, split, person)


def _scale(path: Path, count: int) -> ndarray:
    """Width and height for each row."""
    try:
        scale = read_npz(path, {"scale": Array(np.float32, (count,))})["scale"]
    except DataError:
        scale = read_npz(path, {"scale": Array(np.float32, (count, "sides"))})["scale"]
        if scale.shape[1] > 2:
            raise DataError(f"{path}: expected 'scale' to be sides, or widths and heights, got {scale.shape}") from None
    return np.broadcast_to(scale.reshape(count, -1), (count, 2))


def _person(arrays: dict[str, ndarray], scale: ndarray, shift: float, row: int) -> LabelledPerson:
    here = {name: np.asarray(each[row], np.float32) for name, each in arrays.items()}
    seen, space = _joined(here, "2d", 3), _joined(here, "3d", 4)
    joints = joints_3d = body = None
    if seen is not None:
        joints = JointLabels("hmr2_44", seen[:, :2] + np.float32(shift), seen[:, 2].clip(0, 1))
    if space is not None:
        joints_3d = JointLabels("hmr2_44", space[:, :3], space[:, 3].clip(0, 1))
    if "body_pose" in here and "betas" in here and min(here.get("has_body_pose", 1), here.get("has_betas", 1)) > 0:
        body = BodyLabel("smpl", "neutral", here["betas"], here["body_pose"].reshape(24, 3), None)
    box = box_around(here["center"], scale[row].astype(np.float32))
    # Its losses compare joints from the pelvis (hmr2/models/losses.py), so nothing says where a body stands.
    return LabelledPerson(box, joints, joints_3d, relative=joints_3d is not None, body=body)


def _joined(here: dict[str, ndarray], kind: str, width: int) -> ndarray | None:
    body, extra = here.get(f"body_keypoints_{kind}"), here.get(f"extra_keypoints_{kind}")
    if body is None and extra is None:
        return None
    body = np.zeros((25, width), np.float32) if body is None else body
    return np.concatenate([body, np.zeros((19, width), np.float32) if extra is None else extra])


SET = DataSet(
    "hmr2",
    "labels as 4D-Humans packs them",
    tuple(_PACKS),
    ("h36m_val_p2.npz",),
    tuple(Need(f"{name}.npz", f"labels, with pictures in {pack[0]}", True) for name, pack in _PACKS.items()),
    _read,
)
