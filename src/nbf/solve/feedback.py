"""Feedback between estimate and observation, which a regressor lacks: what it answers is never compared with what was
seen (Omran et al. 2018 regress once; their talk names it as the weakness of learning).

Here the regressed body is drawn as a part map, the drawing is compared with the part map that was seen, and the body is
corrected by the difference, two or three times over. Nothing is trained: the body model itself says how its drawing
changes, by the Jacobians of the points of its surface (analysis by synthesis, with Gauss-Newton steps).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import place
from nbf.body.model import BodyModel
from nbf.body.parts import merge_probabilities
from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.known import NOTHING, Known
from nbf.proxy.proxy import Proxy, told_joints
from nbf.solve import terms
from nbf.solve.doubted import Doubted, DoubtedProblem
from nbf.solve.fit import Fit, Solve
from nbf.solve.levenberg import Block
from nbf.solve.maps import MERGED
from nbf.solve.optimise import Calibration, Optimise
from nbf.solve.region import Matches, Region, drawn_parts, region_blocks
from nbf.solve.surface import Surface

ROUNDS, STEPS = 3, 4
"""Drawings that are compared, and the steps of one correction."""
INSIDE, OUTLINE = 0.5, 0.5
"""Weights of the two kinds of difference: surface outside of where its part was seen, and outlines apart."""
LOOSE = 0.4
"""Weight of the outline where the body lies within it, as under clothes."""


class Feedback:
    """Bodies of a regressor, corrected by what their drawings and the part maps that were seen differ by.

    A person's correction counts only if the drawing then agrees better; so who agrees already stays as they are.
    """

    def __init__(self, start: Solve, doubted: Doubted, drawn: BodyModel) -> None:
        """`doubted` says in which directions the start may be how far off; `drawn` is its body with few vertices."""
        self.start, self.drawn = start, drawn
        self.correct = Optimise(doubted.body, start, DifferenceTerms(doubted, Surface.spread(drawn)), steps=STEPS)

    @torch.no_grad()
    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        """Raises InputError where nobody has looked for parts."""
        parts = parts_of(proxy)
        fit = self.start(proxy, known)
        agreed = agreement(self.drawn, fit.bodies, proxy.camera, parts)
        # What somebody knows counts, whether the drawing likes it or not.
        told = bool(known) or told_joints(proxy)
        for _ in range(ROUNDS):
            tried = self.correct.improve(proxy, known, fit)
            now = agreement(self.drawn, tried.bodies, proxy.camera, parts)
            better = (now > agreed) | told
            fit = replace(tried, bodies=fit.bodies.chosen(tried.bodies, better))
            agreed = torch.where(better, now, agreed)
        return fit


class DifferenceTerms:
    """The difference between a body's drawing and the part map, and the regressor's estimate as far as it is sure."""

    # python tools/calibrate.py feedback --people 100
    calibration = Calibration(joints=0.77, shape=0.68)

    def __init__(self, doubted: Doubted, surface: Surface) -> None:
        self.doubted, self.surface = doubted, surface

    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> "DifferenceProblem":
        first = fit if fit.start is None else replace(fit, bodies=fit.start)
        held = self.doubted(proxy, known, first)
        # Of the picture it is the part map that speaks here, not the joints.
        held = replace(held, estimate=replace(held.estimate, noise_root=0 * held.estimate.noise_root))
        region = Region.of_parts(parts_of(proxy))
        return DifferenceProblem(
            held, self.surface, region, Matches.at(fit.bodies, self.surface, proxy.camera, region, LOOSE)
        )


@dataclass(frozen=True)
class DifferenceProblem:
    """The same for some people."""

    held: DoubtedProblem
    surface: Surface
    region: Region
    matches: Matches

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        pixels = terms.project(place(self.surface.landmarks, state, jacobian), self.held.estimate.camera)
        return [
            *self.held.blocks(state, jacobian),
            *region_blocks(pixels, self.region, self.matches, INSIDE, OUTLINE),
        ]


def parts_of(proxy: Proxy) -> Float[Tensor, "n 25 m m"]:
    """The part maps of a proxy. Raises InputError where there are none."""
    if proxy.parts is None:
        raise InputError("proxy: expected part maps, to compare bodies with, got none; use a method that sees parts")
    return proxy.parts


def agreement(
    drawn: BodyModel, bodies: Bodies, camera: Camera, parts: Float[Tensor, "n 25 m m"]
) -> Float[Tensor, " n"]:
    """Share of the cells with a person, in the drawing or in the part map, on which both have the same merged part."""
    shown = drawn_parts(drawn, bodies, camera, parts.shape[-1])
    here, there = (merge_probabilities(maps, MERGED).argmax(1) for maps in (shown, parts))
    person = (here > 0) | (there > 0)
    return ((here == there) & person).sum((1, 2)) / person.sum((1, 2)).clamp_min(1)
