"""Where in a recording a picture is from, read off the names that converters of data sets gave to its file."""

import re

from nbf.data.labelled import Frame

# nkolot/SPIN, datasets/preprocess/h36m.py: S9_Directions_1.54138969_000001.jpg. The number is that of the pose plus one
# (its reader of the film is one picture ahead of the poses as well, so the picture shows the person 20 ms later).
_HUMAN36M = re.compile(r"(S\d+)_([^/]+)\.(\d{8})_(\d{6})\.\w+$")
# 3DPW's own names.
_PW3D = re.compile(r"imageFiles/([^/]+)/image_(\d{5})\.\w+$")
# nkolot/SPIN, datasets/preprocess/mpi_inf_3dhp.py, and the test set's own names; both count from 1.
_MPI_INF_3DHP = re.compile(r"(S\d+)/(Seq\d+)/imageFrames/video_(\d+)/frame_(\d{6})\.\w+$")
_MPI_INF_3DHP_TEST = re.compile(r"(TS\d+)/imageSequence/img_(\d{6})\.\w+$")


def origin(name: str) -> Frame | None:
    """The recording and the frame, counted from 0, that a picture's name tells; None where it tells neither.

    Of Human3.6M the frame is that of the pose, by which protocols choose, and the action is without its number: which
    take of the two is the first, its metadata.xml says.
    """
    name = name.replace("\\", "/")
    if found := _HUMAN36M.search(name):
        subject, take, camera, number = found.groups()
        action = re.sub(r"_\d+$", "", take)
        return _counted_from_1(f"{subject}_{take}.{camera}", number, subject, action, camera)
    if found := _PW3D.search(name):
        return Frame(found[1], int(found[2]))
    if found := _MPI_INF_3DHP.search(name):
        subject, sequence, camera, number = found.groups()
        return _counted_from_1(f"{subject}/{sequence}/video_{camera}", number, subject, sequence, camera)
    if found := _MPI_INF_3DHP_TEST.search(name):
        return _counted_from_1(found[1], found[2], found[1])
    return None


def _counted_from_1(sequence: str, number: str, subject: str, action: str = "", camera: str = "") -> Frame | None:
    index = int(number) - 1
    return Frame(sequence, index, subject, action, camera=camera) if index >= 0 else None
