"""The rasteriser equals a slow, obvious twin: loops over pictures, faces and pixels in float64."""

import math

import pytest
import torch
from torch import Tensor

from nbf.raster import Fragments, rasterize, rasterize_packed, zbuffer

# Pixels whose answer hangs on rounding are not compared: within this many pixels of an edge, or with a second face
# this close (relative) in depth.
EDGE, TIE = 2e-3, 1e-5
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def twin(points, faces, image, count, height, width, cull, keep=None):
    """(face, barycentrics, depth, sure) of every pixel, written for clarity only."""
    face = torch.full((count, height, width), -1, dtype=torch.int64)
    weights = torch.zeros(count, height, width, 3, dtype=torch.float64)
    depth = torch.full((count, height, width), math.inf, dtype=torch.float64)
    sure = torch.ones(count, height, width, dtype=torch.bool)
    points = points.double().tolist()
    for index, (corners, picture) in enumerate(zip(faces.tolist(), image.tolist(), strict=True)):
        (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = (points[corner] for corner in corners)
        if min(z0, z1, z2) <= 1e-3:
            continue
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        culled = cull if isinstance(cull, bool) else bool(cull[index])
        if area == 0 or (culled and area > 0):
            continue
        lengths = [math.hypot(x2 - x1, y2 - y1), math.hypot(x0 - x2, y0 - y2), math.hypot(x1 - x0, y1 - y0)]
        for row in range(height):
            for column in range(width):
                x, y = column + 0.5, row + 0.5
                b0 = ((x1 - x) * (y2 - y) - (y1 - y) * (x2 - x)) / area
                b1 = ((x2 - x) * (y0 - y) - (y2 - y) * (x0 - x)) / area
                b2 = ((x0 - x) * (y1 - y) - (y0 - y) * (x1 - x)) / area
                nearest_edge = min(b * abs(area) / length for b, length in zip((b0, b1, b2), lengths, strict=True))
                if nearest_edge < -EDGE:
                    continue
                z = 1.0 / (b0 / z0 + b1 / z1 + b2 / z2)
                bary = torch.tensor([b0 / z0 * z, b1 / z1 * z, b2 / z2 * z], dtype=torch.float64)
                at = (picture, row, column)
                if nearest_edge < EDGE:
                    if not 0 < depth[at] < z * (1 - TIE):  # it may or may not be seen here
                        sure[at] = False
                    continue
                if keep is not None and not bool(keep(torch.tensor([index]), bary[None].float())[0]):
                    continue
                if abs(z - float(depth[at])) <= TIE * z:
                    sure[at] = False
                if z < float(depth[at]):
                    depth[at], face[at], weights[at] = z, index, bary
    return face, weights, depth, sure


def check(result: Fragments, expected, least_sure: float = 0.9) -> None:
    face, weights, depth, sure = expected
    assert sure.double().mean() > least_sure
    assert torch.equal(result.face[sure], face[sure])
    seen = sure & (face >= 0)
    assert (result.barycentrics[seen].double() - weights[seen]).abs().max() < 1e-5
    assert ((result.depth[seen].double() - depth[seen]) / depth[seen]).abs().max() < 1e-5
    assert torch.isinf(result.depth[sure & (face < 0)]).all()
    assert (result.barycentrics[~result.mask] == 0).all()
    assert torch.allclose(result.barycentrics[result.mask].sum(dim=-1), torch.ones(()), atol=1e-6)


def scene(seed: int, count: int, triangles: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random triangles: inside, across the border and outside of the pictures, some reaching behind the camera."""
    generator = torch.Generator().manual_seed(seed)
    extent = torch.tensor([width, height])
    middle = (torch.rand(triangles, 1, 2, generator=generator) * 1.6 - 0.3) * extent
    size = torch.rand(triangles, 1, 1, generator=generator) ** 2 * 0.8
    xy = middle + (torch.rand(triangles, 3, 2, generator=generator) - 0.5) * size * extent
    z = torch.rand(triangles, 3, 1, generator=generator) * 4 + 0.5
    z[: triangles // 8] -= 2.5
    points = torch.cat([xy, z], dim=-1).reshape(-1, 3)
    image = torch.randint(count, (triangles,), generator=generator)
    return points, torch.arange(3 * triangles).reshape(-1, 3), image


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("device", DEVICES)
def test_random_scenes_equal_the_twin(seed: int, cull: bool, device: str) -> None:
    points, faces, image = scene(seed, 2, 40, 20, 26)
    result = rasterize_packed(points.to(device), faces.to(device), image.to(device), 2, 20, 26, cull=cull)
    result = Fragments(result.face.cpu(), result.barycentrics.cpu(), result.depth.cpu())
    assert result.mask.any()
    check(result, twin(points, faces, image, 2, 20, 26, cull), 0.7)


def test_cull_can_differ_from_face_to_face() -> None:
    points, faces, image = scene(11, 2, 40, 20, 26)
    cull = torch.arange(40) % 2 == 0
    result = rasterize_packed(points, faces, image, 2, 20, 26, cull=cull)
    check(result, twin(points, faces, image, 2, 20, 26, cull), 0.7)


def test_transparent_fragments_hide_nothing() -> None:
    points, faces, image = scene(5, 2, 40, 20, 26)

    def keep(face: Tensor, barycentrics: Tensor) -> Tensor:
        return (face % 3 != 0) | (barycentrics[:, 0] > 0.5)

    result = rasterize_packed(points, faces, image, 2, 20, 26, cull=False, keep=keep)
    face, weights, depth, sure = twin(points, faces, image, 2, 20, 26, False, keep)
    # A weight of exactly one half is a matter of rounding too.
    check(result, (face, weights, depth, sure), 0.7)
    assert ((result.face % 3 != 0) | (result.barycentrics[..., 0] > 0.5))[result.mask].all()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points, faces, image = scene(7, 3, 200, 32, 32)
    whole = rasterize_packed(points, faces, image, 3, 32, 32, cull=False)
    for size in (1, 17, 300, 5000):
        monkeypatch.setattr(zbuffer, "_CHUNK_CPU", size)
        part = rasterize_packed(points, faces, image, 3, 32, 32, cull=False)
        assert torch.equal(whole.face, part.face)
        assert torch.equal(whole.depth, part.depth)
        assert torch.equal(whole.barycentrics, part.barycentrics)


def test_batched_equals_packed_equals_single() -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(4, 60, 3, generator=generator) * torch.tensor([30.0, 24.0, 3.0]) + torch.tensor([0.0, 0.0, 0.5])
    faces = torch.randint(60, (50, 3), generator=generator)
    cull = torch.rand(50, generator=generator) < 0.5
    batch = rasterize(points, faces, 24, 30, cull=cull)
    for k in range(4):
        single = rasterize(points[k : k + 1], faces, 24, 30, cull=cull)
        packed = rasterize_packed(points[k], faces, torch.zeros(50, dtype=torch.int64), 1, 24, 30, cull=cull)
        for name in ("face", "barycentrics", "depth"):
            assert torch.equal(getattr(batch, name)[k], getattr(single, name)[0])
            assert torch.equal(getattr(batch, name)[k], getattr(packed, name)[0])


def test_equal_depths_go_to_the_lowest_face() -> None:
    square = torch.tensor([[2.0, 2.0, 1.0], [2.0, 12.0, 1.0], [12.0, 2.0, 1.0], [12.0, 12.0, 1.0]])
    faces = torch.tensor([[0, 1, 2], [1, 3, 2], [0, 1, 2], [1, 3, 2]])
    result = rasterize(square[None], faces, 16, 16)
    assert set(result.face.unique().tolist()) == {-1, 0, 1}


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, 1.2])
def test_shared_edges_leave_no_holes(angle: float) -> None:
    """A turned, finely divided square seen edge-on nowhere: every pixel centre inside of it is covered."""
    n = 40
    grid = torch.stack(torch.meshgrid(torch.arange(n + 1.0), torch.arange(n + 1.0), indexing="xy"), dim=-1).reshape(
        -1, 2
    )
    spread = 3.7 * (grid - n / 2)
    c, s = math.cos(angle), math.sin(angle)
    xy = spread @ torch.tensor([[c, -s], [s, c]]).T + 64.0
    points = torch.cat([xy, torch.full((len(xy), 1), 2.0)], dim=1)
    corner = (torch.arange(n)[:, None] * (n + 1) + torch.arange(n)).reshape(-1)
    faces = torch.cat(
        [
            torch.stack([corner, corner + n + 1, corner + 1], dim=1),
            torch.stack([corner + 1, corner + n + 1, corner + n + 2], dim=1),
        ]
    )
    result = rasterize(points[None], faces, 128, 128)
    centers = torch.stack(torch.meshgrid(torch.arange(128) + 0.5, torch.arange(128) + 0.5, indexing="xy"), dim=-1)
    local = (centers - 64.0) @ torch.tensor([[c, -s], [s, c]])
    inside = local.abs().amax(dim=-1) < 3.7 * n / 2 - 1e-3
    assert result.mask[0][inside].all()


def test_nothing_to_see() -> None:
    none = torch.zeros(0, 3, dtype=torch.int64)
    for faces in (none, torch.tensor([[0, 1, 2]])):
        result = rasterize(torch.tensor([[[0.0, 0, -1], [9, 0, 1], [0, 9, 1]]]), faces, 8, 8, cull=False)
        assert not result.mask.any()
        assert torch.isinf(result.depth).all()


def test_numbers_that_are_not_finite_are_dropped() -> None:
    points = torch.tensor([[[0.0, 0, 1], [9, 0, 1], [0, 9, 1], [math.nan, 3, 1], [3, math.inf, 1], [3, 3, math.nan]]])
    faces = torch.tensor([[0, 1, 3], [0, 1, 4], [0, 1, 5]])
    assert not rasterize(points, faces, 8, 8, cull=False).mask.any()
    points[..., 4, 1] = 1e30
    assert not rasterize(points, torch.tensor([[0, 1, 3]]), 8, 8, cull=False).mask.any()


def test_a_face_larger_than_the_picture_is_one_picture_of_work() -> None:
    points = torch.tensor([[[-5e4, -5e4, 2.0], [-5e4, 9e4, 2.0], [9e4, -5e4, 2.0]]])
    result = rasterize(points, torch.tensor([[0, 1, 2]]), 40, 50)
    assert result.mask.all()
    assert torch.allclose(result.depth, torch.tensor(2.0))
