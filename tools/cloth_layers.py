"""What lies over what: body faces under a garment, the groups of a garment's faces, and both in texture space."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from PIL import Image, ImageDraw
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from nbf.synth.recolor import HAIR, LOWER, SHOES, UPPER

_LEGS = tuple(range(15, 23))  # part ids of thighs and shins
# A body vertex counts as covered if its outward normal meets cloth between these distances (metres). It starts below
# the skin, because skin that pokes through its garment is exactly what should be hidden.
_RAY_BELOW, _RAY_ABOVE = 0.02, 0.05
_CANDIDATES = 48  # nearest cloth triangles tried per ray
_HEM_RINGS = 3  # rings of faces kept visible along the garment's hems, so that no gap opens when it moves


def covered_faces(
    points: Float[np.ndarray, "V 3"],
    faces: Integer[np.ndarray, "F 3"],
    cloth_points: Float[np.ndarray, "n 3"],
    cloth_faces: Integer[np.ndarray, "f 3"],
) -> Bool[np.ndarray, "F"]:
    """Body faces well inside the area that a garment covers."""
    normals = vertex_normals(points, faces)
    open_vertices = ~_meets(points - _RAY_BELOW * normals, normals, cloth_points[cloth_faces], _RAY_BELOW + _RAY_ABOVE)
    for _ in range(_HEM_RINGS):
        touched = open_vertices[faces].any(1)
        open_vertices[faces[touched]] = True
    return ~np.any(open_vertices[faces], axis=1)


def vertex_normals(points: Float[np.ndarray, "V 3"], faces: Integer[np.ndarray, "F 3"]) -> Float[np.ndarray, "V 3"]:
    """Area-weighted unit normals."""
    corners = points[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _meets(origins: np.ndarray, directions: np.ndarray, triangles: np.ndarray, reach: float) -> Bool[np.ndarray, "V"]:
    """Whether each ray meets one of the triangles near it within `reach` (Möller and Trumbore, 1997)."""
    tree = KDTree(triangles.mean(1))
    _, near = tree.query(origins + 0.5 * reach * directions, k=min(_CANDIDATES, len(triangles)))
    corner = triangles[near]
    edge1, edge2 = corner[:, :, 1] - corner[:, :, 0], corner[:, :, 2] - corner[:, :, 0]
    ray = np.broadcast_to(directions[:, None], edge1.shape)
    cross = np.cross(ray, edge2)
    determinant = (edge1 * cross).sum(-1)
    safe = np.where(np.abs(determinant) < 1e-12, np.inf, determinant)
    offset = origins[:, None] - corner[:, :, 0]
    u = (offset * cross).sum(-1) / safe
    across = np.cross(offset, edge1)
    v = (ray * across).sum(-1) / safe
    distance = (edge2 * across).sum(-1) / safe
    hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance >= 0) & (distance <= reach) & np.isfinite(safe)
    return hit.any(1)


def face_regions(
    kind: str,
    points: Float[np.ndarray, "n 3"],
    faces: Integer[np.ndarray, "f 3"],
    uv: Float[np.ndarray, "f 3 2"],
    parts: Integer[np.ndarray, "f"],
) -> Integer[np.ndarray, "f"]:
    """Recolouring group of each garment face.

    A suit is cut into several pieces in its texture (sleeves, back, trouser legs, belt): a piece belongs to the lower
    group if a good part of its area lies on the legs or its middle is below the top of the thighs.
    """
    if kind != "suit":
        return np.full(len(faces), {"shoes": SHOES, "hair": HAIR, "hat": UPPER}[kind], dtype=np.int64)
    _, nodes = np.unique(np.rint(uv.reshape(-1, 2) * 1e5), axis=0, return_inverse=True)
    nodes = nodes.reshape(-1, 3)
    edges = np.concatenate([nodes[:, [0, 1]], nodes[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(nodes.max() + 1,) * 2)
    piece = connected_components(graph, directed=False)[1][nodes[:, 0]]
    corners = points[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    on_legs = np.isin(parts, _LEGS)
    total = np.maximum(np.bincount(piece, area), 1e-12)
    share = np.bincount(piece, area * on_legs) / total
    heights = corners[:, :, 1].mean(1)
    middle = np.bincount(piece, area * heights) / total
    waist = heights[on_legs].max() if on_legs.any() else -np.inf
    return np.where((share > 0.3) | (middle < waist), LOWER, UPPER)[piece].astype(np.int64)


def region_texels(
    uv: Float[np.ndarray, "f 3 2"], regions: Integer[np.ndarray, "f"], side: int
) -> UInt8[np.ndarray, "side side"]:
    """Group of each texel that a face looks up (0: none), grown by two texels for bilinear lookups."""
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    for corners, region in zip(uv * side - 0.5, regions, strict=True):
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=int(region), outline=int(region))
    texels = np.array(canvas)
    return np.where(texels == 0, ndimage.grey_dilation(texels, size=(5, 5)), texels)


def spread_colors(texture: UInt8[np.ndarray, "h w 4"], used: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 4"]:
    """Fill unused texels from the nearest used one (no dark seams from filtering and JPEG) and drop any alpha."""
    core: np.ndarray = ndimage.binary_erosion(
        used, iterations=3
    )  # undoes the growth of `region_texels` and one mixed texel more
    distance, (rows, columns) = _nearest(core)
    out = texture[rows, columns].copy()
    narrow = used & (distance > 3)  # strips too narrow to have a core: belts, laces
    out[narrow] = texture[narrow]
    out[..., 3] = 255
    return out


def _nearest(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each texel to the nearest marked one, and that one's (row, column)."""
    found = ndimage.distance_transform_edt(np.logical_not(marked), return_indices=True)
    assert isinstance(found, tuple)
    return found[0], found[1]
