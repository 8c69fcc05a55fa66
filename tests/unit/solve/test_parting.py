"""People who reach into each other, moved apart: laws on bodies whose arms were put into each other."""

import pytest
import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.joints import SMPL24
from nbf.geometry import matrix_from_axis_angle
from nbf.raster.solid import shared_volume
from nbf.solve.parting import Parting

BODY = load_body("anny24", "small")
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@pytest.fixture(scope="module")
def parting() -> Parting:
    return Parting(BODY)


def row(*places: tuple[float, float]) -> Bodies:
    """People side by side with their arms spread, at these x and z in metres."""
    rotations = torch.eye(3).expand(len(places), 24, 3, 3).clone()
    rotations[:, 0] = FLIP
    pelvis = torch.tensor([[x, 0.0, z] for x, z in places])
    return Bodies(torch.zeros(len(places), BODY.shape_count), rotations, pelvis)


def spread(bodies: Bodies) -> Tensor:
    """Of a step: joints turn by 0.2, places and shapes are sure."""
    sigma = torch.full((bodies.freedoms,), 1e-3)
    sigma[3:72] = 0.2
    sigma[74] = 0.02
    return torch.diag(sigma**2).expand(len(bodies.betas), -1, -1)


def litres(bodies: Bodies) -> float:
    vertices = bodies.posed(BODY).vertices
    pairs = torch.combinations(torch.arange(len(vertices)))
    return sum(1000 * float(shared_volume(vertices[one], vertices[other], BODY.faces)) for one, other in pairs)


REACHING = row((-0.65, 4.0), (0.65, 4.05), (3.0, 4.0))


def test_arms_leave_each_other_and_nothing_else_moves(parting: Parting) -> None:
    found = parting(REACHING, spread(REACHING))
    assert litres(REACHING) > 0.05
    assert litres(found) < 0.1 * litres(REACHING)
    moved = (found.posed(BODY).joints - REACHING.posed(BODY).joints).norm(dim=-1)
    legs = [SMPL24.index(f"{side}_{name}") for side in ("left", "right") for name in ("hip", "knee", "ankle")]
    assert moved[:, legs].max() < 0.03
    assert 0.01 < moved.max() < 0.25


def test_who_touches_nobody_stays_bit_for_bit(parting: Parting) -> None:
    found = parting(REACHING, spread(REACHING))
    assert not torch.equal(found.rotations[:2], REACHING.rotations[:2])
    for name in ("betas", "rotations", "pelvis"):
        assert torch.equal(getattr(found, name)[2], getattr(REACHING, name)[2])
    alone = REACHING[2:]
    assert parting(alone, spread(alone)) is alone


def test_order_of_people_does_not_matter(parting: Parting) -> None:
    shuffle = torch.tensor([2, 1, 0])
    one, other = parting(REACHING, spread(REACHING)), parting(REACHING[shuffle], spread(REACHING))
    torch.testing.assert_close(other.rotations, one.rotations[shuffle], atol=1e-2, rtol=0)


def test_who_is_sure_stays_and_the_other_makes_room(parting: Parting) -> None:
    covariance = spread(REACHING).clone()
    covariance[0] *= 1e-4
    found = parting(REACHING, covariance)
    moved = (found.posed(BODY).joints - REACHING.posed(BODY).joints).norm(dim=-1).amax(1)
    assert moved[0] < 0.1 * moved[1]


def test_inside_is_as_deep_as_it_is(parting: Parting) -> None:
    """Of somebody pushed a centimetre into a twin who stands back to back, and turned round with them."""
    turned = matrix_from_axis_angle(torch.tensor([0.0, torch.pi, 0.0]))
    twins = row((0.0, 4.0), (0.0, 4.0))
    twins.rotations[1, 0] = turned @ FLIP
    vertices = twins.posed(BODY).vertices
    apart = float(vertices[0, :, 2].max() - vertices[1, :, 2].min())
    for gap, touching in ((0.01, False), (-0.02, True)):
        pelvis = twins.pelvis + torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, apart + gap]])
        contacts = parting.contacts(Bodies(twins.betas, twins.rotations, pelvis))
        assert bool(len(contacts.depth)) == touching
    assert contacts.depth.max() < 0.021
