"""People who reach into each other, moved apart limb by limb: all of a picture together, each limb as far as the fit of
its person leaves it unsure."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.raster import vertex_normals

REACH = 0.2
"""Metres from the nearest skin from which on that does not tell inside from outside."""
GAP = 0.01
"""Metres by which skin that was inside of somebody is to be outside: between vertices skin bulges."""
CONTACT_SIGMA = 0.003
"""Metres by which skin may stay inside of somebody."""
MOST = 160
"""Contacts in a round, the deepest; bounds the work."""
ROUNDS = 12
LONGEST = 0.15
"""Of any component of a step in a round: beyond that the contacts are others."""


class Contacts(NamedTuple):
    """m vertices of people that are inside of others."""

    person: Int64[Tensor, " m"]
    vertex: Int64[Tensor, " m"]
    other: Int64[Tensor, " m"]
    """Inside of whom it is."""
    skin: Int64[Tensor, " m"]
    """The nearest vertex of theirs."""
    normal: Float[Tensor, "m 3"]
    """The skin's, outwards."""
    depth: Float[Tensor, " m"]
    """Metres below the skin."""


class Parting:
    """Moves people out of each other. Who touches nobody stays as they are."""

    def __init__(self, body: BodyModel) -> None:
        """`body` has few vertices: each of one person is compared with each of another."""
        self.body = body

    def __call__(self, bodies: Bodies, covariance: Float[Tensor, "n p p"]) -> Bodies:
        """n people of one picture; `covariance` is that of a step of each.

        Round by round, a Kalman update by what is measured of the contacts: that nobody is inside of anybody. What the
        picture shows well is sure, so that limbs move where nobody saw them, mostly along the line of sight.
        """
        best, contacts = bodies, self.contacts(bodies)
        least = contacts.depth.sum()
        for _ in range(ROUNDS):
            if not len(contacts.depth):
                break
            bodies = self._moved(bodies, contacts, covariance)
            contacts = self.contacts(bodies)
            if contacts.depth.sum() < least:
                best, least = bodies, contacts.depth.sum()
        return best

    def _moved(self, bodies: Bodies, contacts: Contacts, covariance: Float[Tensor, "n p p"]) -> Bodies:
        """The update of those who touch somebody, no component of it longer than `LONGEST`."""
        rows = self._rows(bodies, contacts)
        carried = torch.einsum("mnp,npq->mnq", rows, covariance)
        noise = CONTACT_SIGMA**2 * torch.eye(len(rows)).to(rows)
        pull = torch.linalg.solve(carried.flatten(1) @ rows.flatten(1).T + noise, contacts.depth + GAP)
        step = torch.einsum("mnp,m->np", carried, pull)
        step = step * (LONGEST / step.abs().amax(1, keepdim=True).clamp_min(LONGEST))
        return bodies.chosen(bodies.moved(step), (rows != 0).any(2).any(0))

    def contacts(self, bodies: Bodies) -> Contacts:
        """Of n people, the deepest."""
        vertices = bodies.posed(self.body).vertices
        normals = vertex_normals(vertices, self.body.faces)
        low, high = vertices.amin(1), vertices.amax(1)
        near = ((low[:, None] < high) & (low < high[:, None])).all(-1)
        near.fill_diagonal_(False)
        found = [_inside(vertices, normals, low, high, *pair) for pair in near.nonzero().tolist()]
        nothing = torch.zeros(0, dtype=torch.int64)
        whole = Contacts(nothing, nothing, nothing, nothing, vertices[:0, 0], vertices[:0, 0, 0])
        whole = Contacts(*(torch.cat(values) for values in zip(whole, *found)))
        deepest = whole.depth.argsort(descending=True, stable=True)[:MOST]
        return Contacts(*(values[deepest] for values in whole))

    def _rows(self, bodies: Bodies, contacts: Contacts) -> Float[Tensor, "m n p"]:
        """How far a step of each person takes each vertex out."""
        count = len(contacts.depth)
        rows = contacts.depth.new_zeros(count, len(bodies.betas), bodies.freedoms)
        for who, vertex, sign in ((contacts.person, contacts.vertex, 1.0), (contacts.other, contacts.skin, -1.0)):
            for person in who.unique().tolist():
                mine = (who == person).nonzero()[:, 0]
                placed = place(Landmarks.vertices(self.body, vertex[mine]), bodies[person : person + 1])
                assert placed.jacobian is not None
                rows[mine, person] = sign * torch.einsum("mi,mip->mp", contacts.normal[mine], placed.jacobian[0])
        return rows


def _inside(
    vertices: Float[Tensor, "n v 3"],
    normals: Float[Tensor, "n v 3"],
    low: Float[Tensor, "n 3"],
    high: Float[Tensor, "n 3"],
    person: int,
    other: int,
) -> Contacts:
    """Vertices of one person inside of another: below the nearest skin."""
    mine = ((vertices[person] > low[other]) & (vertices[person] < high[other])).all(-1).nonzero()[:, 0]
    theirs = ((vertices[other] > low[person] - REACH) & (vertices[other] < high[person] + REACH)).all(-1)
    theirs = theirs.nonzero()[:, 0]
    if not len(mine) or not len(theirs):
        mine = theirs = mine[:0]
        skin, distance = mine, vertices[0, mine, 0]
    else:
        distance, nearest = torch.cdist(vertices[person, mine], vertices[other, theirs]).min(1)
        skin = theirs[nearest]
    normal = normals[other, skin]
    depth = ((vertices[other, skin] - vertices[person, mine]) * normal).sum(-1)
    inside = (depth > 0) & (distance < REACH)
    mine, skin, normal, depth = mine[inside], skin[inside], normal[inside], depth[inside]
    return Contacts(torch.full_like(mine, person), mine, torch.full_like(mine, other), skin, normal, depth)
