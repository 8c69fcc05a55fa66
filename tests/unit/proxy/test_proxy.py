"""What is seen, of which kinds, and of whom."""

import pytest
import torch

from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.proxy.proxy import Crops, Proxy, Rgb, Truth, silhouette


def crops() -> Crops:
    camera, parts = Camera(torch.ones(2), torch.full((2, 2), 0.5)), torch.rand(2, 25, 8, 8).softmax(1)
    truth = Proxy(camera, parts=parts, joints=torch.rand(2, 17, 3), silhouette=silhouette(parts))
    return Crops(torch.rand(2, 3, 32, 32), camera, truth)


def test_the_truth_is_seen_of_the_kinds_asked_for_and_no_others() -> None:
    some = crops()
    assert some.truth is not None
    seen = Truth("joints", "silhouette")(some)
    assert seen.joints is some.truth.joints
    assert seen.silhouette is some.truth.silhouette
    assert seen.parts is None
    with pytest.raises(InputError, match="expected some whose true surface are known"):
        Truth("joints", "surface")(some)


def test_silhouette_is_all_that_is_no_background() -> None:
    parts = torch.rand(2, 25, 8, 8).softmax(1)
    torch.testing.assert_close(silhouette(parts), parts[:, 1:].sum(1))


def test_a_sum_has_what_either_has_and_of_both_the_first() -> None:
    some = crops()
    seen = Truth("joints")(some) | Rgb()(some)
    assert seen.image is some.image
    assert seen.joints is not None
    assert seen.parts is None
    other = Proxy(some.camera, joints=torch.zeros(2, 17, 3)) | Truth("joints", "parts")(some)
    assert other.joints is not None
    assert (other.joints == 0).all()
    assert other.parts is not None
