"""HumanEva-I (Sigal, Balan & Black, IJCV 2010): one person in a laboratory, three colour cameras, motion capture.

    converted_15j/Train/S1/Walking_1.mat         by VideoPose3D's ConvertHumanEva.m, out of the official toolbox:
    converted_15j/Validate/S1/Walking_1.mat      poses_3d (n, 15, 3) mm in the world, poses_2d (3, n, 15, 2) pixels
    S1/Image_Data/Walking_1_(C1).avi
    S1/Calibration_Data/C1.cal                   22 numbers: focal length (2), centre (2), skew, k1 k2 p1 p2 k3,
                                                 rotation (9, by rows), translation (3, mm) of the world into the camera
    S1/Sync_Data/Walking_1_(C1).ofs              frame of the film, frame of the motion capture at the same time, and
                                                 frames of motion capture for one of the film

Frames are counted from where all films and the motion capture have begun (@sync_stream of the toolbox, v1.1). The
first trial is labelled, its first part for validation and its second one for training; frames in which a marker was
lost are nan in the files and of weight 0 here. The toolbox counts pixels from the centre of the first one: half a pixel
more is our convention, in labels and cameras alike.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import floor
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import Frame, JointLabels, LabelledPerson, LabelledPicture, LensCamera
from nbf.data.readers.films import VideoFrame
from nbf.data.readers.matlab import read_mat
from nbf.data.recordings import PlacedCamera, Recording, Recordings
from nbf.errors import DataError

ENDS = {
    "S1": {
        "Walking": (590, 1203),
        "Jog": (367, 740),
        "ThrowCatch": (473, 945),
        "Gestures": (395, 801),
        "Box": (385, 789),
    },
    "S2": {
        "Walking": (438, 876),
        "Jog": (398, 795),
        "ThrowCatch": (550, 1128),
        "Gestures": (500, 901),
        "Box": (382, 734),
    },
    "S3": {
        "Walking": (448, 939),
        "Jog": (401, 842),
        "ThrowCatch": (493, 1027),
        "Gestures": (533, 1102),
        "Box": (512, 1021),
    },
}
"""How many frames of the first trial end validation, and training (HumanEva.m of the toolbox)."""
_REPEATED = 5
"""Frames at the start of each film that show the same; validation begins after them."""
CAMERAS = ("C1", "C2", "C3")
# All cameras of a take begin together, the black and white ones among them.
_ALL = (*CAMERAS, "BW1", "BW2", "BW3", "BW4")
_FOLDERS = {"train": "Train", "validate": "Validate"}
_JOINTS = 15
_MOST_SKEW = 1e-3
_KEPT = 4
# Frames at which two recordings may meet, and the ratio of their rates.
_LATEST, _SLOWEST = 1e5, 0.05


@dataclass(frozen=True, eq=False)
class _View:
    """One take as one camera saw it."""

    file: Path
    start: int
    """The frame of the file's first pose, of those that are counted from the common beginning."""
    count: int
    film: Path
    offset: int
    """The film's frame where counting begins."""
    number: int
    """Of the camera, from 0."""
    camera: PlacedCamera
    split: str

    def picture(self, frame: Frame) -> LabelledPicture:
        row = frame.index - self.offset - self.start
        space, pixels = _poses(self.file, self.count)
        joints = self.camera.from_world(space[row] / 1000)
        person = LabelledPerson(
            joints_2d=_labels(pixels[self.number, row] + 0.5), joints_3d=_labels(joints), name=frame.subject
        )
        name = f"{frame.sequence}/{frame.index:06}"
        source = VideoFrame(self.film, frame.index)
        return LabelledPicture(name, source, (person,), self.split, self.camera.lens, frame=frame)


def _humaneva(folder: Path, split: str) -> Recordings:
    return Recordings(_recordings(folder, split))


def _recordings(folder: Path, split: str) -> list[Recording]:
    files = folder / "converted_15j" / _FOLDERS[split]
    recordings = [
        _recording(folder, files / subject / f"{action}_1.mat", subject, action, number, split)
        for subject, actions in ENDS.items()
        for action in actions
        if (files / subject / f"{action}_1.mat").is_file()
        for number in range(len(CAMERAS))
    ]
    if not recordings:
        raise DataError(
            f"{files}: expected poses such as S1/Walking_1.mat, got none; docs/datasets says who makes them"
        )
    return recordings


def _recording(folder: Path, file: Path, subject: str, action: str, number: int, split: str) -> Recording:
    between, end = ENDS[subject][action]
    start, end = (_REPEATED, between) if split == "validate" else (between, end)
    camera = CAMERAS[number]
    take = f"{action}_1_({camera})"
    offset = _first_frames(folder / subject / "Sync_Data", f"{action}_1")[camera]
    view = _View(
        file,
        start,
        end - start,
        folder / subject / "Image_Data" / f"{take}.avi",
        offset,
        number,
        _camera(folder / subject / "Calibration_Data" / f"{camera}.cal"),
        split,
    )
    frame = Frame(f"{subject}/{take}", 0, subject, action, 1, camera)
    return Recording(frame, range(offset + start, offset + end), view.picture)


def _labels(points: Float[ndarray, "15 d"]) -> JointLabels:
    known = np.all(np.isfinite(points), axis=1)
    return JointLabels("humaneva15", np.where(known[:, None], points, 0), known.astype(float))


@lru_cache(maxsize=_KEPT)
def _poses(path: Path, count: int) -> tuple[Float[ndarray, "n 15 3"], Float[ndarray, "3 n 15 2"]]:
    space = read_mat(path, "poses_3d", (count, _JOINTS, 3))
    return space, read_mat(path, "poses_2d", (len(CAMERAS), count, _JOINTS, 2))


def _numbers(path: Path, count: int, what: str) -> Float[ndarray, " n"]:
    try:
        numbers = np.array(path.read_text("latin1").split(), np.float64)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as {what} ({error}); get the data set anew") from error
    if len(numbers) < count or not np.isfinite(numbers[:count]).all():
        raise DataError(f"{path}: expected {count} numbers of {what}, got {len(numbers)}; get the data set anew")
    return numbers[:count]


def _camera(path: Path) -> PlacedCamera:
    numbers = _numbers(path, 22, "a camera")
    if abs(numbers[4]) > _MOST_SKEW:
        raise DataError(f"{path}: expected a camera of right-angled pixels, got the skew {numbers[4]:g}")
    lens = LensCamera(numbers[:2], numbers[2:4] + 0.5, numbers[5:10])
    try:
        return PlacedCamera(lens, np.column_stack([numbers[10:19].reshape(3, 3), numbers[19:22] / 1000]))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _first_frames(folder: Path, take: str) -> dict[str, int]:
    """For each camera its film's frame, from 0, where counting begins.

    As the toolbox has it: the earliest frame that all films have, or where the motion capture begins if that is later.
    """
    files = {camera: folder / f"{take}_({camera}).ofs" for camera in _ALL}
    what = "offsets: frame of the film, frame of the motion capture, frames a frame"
    offsets = {camera: _numbers(path, 3, what) for camera, path in files.items()}
    for camera, (film, mocap, rate) in offsets.items():
        if max(abs(film), abs(mocap)) > _LATEST or not _SLOWEST <= rate <= 1 / _SLOWEST:
            raise DataError(f"{files[camera]}: expected frames and a ratio of rates, got {film:g}, {mocap:g}, {rate:g}")
    _, time, _ = offsets[CAMERAS[0]]
    begins = {camera: film + (time - mocap) / each for camera, (film, mocap, each) in offsets.items()}
    rate = float(np.mean([each for *_, each in offsets.values()]))
    time -= rate * (min(begins.values()) - 1)
    late = max(0.0, (1 - time) / rate)
    first = min(begins.values())
    # Matlab rounds halves up.
    return {camera: floor(begin - first + 1 + late + 0.5) - 1 for camera, begin in begins.items()}


SET = DataSet(
    "humaneva",
    "HumanEva-I",
    ("train", "validate"),
    ("converted_15j/*/S*/*_1.mat", "S*/Calibration_Data/*.cal"),
    (
        Need("converted_15j/*/S*/*_1.mat", "poses, which VideoPose3D's ConvertHumanEva.m makes"),
        Need("S*/Calibration_Data/C1.cal", "cameras"),
        Need("S*/Sync_Data/*.ofs", "which frames of film and motion capture are of one time"),
        Need("S*/Image_Data/*.avi", "the films", optional=True),
    ),
    _humaneva,
)
