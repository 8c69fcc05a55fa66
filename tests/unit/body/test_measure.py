"""Measurements of bodies whose measures are known, of people, and of what cannot be measured."""

import math

import pytest
import torch
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.joints import SMPL24
from nbf.body.measure import DENSITY, MEASUREMENTS, girth, measurement_jacobian, measurements
from nbf.body.model import BodyData, BodyModel
from nbf.body.parts import PARTS24
from nbf.errors import InputError

# Semi-axes of the toy's torso and its corners; it reaches from y = -0.2 to 0.7.
A, B, CORNERS = 0.2, 0.12, 400


def prism(outline: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """A column that stands on an outline (n, 2) of x and z, counter-clockwise seen from above (z towards x)."""
    n = len(outline)
    rings = [torch.stack([outline[:, 0], torch.full((n,), y).double(), outline[:, 1]], 1) for y in (low, high)]
    middles = torch.stack([ring.mean(0) for ring in rings])
    i, j = torch.arange(n), torch.arange(n).roll(-1)
    bottom, top = torch.full((n,), 2 * n), torch.full((n,), 2 * n + 1)
    sides = [[i, i + n, j], [j, i + n, j + n], [i, j, bottom], [j + n, i + n, top]]
    return torch.cat([*rings, middles]), torch.cat([torch.stack(side, 1) for side in sides])


def ellipse(a: float, b: float, x: float, corners: int = CORNERS) -> Tensor:
    angles = torch.arange(corners).double() * 2 * math.pi / corners
    return torch.stack([x + a * angles.cos(), b * angles.sin()], 1)


def toy(torso: str = "torso_front") -> BodyModel:
    """An elliptic column for a torso, two for legs and one across it for arms, of 1.7 m; betas: size, width of all."""
    columns = [
        (torso, prism(ellipse(A, B, 0.0), -0.2, 0.7)),
        ("left_upper_leg_front", prism(ellipse(0.06, 0.06, 0.1), -0.9, -0.1)),
        ("right_upper_leg_front", prism(ellipse(0.06, 0.06, -0.1), -0.9, -0.1)),
        ("left_upper_arm_front", prism(ellipse(0.8, 0.04, 0.0), 0.1, 0.8)),
    ]
    vertices, faces, parts = [], [], []
    for part, (points, triangles) in columns:
        faces.append(triangles + sum(len(v) for v in vertices))
        vertices.append(points)
        parts.append(torch.full((len(triangles),), PARTS24.index(part)))
    template = torch.cat(vertices)
    joints = torch.zeros(24, 3).double()
    places = {"hip": (0.1, 0.0), "shoulder": (0.2, 0.5), "elbow": (0.5, 0.5), "wrist": (0.5, 0.3)}
    for name, (x, y) in places.items():
        joints[SMPL24.index(f"left_{name}")] = torch.tensor([x, y, 0.0])
        joints[SMPL24.index(f"right_{name}")] = torch.tensor([-x, y, 0.0])
    wide = torch.tensor([1.0, 0.0, 0.0]).double()
    v = len(template)
    return BodyModel(
        BodyData(
            template=template,
            shape_dirs=torch.stack([template, template * wide], 2),
            joint_template=joints,
            joint_dirs=torch.stack([joints, joints * wide], 2),
            skin_joints=torch.zeros(v, 1).long(),
            skin_weights=torch.ones(v, 1).double(),
            faces=torch.cat(faces),
            uv=torch.zeros(1, 2).double(),
            faces_uv=torch.zeros_like(torch.cat(faces)),
            face_parts=torch.cat(parts),
            bounds=torch.stack([template.amin(0), template.amax(0)]),
            keypoint_vertices=torch.zeros(31, 1).long(),
            keypoint_weights=torch.ones(31, 1).double(),
            shape_samples=torch.zeros(1, 2).double(),
            shape_info=torch.full((1, 4), torch.nan).double(),
        )
    )


def test_toy_measures_what_it_is():
    values = dict(zip(MEASUREMENTS, measurements(toy(), torch.zeros(2).double()).tolist()))
    # Ramanujan's second formula (1914) for the perimeter of an ellipse; it is off by 1e-9 here.
    h = ((A - B) / (A + B)) ** 2
    around = math.pi * (A + B) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))
    for name in ("chest_m", "waist_m", "hip_m"):
        assert values[name] == pytest.approx(around, rel=1e-4)
    litres = math.pi * (A * B * 0.9 + 2 * 0.06**2 * 0.8 + 0.8 * 0.04 * 0.7)
    assert values["mass_kg"] == pytest.approx(DENSITY * litres, rel=1e-3)
    assert values["height_m"] == pytest.approx(1.7)
    assert values["leg_m"] == pytest.approx(0.7)
    assert values["arm_m"] == pytest.approx(0.3 + 0.2)


def test_toy_slopes():
    """Size: a length grows by itself, mass by three times itself. Width: one axis of the ellipse."""
    values, slopes = measurement_jacobian(toy(), torch.zeros(2).double())
    powers = torch.tensor([3.0 if name == "mass_kg" else 1.0 for name in MEASUREMENTS]).double()
    torch.testing.assert_close(slopes[:, 0], powers * values)
    width = dict(zip(MEASUREMENTS, slopes[:, 1].tolist()))
    assert width["height_m"] == width["leg_m"] == pytest.approx(0.0, abs=1e-12)
    assert width["mass_kg"] == pytest.approx(values[1].item())
    angles = torch.arange(10_000).double() * 2 * math.pi / 10_000
    sines, cosines = A * angles.sin(), B * angles.cos()
    expected = (sines**2 / (sines**2 + cosines**2).sqrt()).mean().item() * 2 * math.pi
    assert width["chest_m"] == pytest.approx(expected, rel=1e-3)


def test_tape_spans_hollows_and_gaps():
    """An L-shaped column measures as its hull, and two columns as one."""
    corner = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 2.0]]).double()
    vertices, faces = prism(corner, 0.0, 1.0)
    assert girth(vertices, faces, torch.tensor(0.4).double()).item() == pytest.approx(6 + math.sqrt(2), rel=1e-4)
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).double()
    (one, faces), (two, _) = prism(square, 0.0, 1.0), prism(square + 3, 0.0, 1.0)
    both = torch.cat([faces, faces + len(one)])
    measured = girth(torch.cat([one, two]), both, torch.tensor(0.4).double())
    assert measured.item() == pytest.approx(4 + 6 * math.sqrt(2), rel=1e-4)


def test_what_is_not_there_measures_nan():
    values, slopes = measurement_jacobian(toy("left_face"), torch.zeros(2).double())
    known = [name in ("height_m", "mass_kg", "arm_m") for name in MEASUREMENTS]
    assert values.isfinite().tolist() == known
    assert slopes[known].isfinite().all()
    assert slopes[[not k for k in known]].isnan().any(1).all()


def test_no_people_and_wrong_shapes():
    body = toy()
    assert measurements(body, torch.zeros(0, 2).double()).shape == (0, 7)
    values, slopes = measurement_jacobian(body, torch.zeros(3, 0, 2).double())
    assert values.shape == (3, 0, 7)
    assert slopes.shape == (3, 0, 7, 2)
    for measure in (measurements, measurement_jacobian):
        with pytest.raises(InputError, match="expected 2 shape components"):
            measure(body, torch.zeros(3).double())


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_jacobian_where_gradients_are_off(off: type):
    body = toy()
    expected = measurement_jacobian(body, torch.zeros(2).double())
    with off():
        given = measurement_jacobian(body, torch.zeros(2).double())
    for a, b in zip(expected, given):
        torch.testing.assert_close(a, b)
        assert not b.requires_grad


@pytest.fixture(scope="module", params=["full", "small"])
def anny(request: pytest.FixtureRequest) -> BodyModel:
    return load_body("anny24", request.param)


def test_people_measure_as_people_do(anny: BodyModel):
    """Means of adults (of 23 kg/m2 on average), children, and who is heavy for their height."""
    chosen = torch.arange(0, len(anny.shape_samples), 19)
    age, gender, tall, heavy = anny.shape_info[chosen].unbind(1)
    m = dict(zip(MEASUREMENTS, measurements(anny, anny.shape_samples[chosen]).unbind(1)))
    assert (m["height_m"] - tall).abs().max() < 0.01
    assert ((m["mass_kg"] - heavy) / heavy).abs().mean() < 0.05
    men, women, adults = (age > 20) & (age < 60) & (gender < 0.5), (age > 20) & (age < 60) & (gender > 0.5), age > 20
    for sex, chest, waist, hip in ((men, 0.98, 0.81, 0.97), (women, 0.94, 0.80, 1.00)):
        assert m["chest_m"][sex].mean().item() == pytest.approx(chest, abs=0.05)
        assert m["waist_m"][sex].mean().item() == pytest.approx(waist, abs=0.05)
        assert m["hip_m"][sex].mean().item() == pytest.approx(hip, abs=0.05)
        # 0.48 in ANSUR II (Gordon et al., 2014).
        assert (m["leg_m"] / m["height_m"])[sex].mean().item() == pytest.approx(0.475, abs=0.015)
    assert (m["waist_m"] / m["hip_m"])[men].mean() > (m["waist_m"] / m["hip_m"])[women].mean()
    index = m["mass_kg"] / m["height_m"] ** 2
    for name in ("chest_m", "waist_m", "hip_m"):
        stacked = torch.stack([index[adults], (m[name] / m["height_m"])[adults]])
        assert torch.corrcoef(stacked)[0, 1] > 0.8
        assert m[name][(age > 4) & (age < 8)].mean() < 0.75 * m[name][adults].mean()
        assert m[name][age < 2].mean() < 0.6 * m[name][adults].mean()
