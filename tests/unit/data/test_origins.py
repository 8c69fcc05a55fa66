"""What names of pictures tell of their recordings."""

import pytest

from nbf.data.labelled import Frame
from nbf.data.origins import origin

H36M = Frame("S9_Directions_1.54138969", 0, "S9", "Directions", camera="54138969")


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        # The first pose is picture 1.
        ("images/S9_Directions_1.54138969_000001.jpg", H36M),
        (
            "S11_WalkTogether.60457274_001706.jpg",
            Frame("S11_WalkTogether.60457274", 1705, "S11", "WalkTogether", camera="60457274"),
        ),
        ("imageFiles/downtown_arguing_00/image_00000.jpg", Frame("downtown_arguing_00", 0)),
        (
            "S1/Seq1/imageFrames/video_0/frame_000001.jpg",
            Frame("S1/Seq1/video_0", 0, "S1", "Seq1", camera="0"),
        ),
        ("mpi_inf_3dhp_test_set/TS3/imageSequence/img_000010.jpg", Frame("TS3", 9, "TS3")),
        ("images/im1001.jpg", None),
        ("S9_Directions_1.54138969_000000.jpg", None),
    ],
)
def test_names(name: str, frame: Frame | None) -> None:
    assert origin(name) == frame
    assert origin(name.replace("/", "\\")) == frame
