"""Bodies of other models, and joints in space, as bodies of ours."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from packs import small
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.joints import LIMB_JOINTS
from nbf.body.model import BodyData, BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.solve.convert import Conversion
from nbf.solve.joints_3d import NAMES, FromJoints

COUNT = 6


@cache
def other() -> BodyModel:
    """A model of another build: half as many shapes that mix ours, other vertices left out, poses that bulge."""
    full, g = load_body("anny24", "full"), torch.Generator().manual_seed(0)
    data = BodyData(**{name: getattr(full, name) for name in BodyData.__dataclass_fields__})
    mix = torch.linalg.qr(torch.randn(11, 6, generator=g))[0]
    bulge = 0.002 * torch.randn(3, 207, generator=g)
    return BodyModel(
        replace(
            data,
            template=data.template * torch.tensor([1.02, 1.0, 0.97]),
            shape_dirs=data.shape_dirs @ mix,
            joint_template=data.joint_template * torch.tensor([1.02, 1.0, 0.97]),
            joint_dirs=data.joint_dirs @ mix,
            shape_samples=data.shape_samples @ mix,
            pose_dirs=bulge.expand(len(data.template), 3, 207) * data.skin_weights.amax(1)[:, None, None],
        )
    )


def people(body: BodyModel, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    rotations = PosePrior.load().sample(COUNT, g)
    turn = torch.linalg.qr(torch.randn(COUNT, 3, 3, generator=g))[0]
    rotations[:, 0] = turn * torch.linalg.det(turn)[:, None, None]
    return torch.randn(COUNT, body.shape_count, generator=g), rotations, 3 * torch.randn(COUNT, 3, generator=g)


@cache
def conversion() -> Conversion:
    return Conversion(other(), small())


def test_most_of_the_surface_is_mapped_and_close() -> None:
    found = conversion().map
    assert len(found.vertex) > 0.9 * len(small().template)
    torch.testing.assert_close(found.weights.sum(1), torch.ones(len(found.vertex)))
    assert (found.weights >= 0).all()


def test_a_converted_body_looks_the_same() -> None:
    """Anywhere and turned anyhow; what is left is what the error says."""
    labels = people(other())
    *found, left = conversion()(*labels)
    posed, true = small()(*found), other()(*labels)
    mapped = conversion().map
    apart = (posed.vertices[:, mapped.vertex] - mapped.points(true.vertices)).norm(dim=-1).mean(1)
    torch.testing.assert_close(apart, left, atol=1e-4, rtol=0)
    assert left.max() < 0.006
    assert (posed.joints - true.joints).norm(dim=-1).mean() < 0.012


def test_a_model_converts_to_itself() -> None:
    *found, left = Conversion(small(), small())(*people(small()))
    assert left.max() < 0.001
    torch.testing.assert_close(found[2], people(small())[2], atol=0.003, rtol=0)


def joints() -> tuple[Tensor, Tensor]:
    """Of people with poses that are likely: NAMES and vertices."""
    betas, rotations, translation = people(small(), 3)
    posed = small()(0.5 * betas, rotations, translation)
    face, crown = small().keypoints(posed, "coco17")[:, :5], small().keypoints(posed, "lsp14")[:, 13:]
    return torch.cat([posed.joints, crown, face], 1), posed.vertices


@pytest.mark.parametrize(("labelled", "most"), [(LIMB_JOINTS, 0.08), ((*LIMB_JOINTS, "head_top"), 0.06), (NAMES, 0.03)])
def test_joints_become_a_body(labelled: tuple[str, ...], most: float) -> None:
    """The more is labelled, the nearer the whole body is; other places and headings make no difference."""
    true, vertices = joints()
    weights = torch.tensor([float(name in labelled) for name in NAMES]).expand(COUNT, -1)
    garbage = torch.where(weights[..., None] > 0, true, 1e3)
    *found, left = FromJoints(small())(garbage, weights)
    assert left.mean() < 0.02
    assert (small()(*found).vertices - vertices).norm(dim=-1).mean() < most
