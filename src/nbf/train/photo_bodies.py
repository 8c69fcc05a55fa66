"""Bodies for the labelled people of the real photos: 2D keypoints and part maps -> shape, pose and place.

The networks give the start. People in the photos mostly stand before a camera that looks a little down, and the 2D
evidence says little about depth, so a prior of everyday poses and of standing upright decides there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from nbf.body.anatomy import angles_from_rotations
from nbf.body.bodies import Bodies
from nbf.body.joints import COCO17
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.parts import merge_labels
from nbf.body.pose_prior import PosePrior
from nbf.data.fits import RealFits
from nbf.data.pack import Photos
from nbf.errors import DataError
from nbf.geometry import Camera, Crop, axis_angle_from_matrix, matrix_from_axis_angle
from nbf.geometry.window import clip, pixel_grid
from nbf.nets.mean_body import UPRIGHT
from nbf.proxy.proxy import Crops
from nbf.raster import rasterize
from nbf.solve.evidence_problem import BodyProblem, Evidence
from nbf.solve.fit import Method
from nbf.solve.levenberg import cost, solve
from nbf.solve.maps import MERGED
from nbf.solve.surface import Surface
from nbf.synth.background import BANK_SIDE, Backgrounds
from nbf.synth.poses import PoseLibrary
from nbf.train.photo_crops import RESOLUTION, RealCrops

MAP = 64
"""Side of the part maps in cells."""
PITCH = math.radians(4)
"""How far the photographers' cameras look down: held at the height of the eyes, with the person in the middle."""
_ROUNDS, _STEPS = 4, 6  # searches, with visibility and matches of the outline found anew before each
_FIRST_STEPS = 8  # of the search that compares starts
_BAD = 20.0  # cost after that search from which other starts are tried: of about one person in five
_BATCH = 64  # people at a time
# What a fit must reach to be kept: keypoints (shares, crop sides, number), overlap with the mask, same merged part.
_LEAST_PCK, _WORST, _LEAST_TRUSTED = 0.9, 0.08, 9
_LEAST_IOU, _LEAST_PARTS = 0.65, 0.65
_TOUCHING = 3.0  # pixels between box and border of the photo, below which the border may cut the person off
_SHOULDER, _HIP = COCO17.index("left_shoulder"), COCO17.index("right_hip")
# Everyday poses: hips and knees bent by less than this (radians), trunk upright; one in so many others beside them.
_STRAIGHT, _OTHERS = 0.6, 6
_ARMS = [13, 14, *range(16, 24)]  # collars to hands
_DRAWN, _COMPONENTS = 30000, 8
# What the labels call a joint, as pulls of the body's own keypoint towards another one. Medians over 1,706 people of
# the train pack who are seen whole, against T-posed adults of the body model: their knees lie lower, their ankles
# higher (shin 6 % shorter, which would bend every knee by 20 degrees), shoulders lower and, being clothed, wider.
_PULLS = (("knee", "ankle", 0.03), ("ankle", "knee", 0.035), ("shoulder", "hip", 0.017))
_WIDER_SHOULDERS = 0.04


@dataclass(frozen=True)
class Agreement:
    """How well bodies agree with the labels of n people."""

    pck: Float[Tensor, " n"]
    """Share of the trusted keypoints within a fifth of the torso (left shoulder to right hip) of the label."""
    keypoints: Float[Tensor, " n"]
    """Mean distance of the trusted keypoints from their labels, in crop sides."""
    worst: Float[Tensor, " n"]
    """The largest such distance of a person."""
    iou: Float[Tensor, " n"]
    """Overlap of body and person, where the labels say which it is."""
    parts: Float[Tensor, " n"]
    """Share of the pixels on both body and person that have the same merged part."""
    trusted: Int64[Tensor, " n"]
    """Number of trusted keypoints."""

    def good(self) -> Bool[Tensor, " n"]:
        """Whose bodies pass for labels."""
        joints = (self.pck >= _LEAST_PCK) & (self.worst <= _WORST) & (self.trusted >= _LEAST_TRUSTED)
        return joints & (self.iou >= _LEAST_IOU) & (self.parts >= _LEAST_PARTS)

    @classmethod
    def joined(cls, batches: "Sequence[Agreement]") -> "Agreement":
        """Several batches of people as one."""
        return cls(**{name: torch.cat([getattr(each, name) for each in batches]) for name in cls.__dataclass_fields__})


def label_keypoints(body: BodyModel) -> Landmarks:
    """COCO-17 as the labels of the photos place it, in terms of the body's own keypoints."""
    matrix = torch.eye(len(COCO17))

    def pull(name: str, toward: str, share: float) -> None:
        row = COCO17.index(name)
        matrix[row, row] -= share
        matrix[row, COCO17.index(toward)] += share

    for side, other in (("left", "right"), ("right", "left")):
        for name, toward, share in _PULLS:
            pull(f"{side}_{name}", f"{side}_{toward}", share)
        pull(f"{side}_shoulder", f"{other}_shoulder", -_WIDER_SHOULDERS)
    return Landmarks.keypoints(body, "coco17").mixed(matrix)


def everyday_poses(library: PoseLibrary, generator: Generator) -> PosePrior:
    """The pose prior for photos of people who mostly stand."""
    rotations = library.sample(_DRAWN, generator)
    angles = angles_from_rotations(rotations).abs()
    straight = (angles[:, [1, 2, 4, 5], 0] < _STRAIGHT).all(1) & (rotations[:, 0, 1, 1] > 0.9)
    others = rotations[~straight][: int(straight.sum()) // _OTHERS]
    return PosePrior.fit(torch.cat([rotations[straight], others]), _COMPONENTS, generator)


def fit_photos(
    fitter: "PhotoFitter", people: Int64[Tensor, " n"], progress: Callable[[int], None] = lambda count: None
) -> tuple[RealFits, Agreement, Agreement]:
    """Fits of some people of a pack, and how the start and the fits agree with the labels of those who were fitted.

    Who has too few labels for a fit to be kept is not fitted: zeros. `progress` is called with the number of people
    done since the last call.

    Raises:
        DataError: nobody has labels enough.
    """
    worth = fitter.worth_fitting(people)
    if not worth.any():
        raise DataError(
            f"people: expected some with {_LEAST_TRUSTED} trusted keypoints or more in a photo with a part map, got "
            f"none among {len(people)}; fit more of the pack"
        )
    progress(int((~worth).sum()))
    ends, before, after = [], [], []
    for some in people[worth].split(_BATCH):
        start = fitter.start(some)
        end = fitter.fit(some, start)
        before.append(fitter.agreement(some, start))
        after.append(fitter.agreement(some, end))
        ends.append(end)
        progress(len(some))
    agreed = Agreement.joined(after)
    betas, rotations = (torch.cat([getattr(end, name) for end in ends]) for name in ("betas", "rotations"))
    camera = fitter.camera(people)

    def spread(values: Tensor) -> Tensor:
        return values.new_zeros(len(people), *values.shape[1:]).index_put_((worth,), values)

    fits = RealFits(
        photo=fitter.photos.photo[people],
        boxes=fitter.photos.boxes[people],
        betas=spread(betas),
        axis_angle=spread(axis_angle_from_matrix(rotations)),
        translation=spread(torch.cat([end.translation(fitter.body) for end in ends])),
        focal=camera.focal,
        center=camera.center,
        kept=spread(agreed.good()),
        pck=spread(agreed.pck),
        keypoint_error=spread(agreed.keypoints),
        iou=spread(agreed.iou),
        part_share=spread(agreed.parts),
    )
    return fits, Agreement.joined(before), agreed


class PhotoFitter:
    """Fits bodies to people of a decoded pack, some at a time. Everything runs on the CPU."""

    def __init__(self, photos: Photos, method: Method, body: BodyModel, mixture: PosePrior) -> None:
        """`method` gives the start. `body` should be a small one; its surface is sampled."""
        nothing = torch.empty(0, 3, BANK_SIDE, BANK_SIDE, dtype=torch.uint8)
        self.photos, self.crops = photos, RealCrops(photos, Backgrounds(nothing))
        self.method = method
        self.body, self.mixture = body, mixture
        self.surface, self.keypoints = Surface.spread(body), label_keypoints(body)

    def worth_fitting(self, people: Int64[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Who has labels enough, in a photo with a part map, for a fit to be kept."""
        trusted = (self.photos.keypoints[people, :, 2] > 0).sum(1)
        return (trusted >= _LEAST_TRUSTED) & self.photos.mapped()[self.photos.photo[people]]

    @torch.no_grad()
    def start(self, people: Int64[Tensor, " n"]) -> Bodies:
        """What the networks see, in the camera of `camera(people)`."""
        camera = self.crop(people).camera(self.camera(people))
        return self.method(Crops(self.crops.plain(people)["image"], camera))[1].bodies

    @torch.no_grad()
    def fit(self, people: Int64[Tensor, " n"], start: Bodies) -> Bodies:
        """Bodies that agree with the labels of some people of the pack, from a start."""
        seen = self._labels(people)

        def make(rows: Tensor) -> BodyProblem:
            evidence = Evidence.of_maps(seen.camera, seen.keypoints, seen.parts, seen.unsure)[rows]
            return BodyProblem.make(
                self.surface, evidence, self.mixture, start[rows], keypoints=self.keypoints, pitch=PITCH
            )

        problem = make(torch.arange(len(people)))
        state = _best_start(start, problem, make)
        for _ in range(_ROUNDS):
            state, _ = solve(problem.refreshed(state), state, steps=_STEPS)
        return state.orthonormal()

    @torch.no_grad()
    def agreement(self, people: Int64[Tensor, " n"], state: Bodies) -> Agreement:
        """Judge bodies by the labels."""
        seen = self._labels(people)
        found = seen.camera.project(place(self.keypoints, state, jacobian=False).points)
        apart, trusted = (found - seen.keypoints[..., :2]).norm(dim=-1), seen.keypoints[..., 2] > 0
        torso = (seen.keypoints[:, _SHOULDER, :2] - seen.keypoints[:, _HIP, :2]).norm(dim=-1)
        count = trusted.sum(1).clamp_min(1)
        vertices = state.posed(self.body).vertices
        drawn = rasterize(seen.camera.scaled(MAP).pixels_depth(vertices), self.body.faces, MAP, MAP)
        labels = torch.where(drawn.mask, self.body.face_parts[drawn.face.clamp_min(0)], 0)
        person = seen.parts[:, 0] < 0.5
        both = drawn.mask & person & ~seen.unsure
        same = merge_labels(labels, MERGED) == merge_labels(seen.parts.argmax(1), MERGED)
        return Agreement(
            pck=((apart <= 0.2 * torso[:, None]) & trusted).sum(1) / count,
            keypoints=(apart * trusted).sum(1) / count,
            worst=(apart * trusted).amax(1),
            iou=both.sum((1, 2)) / ((drawn.mask | person) & ~seen.unsure).sum((1, 2)).clamp_min(1),
            parts=(both & same).sum((1, 2)) / both.sum((1, 2)).clamp_min(1),
            trusted=trusted.sum(1),
        )

    def camera(self, people: Int64[Tensor, " n"]) -> Camera:
        """The default camera of each person's photo, in pixels of the pack."""
        size = self.photos.size[self.photos.photo[people]]
        return Camera(size.norm(dim=1), size / 2)

    def crop(self, people: Int64[Tensor, " n"]) -> Crop:
        """The square around each person as the predictor would cut it, one unit wide."""
        return Crop.from_boxes(clip(self.photos.boxes[people], self._frame(people)), 1)

    def _frame(self, people: Tensor) -> Float[Tensor, "n 4"]:
        size = self.photos.size[self.photos.photo[people]]
        return torch.cat([torch.zeros_like(size), size], dim=1)

    def _labels(self, people: Int64[Tensor, " n"]) -> "_Labels":
        batch, crop = self.crops.plain(people), self.crop(people)
        keypoints = batch["keypoints"] / batch["keypoints"].new_tensor([RESOLUTION, RESOLUTION, 1])
        unsure = batch["ignore"] | self._cut_off(people, crop)
        return _Labels(crop.camera(self.camera(people)), keypoints, batch["parts"], unsure)

    def _cut_off(self, people: Int64[Tensor, " n"], crop: Crop) -> Bool[Tensor, "n m m"]:
        """Cells beyond a border of the photo that cuts the person off: nobody knows what is there."""
        frame, box = self._frame(people), self.photos.boxes[people]
        cells = crop.to_image((pixel_grid(MAP, frame.device) / 2 + 0.5).flatten(0, 1)[None]).unflatten(1, (MAP, MAP))
        touching = ((box - frame).abs() < _TOUCHING) | ((clip(box, frame) - frame).abs() < _TOUCHING)
        low, high = (cells < frame[:, None, None, :2]), (cells > frame[:, None, None, 2:])
        return (torch.cat([low, high], -1) & touching[:, None, None]).any(-1)


@dataclass(frozen=True)
class _Labels:
    """What the labels say of n people, in crops one unit wide."""

    camera: Camera
    keypoints: Float[Tensor, "n 17 3"]
    parts: Float[Tensor, "n 25 m m"]
    unsure: Bool[Tensor, "n m m"]


def _best_start(start: Bodies, problem: BodyProblem, make: Callable[[Tensor], BodyProblem]) -> Bodies:
    """The estimate after a few steps or, where it fits badly and this fits better, somebody who stands.

    They face as the estimate does and hold their arms like it, or they face the other way with arms spread.
    `make` gives the problem of some of the people.
    """
    best, lowest = _searched(problem, start)
    bad = (lowest > _BAD).nonzero()[:, 0]
    if not len(bad):
        return best
    problem, before, rival, least = make(bad), start[bad], best[bad], lowest[bad]
    forward = before.rotations[:, 0, :, 2]
    heading = torch.atan2(forward[:, 0], -forward[:, 2])
    spread = torch.eye(3).repeat(len(bad), 24, 1, 1)
    like_it = spread.clone()
    like_it[:, _ARMS] = before.rotations[:, _ARMS]
    for turn, stands in ((0.0, like_it), (math.pi, spread)):
        about = (heading + turn)[:, None] * torch.tensor([0.0, 1.0, 0.0])
        root = UPRIGHT @ matrix_from_axis_angle(about)
        tried = Bodies(before.betas * 0, torch.cat([root[:, None], stands[:, 1:]], 1), before.pelvis)
        tried, value = _searched(problem, tried)
        rival, least = rival.chosen(tried, value < least), torch.minimum(value, least)
    betas, rotations, pelvis = best.betas.clone(), best.rotations.clone(), best.pelvis.clone()
    betas[bad], rotations[bad], pelvis[bad] = rival.betas, rival.rotations, rival.pelvis
    return Bodies(betas, rotations, pelvis)


def _searched(problem: BodyProblem, state: Bodies) -> tuple[Bodies, Float[Tensor, " n"]]:
    state, _ = solve(problem.refreshed(state), state, steps=_FIRST_STEPS)
    return state, cost(problem.refreshed(state), state)
