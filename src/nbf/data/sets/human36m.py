"""Human3.6M (Ionescu et al., TPAMI 2014): one person at a time, in a studio with four cameras and motion capture.

    metadata.xml                                      of the code that comes with the data (Release-v1.2)
    S9/MyPoseFeatures/D3_Positions/TAKE.cdf           or S9/Poses_D3_Positions/..., as h36m-fetch unpacks it
    S9/MyPoseFeatures/D3_Positions_mono/TAKE.CAMERA.cdf   instead of these, or besides
    S9/MyPoseFeatures/D2_Positions/TAKE.CAMERA.cdf    optional: the cameras project the same points
    S9/MySegmentsMat/ground_truth_bb/TAKE.CAMERA.mat  optional: boxes
    S9/Videos/TAKE.CAMERA.mp4                         or processed/S9/ACTION-TRIAL/imageSequence/CAMERA/img_000001.jpg

A folder of h36m-fetch, with `extracted` and `processed` in it, is one as well. Joints are 32 in mm, of which 15 are
others' copies or ends of fingers and toes; seventeen are read, in the order that the regressor of the field gives
(nkolot/SPIN, datasets/preprocess/h36m.py). Joints in the world are turned into the camera's frame by the measured
cameras. What is wrong in the data stays so; SHIFTED and CORRUPT name it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import Frame, JointLabels, LabelledPerson, LabelledPicture
from nbf.data.readers.cdf import count_numbers, read_cdf
from nbf.data.readers.films import VideoFrame
from nbf.data.recordings import PlacedCamera, Recording, Recordings, numbered_files
from nbf.data.sets.human36m_metadata import SERIALS, Take, read_metadata
from nbf.errors import DataError

SHIFTED = frozenset({"S9/SittingDown 1", "S9/Waiting 1", "S9/Greeting"})
"""Beginnings of `Frame.sequence` of the takes whose joints lie 200 mm off along the world's x, and whose boxes do with
them, as far as they are known (isarandi/PosePile, ds/h36m). Most published numbers are measured on them as they are."""
CORRUPT = frozenset({"S11/Directions.54138969"})
"""`Frame.sequence` of films that are damaged; akanazawa/hmr leaves out the film, VideoPose3D the whole take."""
SUBJECTS = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
JOINTS = (0, 6, 7, 8, 1, 2, 3, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The joints of the order human36m17 among the 32."""
_COUNT = 32
_BOXES = ("MySegmentsMat/ground_truth_bb", "Segments_mat_gt_bb")
# Files kept: as many as one take has.
_KEPT = 12


def _human36m(folder: Path, split: str) -> Recordings:
    return Recordings(_recordings(folder, split))


def _recordings(folder: Path, split: str) -> list[Recording]:
    metadata = read_metadata(folder / "metadata.xml")
    root = folder / "extracted" if (folder / "extracted").is_dir() else folder
    there = [subject for subject in SUBJECTS[split] if (root / subject).is_dir()]
    # Numbers on some of the test subjects mean something else.
    if not there or (split == "test" and len(there) < len(SUBJECTS["test"])):
        raise DataError(
            f"{root}: expected folders of the subjects {', '.join(SUBJECTS[split])}, got {', '.join(there) or 'none'}"
        )
    return [
        _recording(root / subject, folder / "processed", take, serial, metadata.cameras[subject, serial], split)
        for subject in there
        for take in metadata.takes.get(subject, ())
        for serial in SERIALS
    ]


@dataclass(frozen=True, eq=False)
class _View:
    """One take as one camera saw it: which files say what."""

    camera: PlacedCamera
    split: str
    film: Path
    stills: Path | None
    """Folder of pictures that were extracted, where the film is missing."""
    poses: Path
    placed: bool
    """The poses are in the camera's frame."""
    points: Path | None
    boxes: Path | None

    def picture(self, frame: Frame) -> LabelledPicture:
        joints = _row(self.poses, 3, frame.index) / 1000
        joints = joints if self.placed else self.camera.from_world(joints)
        pixels = self.camera.lens.project(joints) if self.points is None else _row(self.points, 2, frame.index)
        box = None if self.boxes is None else _box(self.boxes, frame.index)
        source = self.stills / f"img_{frame.index + 1:06}.jpg" if self.stills else VideoFrame(self.film, frame.index)
        return labelled(frame, source, joints, pixels, self.camera, self.split, box)


def _recording(subject: Path, processed: Path, take: Take, serial: str, camera: PlacedCamera, split: str) -> Recording:
    name = f"{take.name}.{serial}"
    film = subject / "Videos" / f"{name}.mp4"
    stills = processed / take.subject / take.folder / "imageSequence" / serial
    world = _pose_file(subject, "D3_Positions", take.name)
    poses = world or _pose_file(subject, "D3_Positions_mono", name)
    if poses is None:
        raise DataError(
            f"{subject}: expected joints of the take {take.name!r} (MyPoseFeatures/D3_Positions/{take.name}.cdf or "
            f"D3_Positions_mono/{name}.cdf), got neither; docs/datasets says what goes where"
        )
    view = _View(
        camera,
        split,
        film,
        stills if stills.is_dir() and not film.is_file() else None,
        poses,
        placed=world is None,
        points=_pose_file(subject, "D2_Positions", name),
        boxes=next(filter(Path.is_file, (subject / place / f"{name}.mat" for place in _BOXES)), None),
    )
    indices: range | list[int] = range(_count(poses))
    if view.stills:
        # Whoever extracts pictures leaves most of them out.
        indices = [number - 1 for number in numbered_files(stills, "img_*.jpg") if 0 < number <= len(indices)]
    frame = Frame(f"{take.subject}/{name}", 0, take.subject, take.action, take.trial, serial)
    return Recording(frame, indices, view.picture)


def _pose_file(subject: Path, kind: str, name: str) -> Path | None:
    places = (subject / place / f"{name}.cdf" for place in (f"MyPoseFeatures/{kind}", f"Poses_{kind}"))
    return next(filter(Path.is_file, places), None)


def labelled(
    frame: Frame,
    source: Path | VideoFrame,
    joints: Float[ndarray, "17 3"],
    pixels: Float[ndarray, "17 2"],
    camera: PlacedCamera,
    split: str,
    box: Float32[ndarray, " 4"] | None = None,
) -> LabelledPicture:
    """One picture of it; `joints` are metres in the camera's frame, `pixels` the same joints in the picture."""
    person = LabelledPerson(
        box=box,
        joints_2d=JointLabels("human36m17", pixels, np.ones(len(JOINTS))),
        joints_3d=JointLabels("human36m17", joints, np.ones(len(JOINTS))),
        name=frame.subject,
    )
    name = f"{frame.sequence}/{frame.index:06}"
    return LabelledPicture(name, source, (person,), split, camera.lens, frame=frame)


def _row(path: Path, dimensions: int, index: int) -> Float[ndarray, "17 d"]:
    poses = _poses(path, dimensions)
    if index >= len(poses):
        raise DataError(f"{path}: expected a pose of the frame {index}, got {len(poses)} poses; get the data set anew")
    return poses[index].astype(np.float64)


@lru_cache(maxsize=1)
def _count(path: Path) -> int:
    """Poses in a file of joints in space, which four cameras may share."""
    numbers = count_numbers(path, "Pose")
    if numbers % (_COUNT * 3):
        raise DataError(f"{path}: expected {_COUNT} joints a pose, got {numbers} numbers; get the data set anew")
    return numbers // (_COUNT * 3)


@lru_cache(maxsize=_KEPT)
def _poses(path: Path, dimensions: int) -> Float32[ndarray, "n 17 d"]:
    """The joints of a file, in its unit."""
    numbers = read_cdf(path, "Pose")
    if numbers.size % (_COUNT * dimensions) or not np.isfinite(numbers).all():
        raise DataError(
            f"{path}: expected {_COUNT} x {dimensions} finite numbers a pose, got {numbers.size}; get the data set anew"
        )
    return numbers.reshape(-1, _COUNT, dimensions)[:, JOINTS]


def _box(path: Path, index: int) -> Float32[ndarray, " 4"] | None:
    """The rectangle of ones in the mask of a frame; none where there is no mask."""
    try:
        file = _masks(path)
        if index >= len(file["Masks"]):
            return None
        # Columns come first, as Matlab stores them.
        mask = np.asarray(file[file["Masks"][index, 0]])
        columns, rows = np.flatnonzero(mask.max(1)), np.flatnonzero(mask.max(0))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read as boxes of Human3.6M ({error}); get the data set anew") from error
    if not len(columns):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


@lru_cache(maxsize=_KEPT)
def _masks(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path}: reading boxes needs h5py; install it with: pip install 'neural-body-fitting[datasets]'"
        ) from error
    return h5py.File(path)


SET = DataSet(
    "human36m",
    "Human3.6M",
    ("train", "test"),
    ("metadata.xml", "**/*D3_Positions*/*.cdf"),
    (
        Need("metadata.xml", "takes and cameras, in the code that comes with the data"),
        Need("**/*D3_Positions*/*.cdf", "joints in space, in the archives Poses_D3_Positions of each subject"),
    ),
    _human36m,
)
