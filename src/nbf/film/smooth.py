"""From fits of single frames to smooth motion, piece by piece: what comes in late waits, what goes out is final."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.film.contacts import contacts
from nbf.film.sighting import Sightings
from nbf.geometry import geodesic_angle
from nbf.solve.chain import REACH, Band, solve
from nbf.solve.steady import FEET, FREEDOMS, Past, Row, Steadiness, SteadyProblem

PIECE, LAG = 96, 32
"""Frames that are made final together, and how many are known after them, where nobody waits for them."""
_AROUND = 3
"""Frames before and after one among which its start is chosen."""


@dataclass(frozen=True)
class Piece:
    """Frames that are final."""

    bodies: Bodies
    contact: Bool[Tensor, "t 4"]
    """Which of `nbf.solve.steady.FEET` are on the ground."""


@dataclass(frozen=True)
class _Final:
    """The last frames that are final, which those to come are tied to, and what all before them say about them."""

    seen: list[Sightings | None]
    bodies: Bodies
    """Of these, and of the frames after them that were solved together with them."""
    contact: Bool[Tensor, "t 4"]
    past: Past | None


class Smoother:
    """Takes the fits of one person frame by frame, gives smooth bodies."""

    def __init__(
        self,
        body: BodyModel,
        rate: float,
        *,
        piece: int = PIECE,
        lag: int = LAG,
        weights: Steadiness = Steadiness(),  # noqa: B008  frozen
    ) -> None:
        """`rate`: frames a second. So many frames become final together (`piece`) once `lag` more are known: 1 and 0
        make a filter, which answers at once."""
        self.body, self.rate, self.piece, self.lag, self.weights = body, rate, piece, lag, weights
        # In float64, as the band's factors are.
        joints = Landmarks.keypoints(body, "smpl24")
        self.joints = Landmarks(*(value.double() for value in vars(joints).values()))
        soles = body.template[:, 1].amin()
        self.rest = (body.joint_template[list(FEET), 1] - soles).double()
        self._waiting: list[Sightings | None] = []
        self._before: _Final | None = None

    def push(self, seen: Sightings | None, betas: Float[Tensor, " s"]) -> "Piece | None":
        """The next frame, with nothing where the person was not found; what has become final by it, with this shape."""
        self._waiting.append(seen)
        if len(self._waiting) < self.piece + self.lag:
            return None
        return self._final(self.piece, betas)

    def finish(self, betas: Float[Tensor, " s"]) -> "Piece | None":
        """All that still waits."""
        return self._final(len(self._waiting), betas) if self._waiting else None

    @torch.no_grad()
    def _final(self, count: int, betas: Float[Tensor, " s"]) -> "Piece":
        before, betas = self._before, betas.double()
        seen = [*([] if before is None else before.seen), *self._waiting]
        done, frames = len(seen) - len(self._waiting), len(seen)
        problem, row = self._problem(seen, betas)
        row = solve(problem, row, frames, FREEDOMS)
        joints = place(problem.joints, row.bodies, jacobian=False).points
        contact = contacts(joints, self.rate, self.rest, None if before is None else before.contact[0])
        problem = replace(problem, contact=contact)
        if contact.any():
            row = solve(problem, row, frames, FREEDOMS)
        last = slice(max(done + count - REACH, 0), done + count)
        past = problem.past
        if last.start > 0:
            band = Band.of([link.before(last.start) for link in problem.links(row)], frames, FREEDOMS)
            past = Past(*band.remaining(last.start), row.bodies[last.start : last.start + REACH])
        self._before = _Final(seen[last], row.bodies[last.start :], contact[last], past)
        del self._waiting[:count]
        final = row.bodies[done : done + count].orthonormal()
        return Piece(Bodies(*(value.float() for value in vars(final).values())), contact[done : done + count])

    def _problem(self, seen: list[Sightings | None], betas: Float[Tensor, " s"]) -> tuple[SteadyProblem, Row]:
        """Of these frames, and where to start."""
        size = FREEDOMS + len(betas)
        nowhere = Bodies(betas[None], torch.eye(3).expand(1, 24, 3, 3).double(), torch.tensor([[0.0, 0, 1]]).double())
        nothing = torch.zeros(1, size, size).double()
        fits = joined([nowhere if each is None else doubled(each.bodies) for each in seen])
        root = torch.cat([nothing if each is None else each.root.double() for each in seen])
        known, start, before = torch.tensor([each is not None for each in seen]), fits, self._before
        if before is not None:
            solved = len(before.bodies.betas)
            known[:solved], start = True, joined([before.bodies, fits[solved:]])
        start = likely(start, known)
        if before is not None:
            start = joined([before.bodies, start[solved:]])
        start = Bodies(betas.expand(len(seen), -1), start.rotations, start.pelvis)
        contact = torch.zeros(len(seen), len(FEET), dtype=torch.bool)
        past = None if before is None else before.past
        return SteadyProblem(self.joints, fits, root, self.rate, self.weights, contact, past), Row(start)


def likely(fits: Bodies, known: Bool[Tensor, " t"]) -> Bodies:
    """Each frame's most typical neighbour among those known, joint by joint, so that none starts from a fit that is
    alone in what it says."""
    frames = known.nonzero()[:, 0]
    rotations, pelvis = fits.rotations[frames], fits.pelvis[frames]
    turns, places = [], []
    for t in range(len(known)):
        # The known frames nearest to this one.
        here = int(torch.searchsorted(frames, t))
        near = slice(max(here - _AROUND, 0), here + _AROUND + 1)
        some = rotations[near]
        apart = geodesic_angle(*torch.broadcast_tensors(some[:, None], some[None])).sum(0)
        turns.append(some[apart.argmin(0), torch.arange(24)])
        seen = torch.cat([pelvis[near, :2] / pelvis[near, 2:], pelvis[near, 2:].log()], 1).median(0).values
        places.append(torch.cat([seen[:2], torch.ones(1).to(seen)]) * seen[2].exp())
    return Bodies(fits.betas, torch.stack(turns), torch.stack(places))


def smoothed(
    smoother: Smoother, seen: Iterable[Sightings | None], betas: Callable[[Sightings | None], Float[Tensor, " s"]]
) -> Iterator[Piece]:
    """A person's frames from first to last, in pieces. `betas` says which shape is known with each next frame."""
    shape = None
    for each in seen:
        shape = betas(each)
        if (final := smoother.push(each, shape)) is not None:
            yield final
    if shape is not None and (final := smoother.finish(shape)) is not None:
        yield final


def doubled(bodies: Bodies) -> Bodies:
    """In float64."""
    return Bodies(*(value.double() for value in vars(bodies).values()))


def joined(several: list[Bodies]) -> Bodies:
    """All of them, in this order."""
    return Bodies(*(torch.cat([getattr(each, name) for each in several]) for name in ("betas", "rotations", "pelvis")))
