"""SMPL files that the user brings (.pkl or .npz as the Max Planck Institute hands them out), as a BodyData.

Source of the format: SMPL (Loper et al., SIGGRAPH Asia 2015), model files 1.0 and 1.1. No part of SMPL is bundled.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbf.body.joints import COCO17, LSP14, PARENTS, SMPL24
from nbf.body.labelling import label_faces
from nbf.body.measure import height, mass
from nbf.body.model import BodyData, dense_weights
from nbf.body.pickles import read_pickled_arrays
from nbf.errors import ModelFileError

# Shape components used: those of the NBF paper, and all that SMPL 1.0 has.
_COMPONENTS = 10
_INFLUENCES = 4
_SAMPLES = 1024
# Vertices of SMPL's own mesh: face from smplx/vertex_ids.py (Pavlakos et al., CVPR 2019), crown of the head from
# github.com/DavidBoja/SMPL-Anthropometry.
_SMPL_VERTICES = 6890
_LANDMARKS = {"nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071, "head_top": 412}


def read_smpl(path: Path) -> BodyData:
    """Read an SMPL model file.

    `shape_samples` are standard normal draws (SMPL's betas are standard deviations) and `shape_info` has nan for age
    and gender. There is no texture layout: `uv` holds one point. COCO and LSP limb joints are SMPL's own joints.

    Raises ModelFileError where the file is unsafe, damaged, lacks an array, or is not a 24-joint SMPL body.
    """
    table = _read_table(path)
    template = _array(table, path, "v_template", (None, 3))
    v = len(template)
    shape_dirs = _array(table, path, "shapedirs", (v, 3, None))[..., :_COMPONENTS]
    pose_dirs = _array(table, path, "posedirs", (v, 3, 207))
    regressor = _array(table, path, "J_regressor", (24, v))
    weights = _array(table, path, "weights", (v, 24))
    faces = _array(table, path, "f", (None, 3)).long()
    tree = _array(table, path, "kintree_table", (2, 24)).long()
    if tuple(tree[0, 1:].tolist()) != PARENTS[1:]:
        raise ModelFileError(f"{path}: expected SMPL's tree of 24 joints, got parents {tree[0].tolist()}")
    if faces.min() < 0 or faces.max() >= v:
        raise ModelFileError(f"{path}: expected face indices from 0 to {v - 1}, got {faces.min()} to {faces.max()}")
    kept, joints = weights.topk(_INFLUENCES, dim=1)
    kept = kept / kept.sum(1, keepdim=True)
    dense = dense_weights(joints, kept)
    rows = _keypoint_rows(template, regressor, dense)
    reach = int((rows != 0).sum(1).max())
    keypoint_weights, keypoint_vertices = rows.abs().topk(reach, dim=1)
    keypoint_weights = rows.gather(1, keypoint_vertices)
    samples = torch.randn(_SAMPLES, shape_dirs.shape[-1], generator=torch.Generator().manual_seed(0))
    return BodyData(
        template=template,
        shape_dirs=shape_dirs,
        joint_template=regressor @ template,
        joint_dirs=torch.einsum("jv,vds->jds", regressor, shape_dirs),
        skin_joints=joints,
        skin_weights=kept,
        faces=faces,
        uv=torch.zeros(1, 2),
        faces_uv=torch.zeros_like(faces),
        face_parts=label_faces(template, faces, dense),
        bounds=torch.stack([template.amin(0), template.amax(0)]),
        keypoint_vertices=keypoint_vertices,
        keypoint_weights=keypoint_weights,
        shape_samples=samples,
        shape_info=_shape_info(samples, template, shape_dirs, faces),
        pose_dirs=pose_dirs,
    )


def _read_table(path: Path) -> dict[str, Any]:
    if path.suffix == ".pkl":
        return read_pickled_arrays(path)
    if path.suffix != ".npz":
        raise ModelFileError(f"{path}: expected a body model in .npz, .pkl or .safetensors, got {path.suffix!r}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{path}: damaged, or holds pickled objects in place of arrays ({error})") from error


def _array(table: dict[str, Any], path: Path, key: str, shape: tuple[int | None, ...]) -> Tensor:
    if key not in table:
        raise ModelFileError(f"{path}: expected an SMPL model with {key!r}, got the keys {', '.join(sorted(table))}")
    value = np.asarray(table[key])
    fits = value.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, value.shape))
    if value.dtype.kind not in "fiu" or not fits:
        wanted = " x ".join("n" if n is None else str(n) for n in shape)
        raise ModelFileError(f"{path}: expected {key!r} to hold {wanted} numbers, got {value.shape} of {value.dtype}")
    # Parents are unsigned with the root's wrapped around: let integers pass through int64.
    tensor = torch.from_numpy(value.astype(np.float32 if value.dtype.kind == "f" else np.int64))
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise ModelFileError(f"{path}: {key!r} holds numbers that are not finite")
    return tensor


def _keypoint_rows(template: Tensor, regressor: Tensor, weights: Tensor) -> Tensor:
    """Dense regressors (31, v) of COCO's 17 and LSP's 14 keypoints."""
    landmarks = _LANDMARKS if len(template) == _SMPL_VERTICES else _guess_landmarks(template, weights)
    rows: list[Tensor] = []
    for name in COCO17 + LSP14:
        if name in landmarks:
            rows.append(torch.zeros(len(template)).index_fill(0, torch.tensor([landmarks[name]]), 1.0))
        else:
            rows.append(regressor[SMPL24.index(name)])
    return torch.stack(rows)


def _guess_landmarks(template: Tensor, weights: Tensor) -> dict[str, int]:
    """Landmarks of a head of unknown mesh: its foremost, outermost and topmost vertices."""
    head = torch.nonzero(weights[:, SMPL24.index("head")] > 0.5)[:, 0]
    if len(head) == 0:
        head = torch.arange(len(template))
    x, y, z = template[head].unbind(1)
    nose = template[head[z.argmax()]]
    chosen = {"nose": z.argmax(), "left_ear": x.argmax(), "right_ear": x.argmin(), "head_top": y.argmax()}
    # Eyes: 3 cm aside of the nose's tip, 4 cm above and 3 cm behind it, as on an average adult.
    for name, side in (("left_eye", 0.03), ("right_eye", -0.03)):
        chosen[name] = (template[head] - nose - torch.tensor([side, 0.04, -0.03])).norm(dim=1).argmin()
    return {name: int(head[index]) for name, index in chosen.items()}


def _shape_info(samples: Tensor, template: Tensor, shape_dirs: Tensor, faces: Tensor) -> Tensor:
    rows: list[Tensor] = []
    for chunk in samples.split(64):
        bodies = template + torch.einsum("vds,ns->nvd", shape_dirs, chunk)
        unknown = torch.full((len(chunk), 2), torch.nan)
        rows.append(torch.cat([unknown, height(bodies)[:, None], mass(bodies, faces)[:, None]], 1))
    return torch.cat(rows)
