"""Distance fields and outlines of part maps."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from nbf.body.parts import NAMES
from nbf.solve.maps import PERSON, Fields, Outline, distance_to

SIDE = 32
TORSO = NAMES[14].index("torso")


def disc(radius: float = 9.0, label: int = 13) -> torch.Tensor:
    """Probabilities of a disc of one part in the middle of the map."""
    axis = torch.arange(SIDE) + 0.5 - SIDE / 2
    inside = (axis[:, None] ** 2 + axis[None] ** 2).sqrt() <= radius
    labels = torch.where(inside, label, 0)
    return torch.nn.functional.one_hot(labels, 25).movedim(-1, 0).float()[None]


def nothing() -> torch.Tensor:
    return torch.zeros(1, SIDE, SIDE, dtype=torch.bool)


def test_distance_is_that_of_scipy() -> None:
    region = torch.rand(4, 20, 27, generator=torch.Generator().manual_seed(0)) < 0.02
    region[:, 3, 5] = True
    expected = np.stack([np.asarray(distance_transform_edt(~each.numpy())) for each in region])
    np.testing.assert_allclose(distance_to(region).numpy(), expected, rtol=1e-6)


def test_field_is_zero_inside_and_grows_outwards() -> None:
    fields = Fields.of_parts(disc(), nothing())
    points = torch.tensor([[[0.5, 0.5], [0.5, 0.5 + 12 / SIDE]]])
    distance, gradient = fields.read(points, torch.tensor([[TORSO, TORSO]]))
    assert float(distance[0, 0]) == 0
    assert abs(float(distance[0, 1]) * SIDE - 3) < 0.6
    assert float(gradient[0, 1, 1]) > 0.8


def test_part_seen_nowhere_may_be_anywhere_on_the_person() -> None:
    fields = Fields.of_parts(disc(), nothing())
    torch.testing.assert_close(fields.distance[:, 3], fields.distance[:, PERSON])


def test_unsure_cells_cost_nothing() -> None:
    unsure = nothing()
    unsure[:, :4] = True
    assert (Fields.of_parts(disc(), unsure).distance[:, :, :4] == 0).all()


def test_outline_of_a_disc_is_its_circle() -> None:
    outline = Outline.of_parts(disc(), nothing(), 24)
    from_middle = (outline.points - 0.5) * SIDE
    assert (outline.weight == 1).all()
    assert float((from_middle.norm(dim=-1) - 9).abs().max()) < 1.0
    outwards = torch.nn.functional.normalize(from_middle, dim=-1)
    assert float((outwards * outline.normals).sum(-1).min()) > 0.9
    assert (outline.part == TORSO).all()


def test_nobody_has_no_outline() -> None:
    assert (Outline.of_parts(disc(radius=-1.0), nothing(), 24).weight == 0).all()
