"""SMPLify with a silhouette and points of the surface (Lassner et al. 2017, "Unite the People: Closing the loop between
3D and 2D human representations", sections 3.1 and 4.3).

From SMPLify's body on, the silhouette is matched both ways, and points spread over the body's surface are
drawn to where the picture shows them. The paper trains a network for 91 such landmarks; here a map of surface
coordinates has them all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.errors import InputError
from nbf.known import Known
from nbf.proxy.proxy import Proxy
from nbf.solve import terms
from nbf.solve.fit import Fit, Solve
from nbf.solve.levenberg import Block
from nbf.solve.optimise import Calibration, Optimise
from nbf.solve.region import ROBUST, Matches, Region, region_blocks
from nbf.solve.smplify import STAGES, JointProblem, JointTerms, smplify
from nbf.solve.spheres import Spheres
from nbf.solve.surface import Surface

ROUNDS, STEPS = 2, 10
"""Searches, each with the outline matched anew, and the steps of one."""
LANDMARKS = 91
"""Points of the surface, as many as in the paper."""
LANDMARK_SIGMA = 0.02
"""Crop sides by which the picture's places of these are off."""
TOLERANCE = 0.06
"""Metres on the T-posed body within which a place of the map shows a landmark: less than limbs are thick, so that
the front of one is not taken for its back."""
SILHOUETTE = 1.5
"""Weight of the silhouette, both ways."""
# Metres on the T-posed body over which cells that show nearly the landmark have a say in where it is.
_BLUR = 0.02


def smplify_dense(body: BodyModel, drawn: BodyModel) -> Solve:
    """The solver, for proxies with joints and a silhouette, and better with surface coordinates.

    `drawn` is the same body with few vertices, which is drawn between the searches.
    """
    joints = JointTerms(Landmarks.keypoints(body, "coco17"), PosePrior.load(), Spheres.of(body), STAGES[-1])
    dense = DenseTerms(joints, Surface.spread(drawn), Surface.spread(drawn, LANDMARKS))
    solve = smplify(body)
    for _ in range(ROUNDS):
        solve = Optimise(body, solve, dense, steps=STEPS)
    return solve


class DenseTerms:
    """SMPLify's terms, the silhouette, and points of the surface."""

    # python tools/calibrate.py smplify-dense --people 100
    calibration = Calibration(joints=2.47, shape=1.17)

    def __init__(self, joints: JointTerms, surface: Surface, landmarks: Surface) -> None:
        """`surface` is laid into the silhouette, `landmarks` are found in the map of surface coordinates."""
        self.joints, self.surface, self.landmarks = joints, surface, landmarks

    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> "DenseProblem":
        """Raises InputError where nobody has looked for joints or a silhouette."""
        if proxy.silhouette is None:
            raise InputError(
                "proxy: expected silhouettes, to which this method fits bodies, got none; see them too, or use the "
                "method smplify"
            )
        joints, region = self.joints(proxy, known, fit), Region.of_silhouette(proxy.silhouette)
        matches = Matches.at(fit.bodies, self.surface, proxy.camera, region, loose=1.0)
        shown = None
        if proxy.surface is not None:
            low, high = self.landmarks.body.bounds.to(proxy.surface)
            wanted = self.landmarks.body.surface[self.landmarks.index].to(proxy.surface)
            shown = shown_at(proxy.surface, proxy.silhouette, wanted, high - low)
        return DenseProblem(self, joints, region, matches, shown)


@dataclass(frozen=True)
class DenseProblem:
    """The same for some people."""

    of: DenseTerms
    joints: JointProblem
    region: Region
    matches: Matches
    shown: Float[Tensor, "b m 3"] | None
    """Where the landmarks are: x, y in crop sides, and a weight."""

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        surface, landmarks, camera = self.of.surface.landmarks, self.of.landmarks.landmarks, self.joints.camera
        pixels = terms.project(place(surface + landmarks, state, jacobian), camera)
        blocks = self.joints.blocks(state, jacobian)
        blocks += region_blocks(pixels[: len(surface)], self.region, self.matches, SILHOUETTE, SILHOUETTE)
        if self.shown is not None:
            weights = self.shown[..., 2] / LANDMARK_SIGMA
            blocks.append(terms.points_2d(pixels[len(surface) :], self.shown[..., :2], weights, ROBUST))
        return blocks


def shown_at(
    surface: Float[Tensor, "b 3 h h"],
    silhouette: Float[Tensor, "b h h"],
    wanted: Float[Tensor, "m 3"],
    extent: Float[Tensor, "3"],
) -> Float[Tensor, "b m 3"]:
    """Where maps show places of the T-posed body: x, y in map sides, and 1; or zeros where they do not.

    A place is shown if a cell of the person is within `TOLERANCE` of it; then it lies where the cells about as near
    are, on average.

    Args:
        surface: canonical surface coordinates, 0..1.
        silhouette: probability of the person.
        wanted: surface coordinates of the places.
        extent: metres of the box that all these coordinates are measured in.
    """
    size = surface.shape[-1]
    cells = surface.flatten(2).mT * extent
    away = torch.cdist((wanted * extent).expand(len(cells), -1, -1), cells)
    away = away.masked_fill((silhouette <= 0.5).flatten(1)[:, None], torch.inf)
    least = away.amin(-1, keepdim=True)
    shown = least < TOLERANCE
    share = torch.where(shown, (least.square() - away.square()) / (2 * _BLUR**2), 0.0).softmax(-1)
    middle = (torch.arange(size).to(surface) + 0.5) / size
    places = share @ torch.stack(torch.meshgrid(middle, middle, indexing="xy"), -1).flatten(0, 1)
    return torch.cat([places, torch.ones_like(least)], -1) * shown
