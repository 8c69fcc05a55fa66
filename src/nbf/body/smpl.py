"""SMPL files that the user brings (.pkl or .npz as the Max Planck Institute hands them out), as a BodyData.

Source of the format: SMPL (Loper et al., SIGGRAPH Asia 2015), model files 1.0 and 1.1. No part of SMPL is bundled.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbf.body.joints import COCO17, LSP14, PARENTS, SMPL24
from nbf.body.labelling import label_faces
from nbf.body.measure import DENSITY
from nbf.body.model import BodyData, dense_weights
from nbf.body.pickles import Unsafe
from nbf.body.stored import read_npz_table, read_pickle_table, to_array
from nbf.errors import ModelFileError
from nbf.reading import Damaged

# Shape components used: those of the NBF paper, and all that SMPL 1.0 has.
_COMPONENTS = 10
_INFLUENCES = 4
_SAMPLES = 1024
# Of samples and faces worked on at a time, which bounds the memory.
_SAMPLES_AT_ONCE, _FACES_AT_ONCE = 64, 2048
_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")
# What no SMPL body reaches, and what is safe to compute with: vertices, faces a vertex (closed surfaces have two),
# metres, and the least sum of a vertex's largest weights.
_MOST_VERTICES, _MOST_FACES, _LARGEST, _LEAST_WEIGHT = 1 << 16, 4, 1e4, 1e-3
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
    template = _numbers(table, path, "v_template", (None, 3))
    v = len(template)
    if v > _MOST_VERTICES or not bool((template.amax(0) > template.amin(0)).all()):
        raise ModelFileError(f"{path}: expected a body of at most {_MOST_VERTICES} vertices, got {v}, or a flat one")
    shape_dirs = _numbers(table, path, "shapedirs", (v, 3, None))
    pose_dirs = _numbers(table, path, "posedirs", (v, 3, 207), (207, 3 * v))
    if pose_dirs.ndim == 2:
        # As smplx (Pavlakos et al., CVPR 2019) turns them for its matrix product.
        pose_dirs = pose_dirs.unflatten(1, (v, 3)).permute(1, 2, 0).contiguous()
    regressor = _numbers(table, path, "J_regressor", (24, v))
    weights = _numbers(table, path, "weights", (v, 24))
    faces = _whole_numbers(table, path, "f", (None, 3))
    tree = _whole_numbers(table, path, "kintree_table", (2, 24))
    if tuple(tree[0, 1:].tolist()) != PARENTS[1:]:
        raise ModelFileError(f"{path}: expected SMPL's tree of 24 joints, got parents {tree[0].tolist()}")
    if faces.min() < 0 or faces.max() >= v:
        raise ModelFileError(f"{path}: expected face indices from 0 to {v - 1}, got {faces.min()} to {faces.max()}")
    if len(faces) > _MOST_FACES * v:
        raise ModelFileError(f"{path}: expected a surface of {2 * v} faces or so for {v} vertices, got {len(faces)}")
    kept, joints = weights.topk(_INFLUENCES, dim=1)
    if float(kept.sum(1).min()) < _LEAST_WEIGHT:
        raise ModelFileError(f"{path}: expected 'weights' that sum to one at each vertex, got some that have none")
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
    """What the file holds under SMPL's keys, as `to_array` takes it, and its other keys."""
    try:
        if path.suffix == ".pkl":
            return read_pickle_table(path)
        if path.suffix == ".npz":
            return read_npz_table(path, _KEYS)
    except Unsafe as error:
        raise ModelFileError(
            f"{path}: refused, since it is not a plain file of arrays (it holds {error}); expected an SMPL model with "
            "numpy, scipy.sparse and chumpy arrays only. Do not unpickle it; get the model from its makers' site"
        ) from error
    except (Damaged, OSError) as error:
        raise ModelFileError(
            f"{path}: damaged, or no SMPL model ({error}); expected the file as its makers hand it out. Get it again"
        ) from error
    raise ModelFileError(f"{path}: expected a body model in .npz, .pkl or .safetensors, got {path.suffix!r}")


def _array(table: dict[str, Any], path: Path, key: str, *shapes: tuple[int | None, ...]) -> np.ndarray:
    """The array under a key, which has one of the shapes (None: any number)."""
    if key not in table:
        # As many keys as a person reads: a file may have a million.
        got = ", ".join(sorted(map(ascii, table))[:20])[:400]
        raise ModelFileError(f"{path}: expected an SMPL model with {key!r}, got the keys {got}")
    try:
        value = to_array(table[key])
    except Damaged as error:
        raise ModelFileError(f"{path}: {key!r} cannot be read ({error}); get the file again") from error
    fits = any(
        value.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, value.shape))
        for shape in shapes
    )
    if value.dtype.kind not in "fiu" or value.size == 0 or not fits:
        wanted = " or ".join(" x ".join("n" if n is None else str(n) for n in shape) for shape in shapes)
        raise ModelFileError(f"{path}: expected {key!r} to hold {wanted} numbers, got {value.shape} of {value.dtype}")
    return value


def _numbers(table: dict[str, Any], path: Path, key: str, *shapes: tuple[int | None, ...]) -> Tensor:
    """In float32; of the shape components, in the last dimension of three where any number fits, those used."""
    value = _array(table, path, key, *shapes)
    if shapes[0][-1] is None:
        value = value[..., :_COMPONENTS]
    # Out of float64's range into infinity, which is refused next, as is nan.
    with np.errstate(over="ignore", invalid="ignore"):
        tensor = torch.from_numpy(np.array(value, np.float32, order="C"))
    low, high = tensor.aminmax()
    # Not a number is not within bounds.
    if not (-_LARGEST < float(low) <= float(high) < _LARGEST):
        raise ModelFileError(
            f"{path}: expected {key!r} to hold metres or weights within {_LARGEST:g}, got numbers from {float(low)} to "
            f"{float(high)}, or some that are not finite; get the file again"
        )
    return tensor


def _whole_numbers(table: dict[str, Any], path: Path, key: str, shape: tuple[int | None, ...]) -> Tensor:
    value = _array(table, path, key, shape)
    if value.dtype.kind == "f" and not bool(((np.abs(value) < 1 << 53) & (np.floor(value) == value)).all()):
        raise ModelFileError(f"{path}: expected {key!r} to hold whole numbers; get the file again")
    # Parents are unsigned with the root's wrapped around.
    return torch.from_numpy(np.array(value, np.int64, order="C"))


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
    """BodyData.shape_info. Vertices are linear in betas, so that volume is a polynomial of degree 3 in them."""
    homogeneous = torch.cat([torch.ones(len(samples), 1), samples], 1).double()
    cubic = _volume_form(torch.cat([template[..., None], shape_dirs], 2).double(), faces)
    # Twice a contraction, then a product: (n p, p p p) -> n p p -> n p -> n.
    volumes = ((homogeneous @ cubic.flatten(1)).unflatten(1, cubic.shape[1:]) @ homogeneous[..., None])[..., 0]
    volumes = (volumes * homogeneous).sum(1)
    heights = [
        (template[:, 1] + chunk @ shape_dirs[:, 1].T).aminmax(dim=1) for chunk in samples.split(_SAMPLES_AT_ONCE)
    ]
    tall = torch.cat([high - low for low, high in heights])
    unknown = torch.full((len(samples), 2), torch.nan)
    return torch.cat([unknown, tall[:, None], DENSITY * volumes[:, None].float()], 1)


def _volume_form(parts: Tensor, faces: Tensor) -> Tensor:
    """(p, p, p), which contracted thrice with c gives the `volume` of vertices parts (v, 3, p) @ c."""
    parts = parts - parts.mean(0)
    p = parts.shape[-1]
    form = parts.new_zeros(p, p * p)
    for chunk in faces.split(_FACES_AT_ONCE):
        # As (f p 3), so that a and the cross products of b and c meet in one matrix product.
        a, b, c = (parts[corner].transpose(1, 2) for corner in chunk.unbind(1))
        normals = torch.linalg.cross(b[:, :, None], c[:, None], dim=-1)
        form += a.permute(1, 0, 2).flatten(1) @ normals.permute(0, 3, 1, 2).flatten(2).flatten(0, 1)
    return form.unflatten(1, (p, p)) / 6
