"""The captured poses of ../shared/poses as observations for inverse kinematics.

The sources call slightly different spots by the same joint name. Limb joints agree; the others (trunk, neck, collars,
head) are observed through *markers*: fixed spots of the body part they ride on, calibrated per source as the median
over its poses.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ik import Pose, Seen
from ik_start import first_guess, unit
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import PARENTS
from nbf.errors import DataError

CORE = (1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21)  # every source has them, with one meaning
MARKERS = {0: 0, 3: 0, 6: 3, 9: 6, 12: 9, 13: 9, 14: 9, 15: 12}  # captured joint -> the joint whose frame it rides on
CORE_SIGMA, MARKER_SIGMA = 0.01, 0.03  # metres
KEYS = ("positions", "mask", "extra", "extra_mask", "extra_names", "source", "source_names", "seq", "split", "family")


@dataclass(frozen=True)
class Capture:
    """Captured joints; positions relative to the middle of the hips, absent ones zero.

    Attributes:
        joints: (n,22,3) metres; known (n,22) 0 or 1.
        extra: name -> (n,3) metres; extra_known name -> (n,) 0 or 1.
        source, sequence: (n,) indices.
        labels: what the file says besides (split, family, names), as numpy arrays.
    """

    joints: Float[Tensor, "n 22 3"]
    known: Float[Tensor, "n 22"]
    extra: dict[str, Tensor]
    extra_known: dict[str, Tensor]
    source: Tensor
    sequence: Tensor
    labels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.joints)

    def __getitem__(self, rows: Tensor) -> "Capture":
        """Some of the poses, by number."""
        names = {key: value for key, value in self.labels.items() if key.endswith("_names")}
        return Capture(
            self.joints[rows],
            self.known[rows],
            {name: value[rows] for name, value in self.extra.items()},
            {name: value[rows] for name, value in self.extra_known.items()},
            self.source[rows],
            self.sequence[rows],
            names | {key: value[rows.numpy()] for key, value in self.labels.items() if key not in names},
        )


def read_capture(path: Path) -> Capture:
    """Read `mocap_joints.npz`.

    Raises:
        DataError: the file is missing or is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key: file[key] for key in (*KEYS, "family_names", "action", "action_names")}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected the captured joints (mocap_joints.npz of ../shared/poses), got {error!r}; "
            "point NBF_SHARED at the shared folder or pass --capture"
        ) from error
    joints, extra = data["positions"].astype(np.float32), data["extra"].astype(np.float32)
    middle = (joints[:, 1] + joints[:, 2]) / 2
    joints = np.where(data["mask"][..., None], joints - middle[:, None], 0)
    extra = np.where(data["extra_mask"][..., None], extra - middle[:, None], 0)
    names = [str(name) for name in data["extra_names"]]
    return Capture(
        torch.from_numpy(joints),
        torch.from_numpy(data["mask"].astype(np.float32)),
        {name: torch.from_numpy(extra[:, i]) for i, name in enumerate(names)},
        {name: torch.from_numpy(data["extra_mask"][:, i].astype(np.float32)) for i, name in enumerate(names)},
        torch.from_numpy(data["source"].astype(np.int64)),
        torch.from_numpy(data["seq"].astype(np.int64)),
        {
            key: data[key]
            for key in ("split", "family", "family_names", "source", "source_names", "action", "action_names")
        },
    )


def _per_group(values: Tensor, groups: Tensor, share: float) -> Tensor:
    """The quantile of each group, handed back to its members."""
    result = torch.zeros_like(values)
    for group in groups.unique():
        rows = groups == group
        result[rows] = values[rows].quantile(share)
    return result


def scaled_rest(capture: Capture, rest: Float[Tensor, "24 3"]) -> Float[Tensor, "n 24 3"]:
    """The body's rest joints with the captured person's bone lengths, the root's at the origin.

    Limbs take each pose's own lengths; the trunk's height and the shoulders' width bend with the pose, so they are
    the sequence's upper quartile.
    """
    p = capture.joints
    parents = torch.tensor([max(parent, 0) for parent in PARENTS])
    offsets = (rest - rest[parents])[None].repeat(len(p), 1, 1)

    def stretch(joint: int, length: Tensor) -> None:
        offsets[:, joint] *= (length / offsets[:, joint].norm(dim=-1))[:, None]

    for joint in (4, 5, 7, 8, 18, 19, 20, 21):
        stretch(joint, (p[:, joint] - p[:, PARENTS[joint]]).norm(dim=-1))
    middle = (p[:, 16] + p[:, 17]) / 2
    height = _per_group(middle.norm(dim=-1), capture.sequence, 0.75)
    width = _per_group((p[:, 16] - p[:, 17]).norm(dim=-1) / 2, capture.sequence, 0.75)
    hips = (p[:, 1] - p[:, 2]).norm(dim=-1) / 2
    trunk = height / ((rest[16] + rest[17] - rest[1] - rest[2]) / 2).norm()
    for joint in (0, 1, 2, 3, 6, 9, 12, 13, 14, 15, 16, 17):
        offsets[:, joint] *= trunk[:, None]
    for joint in (13, 14, 16, 17):
        offsets[:, joint, 0] *= width / (trunk * rest[16, 0])
    for joint in (1, 2):
        offsets[:, joint, 0] *= hips / (trunk * rest[1, 0].abs())
    offsets[:, 0] = 0
    for joint, parent in enumerate(PARENTS[1:], start=1):
        offsets[:, joint] += offsets[:, parent]  # a parent comes before its children: it is a place by now
    return offsets


@dataclass(frozen=True)
class Axis:
    """A direction seen in the capture: from `tail` to `tip` (joint number or name), along `rest` of `joint`'s frame."""

    joint: int
    tail: int | str
    tip: int | str
    rest: tuple[float, float, float]
    sigma: float
    calibrate: bool = False


AXES = (
    Axis(7, 7, 10, (0, -0.35, 1), 0.08),
    Axis(8, 8, 11, (0, -0.35, 1), 0.08),
    Axis(10, 10, "left_toe_tip", (0, 0, 1), 0.25),
    Axis(11, 11, "right_toe_tip", (0, 0, 1), 0.25),
    Axis(20, 20, "left_hand_tip", (1, 0, 0), 0.15),
    Axis(21, 21, "right_hand_tip", (-1, 0, 0), 0.15),
    Axis(20, "left_hand_tip", "left_thumb_tip", (0, -0.35, 0.94), 0.4),
    Axis(21, "right_hand_tip", "right_thumb_tip", (0, -0.35, 0.94), 0.4),
    Axis(15, 15, "head_fwd", (0, 0, 1), 0.10),
    Axis(15, 15, "head_end", (0, 1, 0), 0.25, True),
    Axis(15, "right_eye", "left_eye", (1, 0, 0), 0.25),
    Axis(12, 12, "head_centre", (0, 1, 0), 0.25, True),
    Axis(12, "neck_base", "head_centre", (0, 1, 0), 0.25, True),
    Axis(9, "chest", "neck_base", (0, 1, 0), 0.25, True),
)
FLAT_FEET = 0, 1, 2, 3  # rows of AXES whose rest pitch is what the source shows of people standing straight


@dataclass(frozen=True)
class Calibration:
    """Per source: where markers ride (s,8,3), whether to trust them, and the rest axes (s,14,3)."""

    markers: Float[Tensor, "s 8 3"]
    marker_sigma: float
    axes: Float[Tensor, "s 14 3"]


def _landmark(capture: Capture, name: int | str) -> tuple[Tensor, Tensor]:
    if isinstance(name, str):
        return capture.extra[name], capture.extra_known[name]
    return capture.joints[:, name], capture.known[:, name]


def seen_axes(capture: Capture) -> tuple[Float[Tensor, "n 14 3"], Float[Tensor, "n 14"]]:
    """Unit directions of AXES and 1 where they are known."""
    directions, known = [], []
    for axis in AXES:
        (tail, has_tail), (tip, has_tip) = _landmark(capture, axis.tail), _landmark(capture, axis.tip)
        if isinstance(axis.tail, str) and axis.tail.endswith("hand_tip"):
            # The thumb tells the hand's roll only: what lies across the hand's own direction.
            wrist = capture.joints[:, axis.joint]
            along = unit(tail - wrist)
            reach = tip - wrist
            tip, tail = reach - (reach * along).sum(-1, keepdim=True) * along, torch.zeros_like(tail)
        # DeepMimic's eyes-forward point hangs on the head centre, since its head joint is masked.
        if axis.tip == "head_fwd":
            centre, has_centre = _landmark(capture, "head_centre")
            use = ((has_tail == 0) & (has_centre > 0))[:, None]
            tail, has_tail = torch.where(use, centre, tail), torch.maximum(has_tail, has_centre)
        way = tip - tail
        directions.append(unit(way))
        known.append(has_tail * has_tip * (way.norm(dim=-1) > 0.005))
    return torch.stack(directions, 1), torch.stack(known, 1)


def first_calibration(capture: Capture, rest: Float[Tensor, "24 3"]) -> Calibration:
    """Before any fit: the body's own markers, loosely trusted, and feet that are flat when people stand straight."""
    sources = len(capture.labels["source_names"])
    markers = torch.stack([rest[joint] - rest[ride] for joint, ride in MARKERS.items()])
    axes = unit(torch.tensor([axis.rest for axis in AXES])).repeat(sources, 1, 1)
    directions, known = seen_axes(capture)
    p = capture.joints
    for source in range(sources):
        for row, (hip, knee, ankle) in zip(FLAT_FEET, ((1, 4, 7), (2, 5, 8)) * 2, strict=True):
            straight = (unit(p[:, knee] - p[:, hip]) * unit(p[:, ankle] - p[:, knee])).sum(-1) > 0.97
            upright = unit(p[:, hip] - p[:, ankle])[:, 1] > 0.97
            rows = (capture.source == source) & straight & upright & (known[:, row] > 0)
            if rows.sum() >= 3:
                drop = directions[rows, row, 1].median()
                axes[source, row] = torch.stack([torch.zeros(()), drop, (1 - drop**2).sqrt()])
    return Calibration(markers.repeat(sources, 1, 1), 2 * MARKER_SIGMA, axes)


def calibrate(
    capture: Capture, before: Calibration, frames: Float[Tensor, "n 24 3 3"], places: Float[Tensor, "n 24 3"]
) -> Calibration:
    """Markers and head axes from fitted poses: the median, over a source, of where they are on the fitted body."""
    markers, axes = before.markers.clone(), before.axes.clone()
    directions, known = seen_axes(capture)
    for source in capture.source.unique():
        rows = capture.source == source
        for i, (joint, ride) in enumerate(MARKERS.items()):
            if capture.known[rows, joint].any():
                arm = (capture.joints[rows, joint] - places[rows, ride])[..., None]
                markers[source, i] = (frames[rows, ride].transpose(1, 2) @ arm).squeeze(-1).median(0).values
        for i, axis in enumerate(AXES):
            use = rows & (known[:, i] > 0)
            if axis.calibrate and use.any():
                local = (frames[use, axis.joint].transpose(1, 2) @ directions[use, i, :, None]).squeeze(-1)
                axes[source, i] = unit(local.median(0).values)
    return Calibration(markers, MARKER_SIGMA, axes)


def observe(capture: Capture, calibration: Calibration) -> Seen:
    """The capture as the solver sees it."""
    n = len(capture)
    captured = [*CORE, *MARKERS]
    sigma = torch.tensor([CORE_SIGMA] * len(CORE) + [calibration.marker_sigma] * len(MARKERS))
    markers = calibration.markers[capture.source]
    directions, known = seen_axes(capture)
    return Seen(
        (*CORE, *MARKERS.values()),
        torch.cat([torch.zeros(n, len(CORE), 3), markers], 1),
        capture.joints[:, captured],
        capture.known[:, captured] / sigma,
        tuple(axis.joint for axis in AXES),
        calibration.axes[capture.source],
        directions,
        known / torch.tensor([axis.sigma for axis in AXES]),
    )


def start(capture: Capture, rest: Float[Tensor, "n 24 3"]) -> Pose:
    """First guess: rotations, and the hips in the middle of the captured ones."""
    directions, known = seen_axes(capture)
    face = next(i for i, axis in enumerate(AXES) if axis.tip == "head_fwd")
    toes = capture.known[:, 10] * capture.known[:, 11]
    guess = Pose(first_guess(capture.joints, directions[:, face], known[:, face], toes), torch.zeros(len(capture), 3))
    _, places = guess.placed(rest)
    return Pose(guess.q, -(places[:, 1] + places[:, 2]) / 2)
