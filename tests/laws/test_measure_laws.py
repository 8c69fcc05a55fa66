"""Laws of body measurements: what must hold for every shape, and for every mesh."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.joints import MIRROR_SMPL24
from nbf.body.measure import MEASUREMENTS, girth, measurement_jacobian, measurements
from nbf.body.model import BodyModel
from nbf.body.parts import MIRROR24

SEEDS = st.integers(0, 10_000)
POWERS = torch.tensor([3.0 if name == "mass_kg" else 1.0 for name in MEASUREMENTS]).double()


@pytest.fixture(scope="module")
def small() -> BodyModel:
    return load_body("anny24", "small").double()


@pytest.fixture(scope="module")
def full() -> BodyModel:
    return load_body("anny24", "full").double()


def draw(body: BodyModel, seed: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return body.shape_samples[torch.randint(len(body.shape_samples), (count,), generator=generator)]


def changed(body: BodyModel, **tensors: Tensor) -> BodyModel:
    """A body of which some tensors are replaced."""
    other = copy.deepcopy(body)
    for name, tensor in tensors.items():
        setattr(other, name, tensor)
    return other


@given(SEEDS, st.floats(0.2, 5))
def test_scaled_bodies_have_scaled_lengths(small: BodyModel, seed: int, k: float):
    names = ("template", "shape_dirs", "joint_template", "joint_dirs")
    scaled = changed(small, **{name: k * getattr(small, name) for name in names})
    betas = draw(small, seed)
    torch.testing.assert_close(measurements(scaled, betas), measurements(small, betas) * k**POWERS)


@given(SEEDS)
def test_where_a_body_stands_does_not_matter(small: BodyModel, seed: int):
    offset = torch.tensor([0.7, -3.0, 2.0]).double()
    moved = changed(small, template=small.template + offset, joint_template=small.joint_template + offset)
    betas = draw(small, seed)
    torch.testing.assert_close(measurements(moved, betas), measurements(small, betas))


@given(SEEDS)
def test_mirrored_bodies_measure_the_same(small: BodyModel, seed: int):
    flip = torch.tensor([-1.0, 1.0, 1.0]).double()
    order = list(MIRROR_SMPL24)
    mirrored = changed(
        small,
        template=small.template * flip,
        shape_dirs=small.shape_dirs * flip[:, None],
        joint_template=small.joint_template[order] * flip,
        joint_dirs=small.joint_dirs[order] * flip[:, None],
        faces=small.faces.flip(1),
        face_parts=torch.tensor(MIRROR24)[small.face_parts],
    )
    betas = draw(small, seed)
    torch.testing.assert_close(measurements(mirrored, betas), measurements(small, betas), rtol=1e-6, atol=0)


@settings(max_examples=8)
@given(SEEDS)
def test_batch_equals_single(small: BodyModel, seed: int):
    betas = draw(small, seed, 4)
    values, slopes = measurement_jacobian(small, betas.unflatten(0, (2, 2)))
    torch.testing.assert_close(values, measurements(small, betas.unflatten(0, (2, 2))))
    for i, one in enumerate(betas):
        alone, alone_slopes = measurement_jacobian(small, one)
        torch.testing.assert_close(values.flatten(0, 1)[i], alone)
        torch.testing.assert_close(slopes.flatten(0, 1)[i], alone_slopes)
        torch.testing.assert_close(measurements(small, one), alone)


@settings(max_examples=10)
@given(SEEDS)
def test_jacobian_is_that_of_finite_differences(small: BodyModel, seed: int):
    betas, step = draw(small, seed)[0], 1e-6
    steps = torch.eye(small.shape_count).double() * step
    expected = (measurements(small, betas + steps) - measurements(small, betas - steps)).T / (2 * step)
    slopes = measurement_jacobian(small, betas)[1]
    assert ((slopes - expected).norm(dim=1) < 1e-4 * expected.norm(dim=1)).all()


def test_jacobian_is_that_of_finite_differences_at_full_detail(full: BodyModel):
    betas, step = draw(full, 3)[0], 1e-6
    steps = torch.eye(full.shape_count).double() * step
    expected = (measurements(full, betas + steps) - measurements(full, betas - steps)).T / (2 * step)
    slopes = measurement_jacobian(full, betas)[1]
    assert ((slopes - expected).norm(dim=1) < 1e-4 * expected.norm(dim=1)).all()


def test_gradients_are_exact(small: BodyModel):
    """gradcheck at a shape without a tie, and the Jacobian is what autograd gives."""
    betas = draw(small, 1)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda b: measurements(small, b), betas, atol=1e-6)
    expected = torch.autograd.functional.jacobian(lambda b: measurements(small, b), betas)
    torch.testing.assert_close(measurement_jacobian(small, betas)[1], expected)


@given(SEEDS)
def test_lengths_are_carried_far_by_their_slopes(small: BodyModel, seed: int):
    """Error bars are propagated linearly: over a tenth of a standard deviation slopes foretell to 1 mm and 0.2%."""
    betas = draw(small, seed)[0]
    values, slopes = measurement_jacobian(small, betas)
    step = 0.1 * torch.nn.functional.normalize(draw(small, seed + 1)[0], dim=0)
    gap = (measurements(small, betas + step) - values - slopes @ step).abs()
    lengths = POWERS == 1
    assert gap[lengths].max() < 0.001
    assert gap[~lengths].item() < 0.002 * values[~lengths].item()


def plain_girth(vertices: Tensor, faces: Tensor, level: float) -> float:
    """Face by face, then the perimeter of the hull by Andrew's monotone chain."""
    points: set[tuple[float, float]] = set()
    for corners in vertices[faces].tolist():
        for a, b in zip(corners, corners[1:] + corners[:1]):
            if (a[1] > level) != (b[1] > level):
                t = (level - a[1]) / (b[1] - a[1])
                points.add((a[0] + t * (b[0] - a[0]), a[2] + t * (b[2] - a[2])))
    around = 0.0
    for line in (sorted(points), sorted(points, reverse=True)):
        chain: list[tuple[float, float]] = []
        for p in line:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0:
                    break
                chain.pop()
            chain.append(p)
        around += sum(math.dist(a, b) for a, b in pairwise(chain))
    return around


@given(SEEDS, st.floats(0.05, 0.95))
def test_girth_equals_the_plain_twin(small: BodyModel, seed: int, share: float):
    """At any height of the whole body, arms and all."""
    vertices = small.rest_vertices(draw(small, seed)[0])
    low, high = vertices[:, 1].min(), vertices[:, 1].max()
    level = low + share * (high - low)
    expected = plain_girth(vertices, small.faces, level.item())
    assert girth(vertices, small.faces, level).item() == pytest.approx(expected, rel=1e-4)


@given(SEEDS)
def test_levels_of_detail_agree(small: BodyModel, full: BodyModel, seed: int):
    """Heights and legs within 5 mm, girths within 2.5 cm (1 cm on average), mass within 5%, arms exactly."""
    betas = draw(full, seed, 4)
    fine, coarse = measurements(full, betas), measurements(small, betas)
    gaps = dict(zip(MEASUREMENTS, (coarse - fine).abs().unbind(1)))
    assert max(gaps["height_m"].max(), gaps["leg_m"].max()) < 0.005
    girths = torch.stack([gaps[name] for name in ("chest_m", "waist_m", "hip_m")])
    assert girths.max() < 0.025
    assert girths.mean() < 0.01
    assert (gaps["mass_kg"] / fine[:, MEASUREMENTS.index("mass_kg")]).max() < 0.05
    assert gaps["arm_m"].max() < 1e-5


@given(SEEDS)
def test_who_gains_mass_at_one_height_gains_girth(small: BodyModel, seed: int):
    """Along the steepest ascent of mass that leaves height alone every girth grows."""
    slopes = dict(zip(MEASUREMENTS, measurement_jacobian(small, draw(small, seed)[0])[1]))
    tall = slopes["height_m"]
    gain = slopes["mass_kg"] - tall * (slopes["mass_kg"] @ tall) / (tall @ tall)
    for name in ("chest_m", "waist_m", "hip_m"):
        assert slopes[name] @ gain > 0, name
