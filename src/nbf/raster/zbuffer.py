"""Which face is seen at each pixel: a z-buffer by fragment expansion, for many meshes and pictures in one call.

Every face is expanded into the pixel centres of its bounding box (its candidates); those inside the triangle become
fragments; a scatter-minimum over (depth, face id) keeps the nearest one at each pixel. Only for those few winners are
the barycentric coordinates computed, in double precision. Equal depths go to the lowest face id, so the result is the
same on every device, for every chunking and in every order of execution.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

# Faces with a vertex nearer than this (metres), or behind the camera, are dropped, not clipped.
_NEAR = 1e-3
# A pixel centre this far (pixels) outside of an edge still counts as inside: float32 rounding must not open a gap
# between two faces that share the edge. Where both claim the pixel, the depth test decides.
_EDGE_SLACK = 1e-4
# Candidates expanded at once, which bounds memory (about 60 bytes each). A CPU is fastest when they fit its cache.
_CHUNK_CPU = 1 << 17
_CHUNK_GPU = 1 << 22
# Sides in pixels of the boxes that small faces are tested in.
_BOXES = (2, 4, 8)
# Meshes that `faces_in_view` looks at together on a CPU, for the same reason.
_MESHES_CPU = 2
_EMPTY = torch.iinfo(torch.int64).max
_FACE_BITS = 32
_FACE_MASK = (1 << _FACE_BITS) - 1

Keep = Callable[[Int64[Tensor, " k"], Float[Tensor, "k 3"]], Bool[Tensor, " k"]]


@dataclass(frozen=True)
class Fragments:
    """What each pixel of a batch of pictures sees. Not differentiable.

    `face` is the index of the face seen, -1 where nothing is; `barycentrics` are perspective correct (weights of the
    face's three vertices in 3D), 0 where nothing is; `depth` is z in metres, infinite where nothing is.
    """

    face: Int64[Tensor, "b h w"]
    barycentrics: Float[Tensor, "b h w 3"]
    depth: Float[Tensor, "b h w"]

    @property
    def mask(self) -> Bool[Tensor, "b h w"]:
        """True where a face is seen."""
        return self.face >= 0


def rasterize(
    pixels_depth: Float[Tensor, "b v 3"],
    faces: Int64[Tensor, "f 3"],
    height: int,
    width: int,
    *,
    cull: bool | Bool[Tensor, " f"] = True,
) -> Fragments:
    """Rasterise one mesh in b poses into b pictures.

    `pixels_depth` holds (x px, y px, z m) of each vertex: `Camera.pixels_depth`. `cull` drops faces seen from behind:
    outward normals are counter-clockwise as in OBJ and glTF. `Fragments.face` indexes `faces`.
    """
    count, vertices = pixels_depth.shape[:2]
    pictures = torch.arange(count, device=faces.device)
    fragments = rasterize_packed(
        pixels_depth.reshape(-1, 3),
        (faces + pictures[:, None, None] * vertices).reshape(-1, 3),
        pictures.repeat_interleave(len(faces)),
        count,
        height,
        width,
        cull=cull if isinstance(cull, bool) else cull.repeat(count),
    )
    face = torch.where(fragments.mask, fragments.face % max(len(faces), 1), -1)
    return Fragments(face, fragments.barycentrics, fragments.depth)


def rasterize_packed(
    points: Float[Tensor, "n 3"],
    faces: Int64[Tensor, "f 3"],
    image: Int64[Tensor, " f"],
    count: int,
    height: int,
    width: int,
    *,
    cull: bool | Bool[Tensor, " f"] = True,
    keep: Keep | None = None,
    see_through: Bool[Tensor, " f"] | None = None,
) -> Fragments:
    """Rasterise any number of meshes into `count` pictures at once.

    `points` are (x px, y px, z m) of the vertices of all meshes, `faces` index them, and `image` names the picture
    (0 .. count-1) of each face. `cull` drops faces seen from behind: for all faces, or face by face (False keeps
    both sides of hair and cloth). `keep(face, barycentrics)` is an alpha test: fragments for which it says False are
    transparent and do not hide what is behind them; where `see_through` is given, only fragments of its faces are put
    to that test. Faces that reach behind the camera are dropped.
    """
    points = points.detach().float()
    key = torch.full((count * height * width,), _EMPTY, dtype=torch.int64, device=points.device)
    setup = _setup(points, faces, image, height, width, cull)
    for slot, pixel, depth in _fragments(setup, width):
        face = setup.face.index_select(0, slot)
        if keep is not None:
            stays = torch.ones_like(face, dtype=torch.bool)
            asked = slice(None) if see_through is None else see_through.index_select(0, face).nonzero()[:, 0]
            stays[asked] = keep(face[asked], _barycentrics(points, faces, face[asked], pixel[asked], height, width)[0])
            face, pixel, depth = face[stays], pixel[stays], depth[stays]
        # The bits of a positive float sort like the float itself.
        key.scatter_reduce_(0, pixel, (depth.view(torch.int32).long() << _FACE_BITS) | face, "amin")
    return _resolve(key, points, faces, (count, height, width))


def faces_in_view(
    points: Float[Tensor, "b 3 n"], faces: Int64[Tensor, "f 3"], height: int, width: int, *, cull: bool = True
) -> Bool[Tensor, "b f"]:
    """Which faces of one mesh in b poses `rasterize_packed` would not drop at once: most are turned away, or fall
    between the pixel centres. `points` are (x px, y px, z m), coordinates before vertices."""
    corners = faces.T.flatten()
    seen = []
    for chunk in points.split(_MESHES_CPU if points.device.type == "cpu" else max(len(points), 1)):
        x, y, z = chunk.gather(2, corners.expand(*chunk.shape[:2], -1)).unflatten(2, (3, -1)).unbind(1)
        seen.append(_in_view(x, y, z, height, width, cull)[-1])
    return torch.cat(seen)


@dataclass(frozen=True)
class _Setup:
    """The m faces worth expanding. Affine functions (value, slope along x, slope along y) start at the centre of the
    first pixel of the bounding box, which keeps their rounding errors as small as the face itself."""

    face: Tensor  # (m) index into the caller's faces
    distance: Tensor  # (9, m) three affine functions: signed distance in pixels to each edge, positive inside
    inverse_depth: Tensor  # (5, m) affine function 1/z, and its least and greatest value on the face
    first_pixel: Tensor  # (m) index of the first pixel among all pixels of all pictures
    width: Tensor  # (m) columns of the bounding box
    height: Tensor  # (m) rows of the bounding box

    def at(self, slots: Tensor) -> "_Setup":
        """Some of the faces."""
        return _Setup(*(value.index_select(-1, slots) for value in vars(self).values()))


def _setup(points: Tensor, faces: Tensor, image: Tensor, height: int, width: int, cull: bool | Tensor) -> _Setup:
    """Drop faces that cannot be seen; prepare the rest."""
    # (3, f) each; index_select is several times as fast on a CPU as indexing by a tensor.
    x, y, z = points.T.contiguous().index_select(1, faces.T.flatten()).unflatten(1, (3, -1))
    left, right, top, bottom, twice_area, visible = _in_view(x, y, z, height, width, cull)
    face = visible.nonzero()[:, 0]
    if len(face) < len(faces):
        packed = torch.cat([x, y, z, torch.stack([left, right, top, bottom, twice_area])])
        x, y, z, (left, right, top, bottom, twice_area) = packed.index_select(1, face).split([3, 3, 3, 5])
    from_x, from_y = left + 0.5 - x, top + 0.5 - y
    distance = []
    inverse_depth = torch.zeros(3, len(face), dtype=x.dtype, device=x.device)
    for vertex in range(3):
        # The edge that faces this vertex; its cross product with (pixel - end of the edge) is twice_area at the vertex.
        a, b = (vertex + 1) % 3, (vertex + 2) % 3
        edge_x, edge_y = x[b] - x[a], y[b] - y[a]
        cross = torch.stack([edge_x * from_y[a] - edge_y * from_x[a], -edge_y, edge_x])
        distance.append(cross * (torch.sign(twice_area) / (edge_x * edge_x + edge_y * edge_y).sqrt()))
        inverse_depth += cross / (twice_area * z[vertex])
    return _Setup(
        face=face,
        distance=torch.cat(distance),
        inverse_depth=torch.cat([inverse_depth, 1.0 / z.amax(dim=0)[None], 1.0 / z.amin(dim=0)[None]]),
        first_pixel=(image[face] * height + top.long()) * width + left.long(),
        width=(right - left).long() + 1,
        height=(bottom - top).long() + 1,
    )


def _in_view(
    x: Tensor, y: Tensor, z: Tensor, height: int, width: int, cull: bool | Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Extent in pixel centres, twice the signed area, and whether it can be seen, of faces (each input (..., 3, f))."""
    (x0, x1, x2), (y0, y1, y2), (z0, z1, z2) = (t.unbind(-2) for t in (x, y, z))
    twice_area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
    # Pixel centres are at half-integers: column c is inside when min(x) <= c + 0.5 <= max(x).
    left, right = _columns(x0, x1, x2, width)
    top, bottom = _columns(y0, y1, y2, height)
    visible = (torch.minimum(torch.minimum(z0, z1), z2) > _NEAR) & (right >= left) & (bottom >= top)
    visible &= (twice_area != 0) & twice_area.isfinite()
    # With y down and z forward, a counter-clockwise face that looks at the camera has negative area.
    if not isinstance(cull, bool):
        visible &= (twice_area < 0) | ~cull
    elif cull:
        visible &= twice_area < 0
    return left, right, top, bottom, twice_area, visible


def _columns(x0: Tensor, x1: Tensor, x2: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """First and last column (or row) of a picture whose pixel centres lie within the extent of three corners."""
    least, most = torch.minimum(torch.minimum(x0, x1), x2), torch.maximum(torch.maximum(x0, x1), x2)
    first = (least - 0.5).ceil_().clamp_(0.0, float(width))
    last = (most - 0.5).floor_().clamp_(-1.0, float(width - 1))
    return first, last


def _fragments(setup: _Setup, width: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Runs of fragments: slot in the setup, pixel among those of all pictures, depth.

    Most faces of a body are a few pixels wide. These are put to the test in boxes of one size, which needs no lookups;
    only larger ones are expanded into just the pixels of their own bounding boxes.
    """
    extent, smaller = torch.maximum(setup.width, setup.height), 0
    size = _CHUNK_CPU if extent.device.type == "cpu" else _CHUNK_GPU
    for side in _BOXES:
        fitting = ((extent > smaller) & (extent <= side)).nonzero()[:, 0]
        for slots in fitting.split(max(size // side**2, 1)):
            yield _in_boxes(setup.at(slots), slots, side, width)
        smaller = side
    large = (extent > smaller).nonzero()[:, 0]
    rest = setup.at(large)
    for part, candidates in _chunks(rest.width * rest.height, size):
        slots, pixel, depth = _expand(rest, part, candidates, width)
        yield large.index_select(0, slots), pixel, depth


def _in_boxes(setup: _Setup, slots: Tensor, side: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Fragments of faces whose bounding boxes fit into `side` x `side` pixels."""
    step = torch.arange(side, device=slots.device, dtype=setup.distance.dtype)
    row, column = step.repeat_interleave(side)[:, None], step.repeat(side)[:, None]
    inside = (column < setup.width) & (row < setup.height)
    for value, along_x, along_y in setup.distance.unflatten(0, (3, 3)):
        inside &= torch.addcmul(torch.addcmul(value, along_x, column), along_y, row) >= -_EDGE_SLACK
    hit = inside.flatten().nonzero()[:, 0]
    offset = torch.div(hit, len(slots), rounding_mode="floor")
    face = hit - offset * len(slots)
    row, column = torch.div(offset, side, rounding_mode="floor"), offset % side
    pixel = setup.first_pixel.index_select(0, face) + row * width + column
    return slots.index_select(0, face), pixel, _depth(setup, face, column, row)


def _depth(setup: _Setup, face: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Of faces at pixels counted from the first of their bounding boxes."""
    value, along_x, along_y, least, greatest = setup.inverse_depth.index_select(1, face)
    return 1.0 / torch.minimum(torch.maximum(value + along_x * column + along_y * row, least), greatest)


def _chunks(area: Tensor, size: int) -> Iterator[tuple[slice, int]]:
    """Runs of faces that have about `size` candidates together (one huge face may have more), and how many."""
    ends = torch.cumsum(area, dim=0)
    total = int(ends[-1]) if len(ends) else 0
    cuts = torch.searchsorted(ends, torch.arange(size, max(total, size), size, device=area.device))
    cuts = torch.nn.functional.pad(cuts, (1, 1))
    cuts[-1] = len(area)
    at = torch.nn.functional.pad(ends, (1, 0))[cuts]
    cuts, at = torch.stack([cuts, at]).tolist()
    for k in range(len(cuts) - 1):
        if at[k + 1] > at[k]:
            yield slice(cuts[k], cuts[k + 1]), at[k + 1] - at[k]


def _expand(setup: _Setup, part: slice, candidates: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Fragments of a run of faces: slot in the setup, pixel among those of all pictures, depth."""
    area = setup.width[part] * setup.height[part]
    slot = torch.repeat_interleave(
        torch.arange(part.start, part.stop, device=area.device), area, output_size=candidates
    )
    first = torch.cumsum(area, dim=0) - area
    order = torch.arange(candidates, device=area.device) - first[slot - part.start]
    columns = setup.width.index_select(0, slot)
    row = torch.div(order, columns, rounding_mode="floor")
    column = order - row * columns
    value, along_x, along_y = setup.distance.index_select(1, slot).unflatten(0, (3, 3)).unbind(1)
    nearest_edge = torch.addcmul(torch.addcmul(value, along_x, column), along_y, row).amin(dim=0)
    hit = (nearest_edge >= -_EDGE_SLACK).nonzero()[:, 0]
    slot, column, row = (t.index_select(0, hit) for t in (slot, column, row))
    pixel = setup.first_pixel.index_select(0, slot) + row * width + column
    return slot, pixel, _depth(setup, slot, column, row)


def _resolve(key: Tensor, points: Tensor, faces: Tensor, shape: tuple[int, int, int]) -> Fragments:
    """Unpack the winning faces and compute their barycentrics."""
    face = torch.where(key == _EMPTY, -1, key & _FACE_MASK)
    pixel = (face >= 0).nonzero()[:, 0]
    weights, z = _barycentrics(points, faces, face.index_select(0, pixel), pixel, *shape[1:])
    barycentrics = torch.zeros(len(key), 3, device=key.device)
    barycentrics[pixel] = weights
    depth = torch.full((len(key),), torch.inf, device=key.device)
    depth[pixel] = z
    return Fragments(face.reshape(shape), barycentrics.reshape(*shape, 3), depth.reshape(shape))


def _barycentrics(
    points: Tensor, faces: Tensor, face: Tensor, pixel: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Perspective-correct weights (k, 3) of the vertices of face (k) at pixel (k), and the depth there (k)."""
    corners = faces.index_select(0, face).T.flatten()
    # float64: a sliver's area is a small difference of large products.
    x, y, z = points.index_select(0, corners).double().unflatten(0, (3, -1)).unbind(-1)
    row = torch.div(pixel, width, rounding_mode="floor")
    x = x - (pixel - row * width + 0.5)
    y = y - (row % height + 0.5)
    weights = torch.stack([x[a] * y[b] - x[b] * y[a] for a, b in ((1, 2), (2, 0), (0, 1))])
    # Within the slack outside of an edge a weight has the wrong sign: clamp it. Then weigh by 1/z (perspective).
    weights = (weights * torch.sign(weights.sum(dim=0))).clamp_min(0.0)
    weights = weights / weights.sum(dim=0) / z
    total = weights.sum(dim=0)
    return (weights / total).T.float(), (1.0 / total).float()
