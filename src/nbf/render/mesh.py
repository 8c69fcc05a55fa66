"""Meshes as smooth clay: the one look that every picture of a body has."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from nbf.geometry import Camera
from nbf.raster import interpolate, rasterize, vertex_normals

# Linear RGB. A light clay that reads as skin on nobody in particular and stands out from photos.
_CLAY = (0.72, 0.60, 0.52)
# Towards the lights, camera axes (x right, y down, z forward), with linear RGB strengths: warm key from the upper left,
# cool fill from the right, a little light from behind that draws the outline.
_LIGHTS = (
    ((-0.45, -0.60, -0.66), (0.62, 0.58, 0.53)),
    ((0.80, -0.05, -0.50), (0.16, 0.19, 0.24)),
    ((0.20, -0.55, 0.80), (0.22, 0.22, 0.24)),
)
_SKY, _GROUND = (0.30, 0.32, 0.36), (0.15, 0.13, 0.12)
# Light wraps this far past the terminator, as on a soft material; 0 is Lambert.
_WRAP = 0.25
# Samples a pixel, across and down.
_SAMPLES = 2
# Hatching: pixels from stripe to stripe, as a share of the picture's longer side so that shrinking the picture keeps
# the look, and at least; how white the gaps are over the photo and how dark the clay between: they differ on any photo.
_PERIOD, _LEAST_PERIOD, _GAP_WHITE, _STRIPE_CLAY = 1 / 64, 5.0, 0.65, 0.72
# Share of a side view's width or height that the people take; longest empty stretch between them, metres.
_FILL, _LONGEST_GAP = 0.84, 0.4


def draw_mesh(
    vertices: Float[Tensor, "n v 3"],
    faces: Int64[Tensor, "f 3"],
    camera: Camera,
    width: int,
    height: int,
    guessed: Bool[Tensor, "n f"] | None = None,
) -> Float[Tensor, "{height} {width} 4"]:
    """n bodies in one picture, the nearer in front: RGBA in [0, 1], colours multiplied by alpha, sRGB.

    Args:
        vertices: camera frame, metres.
        faces: counter-clockwise from outside; the same for all bodies.
        camera: in pixels of the picture to draw, one camera without batch.
        guessed: faces to hatch, body by body, with diagonal see-through stripes that stand still in the picture.
    """
    count, size = vertices.shape[:2]
    points = vertices.float().reshape(1, count * size, 3)
    triangles = (faces + size * torch.arange(count)[:, None, None]).reshape(-1, 3)
    pixels_depth = camera.scaled(_SAMPLES).pixels_depth(points)
    # Only where there are bodies: most of the time goes into pixels, seen or not.
    columns, rows = (_extent(pixels_depth[0], axis, limit) for axis, limit in enumerate((width, height)))
    shift = pixels_depth.new_tensor([columns.start, rows.start, 0]) * _SAMPLES
    wide, high = columns.stop - columns.start, rows.stop - rows.start
    fragments = rasterize(pixels_depth - shift, triangles, high * _SAMPLES, wide * _SAMPLES)
    normals = vertex_normals(vertices.float(), faces).reshape(-1, 3)
    # Colours per vertex suffice: the full body has several vertices for each feature that light can show.
    colors = interpolate(fragments, triangles, torch.cat([shade_clay(normals), torch.ones(len(normals), 1)], dim=1))
    if guessed is not None:
        hatched = fragments.mask & guessed.flatten()[fragments.face]
        stripe = colors[hatched] * colors.new_tensor([_STRIPE_CLAY] * 3 + [1.0])
        gaps = _gaps(rows, columns, max(width, height))[None][hatched]
        colors[hatched] = torch.lerp(stripe, colors.new_tensor(_GAP_WHITE), gaps[:, None])
    drawn = torch.zeros(height, width, 4)
    drawn[rows, columns] = functional.avg_pool2d(colors.permute(0, 3, 1, 2), _SAMPLES)[0].permute(1, 2, 0)
    return drawn


def _extent(pixels_depth: Float[Tensor, "k 3"], axis: int, limit: int) -> slice:
    """Columns (axis 0) or rows (1) of a picture, of `limit` in all, between which all points before the camera lie."""
    seen = pixels_depth[pixels_depth[:, 2] > 0, axis] / _SAMPLES
    if len(seen) == 0:
        return slice(0, 1)
    low, high = seen.nan_to_num().aminmax()
    start = int(low.floor().clamp(0, limit - 1))
    return slice(start, int(high.ceil().clamp(start + 1, limit)))


def _gaps(rows: slice, columns: slice, longer: int) -> Tensor:
    """How much of each sample of a part of a picture lies in the gaps of its hatching, 0..1; edges a pixel soft.
    `longer` is the picture's longer side."""
    period = max(_PERIOD * longer, _LEAST_PERIOD)
    y, x = ((torch.arange(side.start * _SAMPLES, side.stop * _SAMPLES) + 0.5) / _SAMPLES for side in (rows, columns))
    # Pixels across the stripes, which run from the lower left to the upper right.
    across = (x + y[:, None]) / 2**0.5
    from_middle = (across.remainder(period) - period / 2).abs()
    return (period / 4 - from_middle + 0.5).clamp(0, 1)


def shade_clay(normals: Float[Tensor, "k 3"]) -> Float[Tensor, "k 3"]:
    """sRGB colours of clay with these unit normals (camera axes) under the studio lights."""
    up = (0.5 - 0.5 * normals[:, 1:2]).clamp(0, 1)
    light = torch.lerp(normals.new_tensor(_GROUND), normals.new_tensor(_SKY), up)
    for direction, strength in _LIGHTS:
        toward = functional.normalize(normals.new_tensor(direction), dim=0)
        cosine = (normals @ toward)[:, None]
        light = light + ((cosine + _WRAP) / (1 + _WRAP)).clamp_min(0) * normals.new_tensor(strength)
    return (normals.new_tensor(_CLAY) * light).clamp(0, 1) ** (1 / 2.2)


def side_view(vertices: Float[Tensor, "n v 3"], width: int, height: int) -> tuple[Float[Tensor, "n v 3"], Camera]:
    """The same bodies seen level from the left of the photo, all of them in the picture.

    Who faces the photo's camera looks to the right. People far from one another are drawn together, or all would be
    tiny. Returns vertices in the new camera's frame and that camera.
    """
    # Right is towards the photo's camera (-z), forward is to its right (+x).
    turned = torch.stack([-vertices[..., 2], vertices[..., 1], vertices[..., 0]], dim=-1)
    turned = turned + gathered(turned.amin(dim=1), turned.amax(dim=1))[:, None]
    low, high = turned.amin(dim=(0, 1)), turned.amax(dim=(0, 1))
    extent = (high - low).clamp_min(1e-3)
    # Far enough that perspective is gentle, near enough that it is there.
    distance = 4 * float(extent.max())
    nearest = distance - float(extent[2]) / 2
    focal = _FILL * min(width / float(extent[0]), height / float(extent[1])) * nearest
    moved = turned - (low + high) / 2 + turned.new_tensor([0.0, 0.0, distance])
    return moved, Camera(torch.tensor(focal), torch.tensor([width / 2, height / 2]))


def gathered(low: Float[Tensor, "n 3"], high: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """By how much to move bodies with these corners, metres, so that they can be looked at together: along no axis is
    an empty stretch between them longer than `_LONGEST_GAP`."""
    moves = torch.zeros_like(low)
    for axis in range(3):
        edge, moved = float(low[:, axis].min()), 0.0
        for index in low[:, axis].argsort().tolist():
            moved += max(0.0, float(low[index, axis]) - edge - _LONGEST_GAP)
            moves[index, axis] = -moved
            edge = max(edge, float(high[index, axis]))
    return moves
