"""Laws of the body model: what must hold for every shape and pose."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.joints import MIRROR_COCO17, MIRROR_LSP14, MIRROR_SMPL24, PARENTS, mirror_rotations
from nbf.body.model import BodyModel, skin, turn_about_origin
from nbf.geometry import matrix_from_axis_angle

SEEDS = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def small() -> BodyModel:
    return load_body("anny24", "small").double()


@pytest.fixture(scope="module")
def full() -> BodyModel:
    return load_body("anny24", "full")


def draw(body: BodyModel, seed: int, count: int = 2, degrees: float = 30.0) -> tuple[Tensor, Tensor, Tensor]:
    """Shapes, rotations and translations of random people."""
    generator = torch.Generator().manual_seed(seed)
    dtype = body.template.dtype
    betas = body.shape_samples[torch.randint(len(body.shape_samples), (count,), generator=generator)]
    vectors = torch.randn(count, 24, 3, generator=generator, dtype=dtype) * degrees / 57.3 / 3**0.5
    return betas, matrix_from_axis_angle(vectors), torch.randn(count, 3, generator=generator, dtype=dtype)


def test_gradients_are_exact(small: BodyModel):
    picked = torch.arange(0, len(small.template), 97)
    betas, rotations, translation = draw(small, 0, count=1)

    def forward(betas: Tensor, rotations: Tensor, translation: Tensor) -> tuple[Tensor, ...]:
        out = small(betas, rotations, translation)
        return out.vertices[:, picked], out.joints, small.keypoints(out, "lsp14")

    inputs = tuple(x.clone().requires_grad_() for x in (betas, rotations, translation))
    assert torch.autograd.gradcheck(forward, inputs, atol=1e-7)


@given(SEEDS)
def test_equals_the_plain_twin(small: BodyModel, seed: int):
    """Skinning joint by joint and vertex by vertex, as SMPL's paper writes it."""
    betas, rotations, translation = (x[0] for x in draw(small, seed))
    out = small(betas, rotations, translation)
    rest = small.template + small.shape_dirs @ betas
    joints = small.joint_template + small.joint_dirs @ betas
    world: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        local = torch.eye(4, dtype=rest.dtype)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    for vertex in range(0, len(rest), 61):
        expected = torch.zeros(3, dtype=rest.dtype)
        for joint, weight in zip(small.skin_joints[vertex].tolist(), small.skin_weights[vertex]):
            motion = world[joint]
            expected += weight * (motion[:3, :3] @ (rest[vertex] - joints[joint]) + motion[:3, 3])
        torch.testing.assert_close(out.vertices[vertex], expected + translation)
    torch.testing.assert_close(out.joints, torch.stack([m[:3, 3] for m in world]) + translation)


@given(SEEDS)
def test_batch_equals_single(small: BodyModel, seed: int):
    inputs = draw(small, seed, count=6)
    together = small(*(x.unflatten(0, (2, 3)) for x in inputs))
    alone = [small(*(x[i] for x in inputs)) for i in range(6)]
    torch.testing.assert_close(together.vertices.flatten(0, 1), torch.stack([o.vertices for o in alone]))
    torch.testing.assert_close(together.joints.flatten(0, 1), torch.stack([o.joints for o in alone]))
    torch.testing.assert_close(together.transforms.flatten(0, 1), torch.stack([o.transforms for o in alone]))


@given(SEEDS)
def test_tpose_is_the_rest_body(small: BodyModel, seed: int):
    betas, rotations, translation = draw(small, seed)
    still = torch.eye(3, dtype=betas.dtype).expand_as(rotations)
    out = small(betas, still, torch.zeros_like(translation))
    torch.testing.assert_close(out.vertices, small.rest_vertices(betas))
    torch.testing.assert_close(out.joints, small.rest_joints(betas))


@given(SEEDS)
def test_root_turns_about_the_pelvis(small: BodyModel, seed: int):
    betas, rotations, translation = draw(small, seed)
    turn = draw(small, seed + 1)[1][:, 0]
    turned = torch.cat([turn[:, None] @ rotations[:, :1], rotations[:, 1:]], 1)
    before, after = small(betas, rotations, translation), small(betas, turned, translation)
    pelvis = before.joints[:, :1]
    torch.testing.assert_close(after.joints[:, 0], before.joints[:, 0])
    torch.testing.assert_close(after.vertices, (before.vertices - pelvis) @ turn.transpose(1, 2) + pelvis)


@given(SEEDS)
def test_the_whole_person_turns_about_the_origin(small: BodyModel, seed: int):
    betas, rotations, translation = draw(small, seed)
    turn = draw(small, seed + 1)[1][:, 0]
    before = small(betas, rotations, translation)
    after = small(betas, *turn_about_origin(turn, small.rest_joints(betas)[:, 0], rotations, translation))
    torch.testing.assert_close(after.joints, before.joints @ turn.mT)
    torch.testing.assert_close(after.vertices, before.vertices @ turn.mT)


@given(SEEDS)
def test_translation_moves_everything_alike(small: BodyModel, seed: int):
    betas, rotations, translation = draw(small, seed)
    here, there = small(betas, rotations, 0 * translation), small(betas, rotations, translation)
    torch.testing.assert_close(there.vertices, here.vertices + translation[:, None])
    for kind in ("smpl24", "coco17", "lsp14"):
        torch.testing.assert_close(small.keypoints(there, kind), small.keypoints(here, kind) + translation[:, None])


@given(SEEDS)
def test_rest_joints_are_linear_in_shape(small: BodyModel, seed: int):
    a, b = draw(small, seed)[0]
    middle = small.rest_joints(0.25 * a + 0.75 * b)
    torch.testing.assert_close(middle, 0.25 * small.rest_joints(a) + 0.75 * small.rest_joints(b))


@given(SEEDS)
def test_mirrored_pose_gives_the_mirrored_person(small: BodyModel, seed: int):
    """People are symmetric to a few millimetres, so joints and keypoints must mirror to about that."""
    betas, rotations, translation = draw(small, seed)
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=betas.dtype)
    here, there = small(betas, rotations, translation), small(betas, mirror_rotations(rotations), translation * flip)
    for kind, order in (("smpl24", MIRROR_SMPL24), ("coco17", MIRROR_COCO17), ("lsp14", MIRROR_LSP14)):
        expected = small.keypoints(here, kind)[:, list(order)] * flip
        # The face's and ears' few-vertex regressors are fitted side by side, the limbs' joints are bones.
        tolerance = 0.005 if kind == "smpl24" else 0.02
        assert (small.keypoints(there, kind) - expected).norm(dim=-1).max() < tolerance


@given(SEEDS)
def test_mirroring_twice_changes_nothing(small: BodyModel, seed: int):
    rotations = draw(small, seed)[1]
    torch.testing.assert_close(mirror_rotations(mirror_rotations(rotations)), rotations)


@given(SEEDS)
def test_levels_of_detail_agree(small: BodyModel, full: BodyModel, seed: int):
    betas, rotations, translation = draw(full, seed, count=1)
    fine = full(betas, rotations, translation)
    coarse = small(betas.double(), rotations.double(), translation.double())
    torch.testing.assert_close(coarse.joints.float(), fine.joints, atol=2e-6, rtol=0)
    gaps = torch.cdist(coarse.vertices.float(), fine.vertices).amin(-1)
    # The coarse vertices lie on the fine surface, whose own vertices are at most a few centimetres apart.
    assert gaps.mean() < 0.006
    assert gaps.max() < 0.05
    for kind in ("coco17", "lsp14"):
        apart = small.keypoints(coarse, kind).float() - full.keypoints(fine, kind)
        assert apart.norm(dim=-1).mean() < 0.01


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_dtype(dtype: torch.dtype):
    body = load_body("anny24", "small").to(dtype)
    still, zero = torch.eye(3, dtype=dtype).expand(24, 3, 3), torch.zeros(3, dtype=dtype)
    out = body(body.shape_samples[0], still, zero)
    assert out.vertices.dtype == out.joints.dtype == dtype
    assert torch.isfinite(out.vertices).all()


def test_skin_carries_other_points_along(small: BodyModel):
    """A point that copies a vertex's weights moves as that vertex does."""
    betas, rotations, translation = draw(small, 5)
    out = small(betas, rotations, translation)
    points = small.rest_vertices(betas)[:, 10:20]
    moved = skin(points, small.skin_joints[10:20], small.skin_weights[10:20], out.transforms)
    torch.testing.assert_close(moved, out.vertices[:, 10:20])
