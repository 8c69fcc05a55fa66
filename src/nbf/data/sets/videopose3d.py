"""Human3.6M as facebookresearch/VideoPose3D packs it (Pavllo et al., CVPR 2019): joints of all takes in one file.

    data_3d_h36m.npz    positions_3d: {subject: {take: (n, 32, 3) metres in the world}}
    metadata.xml        of Human3.6M's code: the cameras, which VideoPose3D keeps in its own code
    S9/Videos/TAKE.CAMERA.mp4   optional

Takes are called as their files are, but Photo and WalkDog by all subjects. The cameras of VideoPose3D's code are those
of metadata.xml: its `orientation` turns the camera into the world, as a quaternion, and its `translation` is where the
camera stands. Its data_2d_h36m_gt.npz is the joints in space, projected by them, and is not read. The take Directions
of S11 is left out, whose film is corrupt.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from nbf.body.pickles import Damaged, Made, Table, Text, Unsafe, word
from nbf.body.stored import read_npz_table, to_array
from nbf.data.kind import DataSet, Need
from nbf.data.labelled import Frame, LabelledPicture
from nbf.data.readers.films import VideoFrame
from nbf.data.recordings import PlacedCamera, Recording, Recordings
from nbf.data.sets.human36m import CORRUPT, JOINTS, SUBJECTS, labelled
from nbf.data.sets.human36m_metadata import SERIALS, read_metadata
from nbf.errors import DataError

_FILE = "data_3d_h36m.npz"
_LEFT_OUT = {film.rpartition(".")[0] for film in CORRUPT}
_CALLED = (("TakingPhoto", "Photo"), ("WalkingDog", "WalkDog"))


def _videopose3d(folder: Path, split: str) -> Recordings:
    metadata = read_metadata(folder / "metadata.xml")
    path = folder / _FILE
    try:
        positions = _positions(path)
    except (Damaged, Unsafe, OSError) as error:
        raise DataError(f"{path}: cannot be read as joints of VideoPose3D ({error}); make it anew") from error
    recordings: list[Recording] = []
    for subject in SUBJECTS[split]:
        if subject not in positions:
            raise DataError(f"{path}: expected joints of {subject}, got those of {', '.join(positions)}; make it anew")
        for take in metadata.takes.get(subject, ()):
            called = _called(take.name)
            if called not in positions[subject] and f"{subject}/{take.name}" in _LEFT_OUT:
                continue
            if called not in positions[subject]:
                raise DataError(f"{path}: expected the take {called!r} of {subject}, got none; make it anew")
            poses = positions[subject][called]
            for serial in SERIALS:
                name = f"{take.name}.{serial}"
                recordings.append(
                    Recording(
                        Frame(f"{subject}/{name}", 0, subject, take.action, take.trial, serial),
                        range(len(poses)),
                        partial(
                            _picture,
                            poses=poses,
                            film=folder / subject / "Videos" / f"{name}.mp4",
                            camera=metadata.cameras[subject, serial],
                            split=split,
                        ),
                    )
                )
    return Recordings(recordings)


def _picture(
    frame: Frame, poses: Float32[ndarray, "n 32 3"], film: Path, camera: PlacedCamera, split: str
) -> LabelledPicture:
    joints = camera.from_world(poses[frame.index][list(JOINTS)].astype(np.float64))
    return labelled(frame, VideoFrame(film, frame.index), joints, camera.lens.project(joints), camera, split)


def _called(take: str) -> str:
    for ours, theirs in _CALLED:
        take = take.replace(ours, theirs)
    return take


def _positions(path: Path) -> dict[str, dict[str, Float32[ndarray, "n 32 3"]]]:
    """Raises Damaged, Unsafe and OSError."""
    value = read_npz_table(path, ("positions_3d",)).get("positions_3d")
    # An array of objects that holds one, which is the dictionary.
    state = value.states[0] if isinstance(value, Made) and value.states else None
    held = state[-1] if isinstance(state, tuple) and state else None
    if not isinstance(held, list) or len(held) != 1:
        raise Damaged("expected a dictionary called positions_3d, got none")
    return {
        subject: {take: _poses(array, f"{subject} {take}") for take, array in _items(takes)}
        for subject, takes in _items(held[0])
    }


def _items(table: Any) -> list[tuple[str, Any]]:
    if not isinstance(table, Table):
        raise Damaged("expected a dictionary of dictionaries, got something else")
    return [(word(key), value) for key, value in table.pairs if isinstance(key, Text)]


def _poses(value: Any, name: str) -> Float32[ndarray, "n 32 3"]:
    array = to_array(value)
    if array.ndim != 3 or array.shape[1:] != (32, 3) or array.dtype.kind != "f":
        raise Damaged(f"expected numbers (n, 32, 3) for {name}, got {array.dtype} {array.shape}")
    poses = array.astype(np.float32, copy=False)
    if not np.isfinite(poses).all():
        raise Damaged(f"expected finite numbers for {name}")
    return poses


SET = DataSet(
    "videopose3d",
    "Human3.6M as VideoPose3D packs it",
    ("train", "test"),
    (_FILE, "metadata.xml"),
    (
        Need(_FILE, "joints of all takes, as VideoPose3D's prepare_data_h36m.py makes it"),
        Need("metadata.xml", "takes and cameras, in the code that comes with Human3.6M"),
    ),
    _videopose3d,
)
