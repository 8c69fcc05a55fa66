"""MPI-INF-3DHP (Mehta et al., 3DV 2017): one person at a time, markerless motion capture.

    S1/Seq1/annot.mat                     cells of 14 cameras: annot2 (n, 56) pixels, annot3 (n, 84) mm in the camera's
                                          frame, of 28 joints
    S1/Seq1/camera.calibration            intrinsics (and where each camera stands, which annot3 does not need)
    S1/Seq1/imageSequence/video_0.avi     or imageFrames/video_0/frame_000001.jpg, as nkolot/SPIN extracts them
    mpi_inf_3dhp_test_set/TS1/annot_data.mat               HDF5: annot2 (n, 1, 17, 2), univ_annot3 (n, 1, 17, 3) mm,
                                                           valid_frame, activity_annotation
    mpi_inf_3dhp_test_set/TS1/imageSequence/img_000001.jpg

Of the 28 joints the 17 of the test set are read (util/mpii_get_joint_set.m, "relevant"). For training these are the
eight cameras that the field trains on. The test set's joints in space are those that its protocol scores, of a skeleton
brought to one size: they are known up to a shift only, and there is no camera to them. What happens in it, `action`, is
a number from 1 to 7. Frames that are not valid are there, with weights of 0.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import Frame, JointLabels, LabelledPerson, LabelledPicture, LensCamera
from nbf.data.readers.films import VideoFrame
from nbf.data.readers.matlab import load_mat, read_mat
from nbf.data.recordings import Recording, Recordings, numbered_files
from nbf.errors import DataError

CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
"""Of the fourteen those at the height of a chest (the "VNect" set of util/mpii_get_camera_set.m)."""
JOINTS = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
"""The joints of the order mpi_inf_3dhp17 among the 28."""
_ORDER, _ALL, _VIEWS = "mpi_inf_3dhp17", 28, 14
# Matlab files of one sequence hold all its cameras.
_KEPT = 2
_MOST_ACTIVITIES = 99


@dataclass(frozen=True, eq=False)
class _View:
    """A sequence as one camera saw it."""

    annotations: Path
    number: int
    camera: LensCamera
    film: Path
    stills: Path | None
    """Folder of pictures that were extracted, where the film is missing."""

    def picture(self, frame: Frame) -> LabelledPicture:
        pixels, joints = (each[self.number] for each in _annotations(self.annotations))
        if frame.index >= min(len(pixels), len(joints)):
            raise DataError(f"{self.annotations}: expected as many poses in annot3 as in annot2; get the data set anew")
        person = LabelledPerson(
            joints_2d=JointLabels(_ORDER, pixels[frame.index], np.ones(len(JOINTS))),
            joints_3d=JointLabels(_ORDER, joints[frame.index] / 1000, np.ones(len(JOINTS))),
            name=frame.subject,
        )
        still = f"frame_{frame.index + 1:06}.jpg"
        source = self.stills / still if self.stills else VideoFrame(self.film, frame.index)
        return LabelledPicture(
            f"{frame.sequence}/{frame.index:06}", source, (person,), "train", self.camera, frame=frame
        )


def _mpi_inf_3dhp(folder: Path, split: str) -> Recordings:
    return Recordings(_recordings(folder, split))


def _recordings(folder: Path, split: str) -> list[Recording]:
    if split == "test":
        files = sorted(folder.glob("mpi_inf_3dhp_test_set/TS[1-6]/annot_data.mat"))
        recordings = [recording for file in files for recording in _test(file)]
    else:
        files = sorted(folder.glob("S[1-8]/Seq[12]/annot.mat"))
        recordings = [recording for file in files for recording in _sequence(file)]
    if not recordings:
        raise DataError(f"{folder}: expected sequences to {split} on, got none; docs/datasets says what goes where")
    return recordings


def _sequence(file: Path) -> list[Recording]:
    folder = file.parent
    cameras = _cameras(folder / "camera.calibration")
    pixels = _cells(file, load_mat(file, "annot2"), "annot2", 2)
    subject, sequence = folder.parent.name, int(folder.name.removeprefix("Seq"))
    recordings = []
    for number in CAMERAS:
        film = folder / "imageSequence" / f"video_{number}.avi"
        stills = folder / "imageFrames" / f"video_{number}"
        view = _View(file, number, cameras[number], film, stills if stills.is_dir() and not film.is_file() else None)
        indices: range | list[int] = range(len(pixels[number]))
        if view.stills:
            there = numbered_files(stills, "frame_*.jpg")
            # There are more annotations than frames of some films, and the other way round.
            indices = [each - 1 for each in there if 0 < each <= len(indices)]
        frame = Frame(f"{subject}/{folder.name}/video_{number}", 0, subject, "", sequence, str(number))
        recordings.append(Recording(frame, indices, view.picture))
    return recordings


@lru_cache(maxsize=_KEPT)
def _annotations(path: Path) -> tuple[dict[int, Float32[ndarray, "_ 17 2"]], dict[int, Float32[ndarray, "_ 17 3"]]]:
    """Pixels and mm of each camera."""
    variables = load_mat(path, "annot2", "annot3")
    return _cells(path, variables, "annot2", 2), _cells(path, variables, "annot3", 3)


def _cells(path: Path, variables: dict, name: str, size: int) -> dict[int, Float32[ndarray, "_ 17 d"]]:
    cells = np.asarray(variables.get(name), object).ravel()
    arrays = [np.asarray(cell) for cell in cells]
    if len(arrays) != _VIEWS or not all(
        array.dtype.kind in "fiu" and array.ndim == 2 and array.shape[1] == _ALL * size and np.isfinite(array).all()
        for array in arrays
    ):
        raise DataError(
            f"{path}: expected {_VIEWS} cells of finite numbers n x {_ALL * size} called {name!r}, got others; get "
            "the data set anew"
        )
    return {i: arrays[i].reshape(-1, _ALL, size)[:, JOINTS].astype(np.float32) for i in CAMERAS}


def _cameras(path: Path) -> dict[int, LensCamera]:
    cameras: dict[int, LensCamera] = {}
    try:
        name = None
        for line in path.read_text("latin1").splitlines():
            key, *values = line.split() or [""]
            if key == "name":
                name = int(values[0])
            elif key == "intrinsic" and name is not None:
                matrix = np.array(values, np.float64).reshape(4, 4)
                if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
                    raise ValueError(f"camera {name} has no positive focal length")
                cameras[name] = LensCamera(matrix[[0, 1], [0, 1]], matrix[:2, 2])
        lacking = [number for number in CAMERAS if number not in cameras]
        if lacking:
            raise ValueError(f"expected the cameras {CAMERAS}, got none of {lacking}")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except (OSError, ValueError, LookupError) as error:
        raise DataError(f"{path}: cannot be read as cameras ({error}); get the data set anew") from error
    return cameras


def _test(file: Path) -> list[Recording]:
    """One recording of each activity."""
    subject = file.parent.name
    activity = _test_annotations(file)[3]
    return [
        Recording(
            Frame(subject, 0, subject, str(number)),
            np.flatnonzero(activity == number).tolist(),
            partial(_test_picture, file=file),
        )
        for number in np.unique(activity)
    ]


def _test_picture(frame: Frame, file: Path) -> LabelledPicture:
    pixels, joints, valid, _ = (each[frame.index] for each in _test_annotations(file))
    weight = np.full(len(JOINTS), float(valid))
    person = LabelledPerson(
        joints_2d=JointLabels(_ORDER, pixels, weight),
        joints_3d=JointLabels(_ORDER, joints / 1000, weight),
        relative=True,
        name=frame.subject,
    )
    source = file.parent / "imageSequence" / f"img_{frame.index + 1:06}.jpg"
    return LabelledPicture(f"{frame.sequence}/{frame.index:06}", source, (person,), "test", frame=frame)


@lru_cache(maxsize=_KEPT)
def _test_annotations(path: Path) -> tuple[ndarray, ...]:
    """Of each frame: pixels (17, 2), mm (17, 3), whether it is valid, and the number of the activity."""
    pixels = read_mat(path, "annot2", (2, len(JOINTS), 1, None))
    count = pixels.shape[-1]
    joints = read_mat(path, "univ_annot3", (3, len(JOINTS), 1, count))
    valid, activity = (read_mat(path, name, (1, count))[0] for name in ("valid_frame", "activity_annotation"))
    if not (np.isfinite(pixels[..., valid > 0]).all() and np.isfinite(joints[..., valid > 0]).all()):
        raise DataError(f"{path}: expected finite joints in valid frames, got others; get the data set anew")
    if not np.isfinite(activity).all() or np.abs(activity).max(initial=0) > _MOST_ACTIVITIES:
        raise DataError(
            f"{path}: expected small whole numbers in activity_annotation, got others; get the data set anew"
        )
    rows = (np.nan_to_num(each[:, :, 0].transpose(2, 1, 0), posinf=0, neginf=0) for each in (pixels, joints))
    return (*rows, valid > 0, activity.astype(int))


SET = DataSet(
    "mpi_inf_3dhp",
    "MPI-INF-3DHP",
    ("train", "test"),
    ("*/*/annot*.mat",),
    (Need("*/*/annot*.mat", "the labels: annot.mat of each sequence, annot_data.mat of the test set"),),
    _mpi_inf_3dhp,
)
