"""A folder of pictures with what OpenPose found in them (Cao et al., PAMI 2021; `--write_json`).

    NAME.jpg   NAME_keypoints.json    BODY_25, COCO-18, or COCO-18 as version 1.0 wrote it

OpenPose counts pixels from 0 at the centre of the first: half a pixel more is our convention. Whom it does not find it
does not tell of.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture, Lazy, Pictures
from nbf.errors import DataError, InputError
from nbf.proxy.keypoint_files import read_keypoints

_ENDING = "_keypoints.json"
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def _openpose(folder: Path, split: str) -> Pictures:
    pictures = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in _PICTURES}
    files = sorted(folder.glob(f"*{_ENDING}"))
    names = [file.name.removesuffix(_ENDING) for file in files]
    alone = [name for name in names if name not in pictures]
    if alone:
        raise DataError(f"{folder}: expected a picture beside each {_ENDING[1:]}, got none for {', '.join(alone[:5])}")
    return Lazy(len(files), lambda i: _picture(files[i], pictures[names[i]], split))


def _picture(file: Path, path: Path, split: str) -> LabelledPicture:
    try:
        with Image.open(path) as image:
            size = image.size
        found = read_keypoints(file, *size).numpy()
    except InputError as error:
        raise DataError(str(error)) from error
    # Decoders of damaged files raise whatever their parsers happen to meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a picture ({error})") from error
    shift = np.array([0.5, 0.5, 0], np.float32) * (found[..., 2:] > 0)
    people = tuple(LabelledPerson(joints_2d=JointLabels.of("coco17", rows)) for rows in found + shift)
    return LabelledPicture(path.stem, path, people, split, complete=False)


OPENPOSE = DataSet(
    "openpose",
    "pictures with OpenPose's keypoints",
    ("train",),
    (f"*{_ENDING}",),
    (Need(f"*{_ENDING}", "keypoints, beside the pictures"),),
    _openpose,
)
