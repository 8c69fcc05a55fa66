"""What must hold for any .mhclo map: it moves and scales with the base mesh, and its linear form is its derivative."""

from pathlib import Path

import numpy as np
import pytest
from mhclo import BASE_VERTICES, Mapping, mix_skinning


def make_mapping(rng: np.random.Generator, count: int = 40) -> Mapping:
    corners = rng.integers(0, BASE_VERTICES, (count, 3))
    weights = rng.normal(0.3, 0.8, (count, 2))
    return Mapping(
        name="thing",
        tags=(),
        corners=corners,
        weights=np.concatenate([weights, 1 - weights.sum(1, keepdims=True)], 1),
        offsets=rng.normal(0, 0.2, (count, 3)),
        scale_ends=rng.choice(BASE_VERTICES, (3, 2), replace=False),
        scale_lengths=rng.uniform(0.5, 2, 3),
        deleted=np.arange(5),
        mesh=Path("thing.obj"),
        material=Path("thing.mhmat"),
    )


@pytest.fixture(params=range(5))
def case(request: pytest.FixtureRequest) -> tuple[np.random.Generator, Mapping, np.ndarray]:
    rng = np.random.default_rng(request.param)
    return rng, make_mapping(rng), rng.normal(size=(BASE_VERTICES, 3))


def test_a_moved_body_moves_its_garment(case):
    _, mapping, base = case
    shift = np.array([0.3, -2.0, 5.0])
    np.testing.assert_allclose(mapping.fit(base + shift), mapping.fit(base) + shift, atol=1e-12)


def test_a_larger_body_enlarges_its_garment(case):
    _, mapping, base = case
    np.testing.assert_allclose(mapping.fit(1.7 * base), 1.7 * mapping.fit(base), atol=1e-12)


def test_a_mirrored_body_keeps_the_scales(case):
    _, mapping, base = case
    np.testing.assert_allclose(mapping.scales(base * (-1, 1, 1)), mapping.scales(base), atol=1e-12)


def test_fit_equals_the_format_read_row_by_row(case):
    _, mapping, base = case
    for row, point in enumerate(mapping.fit(base)):
        (i, j, k), (wi, wj, wk), offset = mapping.corners[row], mapping.weights[row], mapping.offsets[row]
        expected = wi * base[i] + wj * base[j] + wk * base[k]
        for axis in range(3):
            a, b = mapping.scale_ends[axis]
            expected[axis] += offset[axis] * abs(base[a, axis] - base[b, axis]) / mapping.scale_lengths[axis]
        np.testing.assert_allclose(point, expected, atol=1e-12)


def test_linear_fit_is_exact_while_the_scale_vertices_keep_their_order(case):
    rng, mapping, base = case
    axes = np.arange(3)
    base[mapping.scale_ends[:, 0], axes], base[mapping.scale_ends[:, 1], axes] = (2.0, -1.0, 3.0), (-2.0, 1.0, -3.0)
    dirs = 0.1 * rng.normal(size=(BASE_VERTICES, 3, 4))
    betas = rng.uniform(-1, 1, 4)
    rest, slopes = mapping.fit(base), mapping.anchor(dirs) + mapping.offset_dirs(base, dirs)
    np.testing.assert_allclose(rest + slopes @ betas, mapping.fit(base + dirs @ betas), atol=1e-12)


def test_mixed_skinning_is_a_partition_of_unity(case):
    rng, mapping, _ = case
    weights = rng.dirichlet(np.full(24, 0.1), BASE_VERTICES)
    joints, picked = mix_skinning(weights, mapping)
    assert (picked >= 0).all()
    np.testing.assert_allclose(picked.sum(1), 1.0, atol=1e-12)
    assert all(len(set(row)) == 4 for row in joints.tolist())
