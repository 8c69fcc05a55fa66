"""The bundled bodies: what their files promise."""

import pytest
import torch
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.joints import COCO17, LSP14, SMPL24
from nbf.body.measure import height, mass, volume
from nbf.body.model import BodyModel
from nbf.errors import InputError


@pytest.fixture(scope="module", params=["full", "small"])
def body(request: pytest.FixtureRequest) -> BodyModel:
    return load_body("anny24", request.param)


def test_shapes(body: BodyModel):
    v, f = len(body.template), len(body.faces)
    assert body.shape_dirs.shape == (v, 3, body.shape_count)
    assert body.skin_joints.shape == body.skin_weights.shape == (v, 4)
    assert body.faces_uv.shape == (f, 3)
    assert body.faces.max() == v - 1
    assert body.faces_uv.max() == len(body.uv) - 1
    assert body.face_parts.shape == (f,)
    assert body.shape_samples.shape == (4096, body.shape_count)


def test_values_are_in_range(body: BodyModel):
    torch.testing.assert_close(body.skin_weights.sum(1), torch.ones(len(body.template)))
    assert 0 <= body.uv.min() <= body.uv.max() <= 1
    assert 0 <= body.surface.min() <= body.surface.max() <= 1
    torch.testing.assert_close(body.shape_samples.std(0), torch.ones(body.shape_count), atol=0.01, rtol=0)


def test_pelvis_is_the_origin_of_every_shape(body: BodyModel):
    assert body.rest_joints(body.shape_samples[:50])[:, 0].abs().max() < 1e-6


def test_stands_in_smpls_tpose(body: BodyModel):
    joints: dict[str, Tensor] = dict(zip(SMPL24, body.joint_template))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = joints[f"{side}_wrist"] - joints[f"{side}_shoulder"]
        torch.testing.assert_close(arm / arm.norm(), torch.tensor([sign, 0.0, 0.0]), atol=0.02, rtol=0)
        leg = joints[f"{side}_ankle"] - joints[f"{side}_hip"]
        assert leg[1] / leg.norm() < -0.99
        assert joints[f"{side}_foot"][2] > joints[f"{side}_ankle"][2] + 0.1
    assert joints["head"][1] > joints["neck"][1] > joints["spine3"][1] > joints["pelvis"][1]


def test_keypoints_sit_where_their_names_say(body: BodyModel):
    out = body(torch.zeros(body.shape_count), torch.eye(3).expand(24, 3, 3), torch.zeros(3))
    coco: dict[str, Tensor] = dict(zip(COCO17, body.keypoints(out, "coco17")))
    lsp: dict[str, Tensor] = dict(zip(LSP14, body.keypoints(out, "lsp14")))
    smpl: dict[str, Tensor] = dict(zip(SMPL24, body.keypoints(out, "smpl24")))
    assert coco["nose"][2] > coco["left_eye"][2] > coco["left_ear"][2]
    assert coco["left_ear"][0] > coco["left_eye"][0] > 0 > coco["right_eye"][0]
    assert lsp["head_top"][1] > out.vertices[:, 1].max() - 0.03
    assert (lsp["neck"] - smpl["neck"]).norm() < 0.02
    for name in ("left_knee", "right_elbow", "left_wrist", "right_ankle"):
        assert (coco[name] - smpl[name]).norm() < 0.05
        torch.testing.assert_close(coco[name], lsp[name], atol=0.005, rtol=0)


def test_unknown_keypoints_and_wrong_shape_are_refused(body: BodyModel):
    still = torch.eye(3).expand(24, 3, 3)
    out = body(torch.zeros(body.shape_count), still, torch.zeros(3))
    with pytest.raises(InputError, match="smpl24, coco17 or lsp14"):
        body.keypoints(out, "coco")
    with pytest.raises(InputError, match=f"expected {body.shape_count} shape components"):
        body(torch.zeros(3), still, torch.zeros(3))


def test_height_and_mass_match_the_table_of_samples(body: BodyModel):
    """`shape_info` was measured on Anny's own bodies at full detail."""
    some = slice(0, 200)
    bodies = body.rest_vertices(body.shape_samples[some])
    _, _, tall, heavy = body.shape_info[some].unbind(1)
    assert (height(bodies) - tall).abs().mean() < 0.01
    assert ((mass(bodies, body.faces) - heavy).abs() / heavy).mean() < 0.05


def test_people_are_of_human_size(body: BodyModel):
    age, gender, tall, heavy = body.shape_info.unbind(1)
    men, women = (age > 20) & (age < 60) & (gender < 0.5), (age > 20) & (age < 60) & (gender > 0.5)
    assert 1.70 < tall[men].mean() < 1.82
    assert 1.58 < tall[women].mean() < 1.70
    assert 55 < heavy[women].mean() < heavy[men].mean() < 85
    assert tall[age < 1].mean() < 0.75


def test_measures_of_a_box():
    """A 2 x 3 x 5 m box that stands away from the origin."""
    corners = torch.cartesian_prod(*(torch.tensor([0.0, side]) for side in (2.0, 3.0, 5.0))).double() + 7
    box = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = torch.tensor([[q[0], q[i], q[i + 1]] for q in box for i in (1, 2)])
    assert volume(corners, faces).item() == pytest.approx(30.0)
    assert height(corners).item() == pytest.approx(3.0)
    assert mass(corners, faces).item() == pytest.approx(980 * 30.0)
    assert torch.autograd.gradcheck(lambda x: volume(x, faces), corners.requires_grad_())


def test_faces_wind_outward(body: BodyModel):
    assert volume(body.template, body.faces) > 0.03
    edges = body.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(edges.unique(dim=0)) == len(edges), "two faces run along an edge in the same direction"


def test_small_body_is_closed():
    faces = load_body("anny24", "small").faces
    edges = {tuple(e) for e in faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()}
    assert all((b, a) in edges for a, b in edges)
