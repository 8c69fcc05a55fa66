"""A network that is asked both ways cannot tell left from right."""

import torch

from nbf.body.files import load_body
from nbf.body.joints import COCO17, mirror_rotations
from nbf.geometry.rotations import geodesic_angle
from nbf.nets.fitter import Fitter, FitterInput
from nbf.nets.locator import LocatorOutput, boxes_from_distances, decode, locate_both_ways
from nbf.nets.mirror import mirror_keypoints, mirror_parts, mirror_surface, segment_both_ways
from nbf.nets.segmenter import Segmenter
from nbf.solve.regress import read_both_ways


def test_mirroring_parts_twice_changes_nothing() -> None:
    parts = torch.rand(2, 25, 8, 8)
    assert torch.equal(mirror_parts(mirror_parts(parts)), parts)
    left_hand = torch.zeros(1, 25, 4, 4)
    left_hand[0, 11, 1, 0] = 1
    assert mirror_parts(left_hand)[0, 12, 1, 3] == 1


def test_mirrored_pictures_have_mirrored_proxies() -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(16, 16, 0.25).eval()
    image = torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        proxy, mirrored = segment_both_ways(segmenter, image), segment_both_ways(segmenter, image.flip(-1))
    torch.testing.assert_close(mirrored.parts, mirror_parts(proxy.parts), atol=1e-5, rtol=0)
    torch.testing.assert_close(mirrored.keypoints, mirror_keypoints(proxy.keypoints), atol=1e-4, rtol=0)
    torch.testing.assert_close(mirrored.surface, mirror_surface(proxy.surface), atol=1e-5, rtol=0)
    torch.testing.assert_close(proxy.parts.sum(1), torch.ones(2, 64, 64))


def test_left_of_a_mirrored_body_is_its_right() -> None:
    """The places of left joints' skin, in the mirror, are those of right ones."""
    body = load_body("anny24", "small")
    rows = [COCO17.index(f"{side}_wrist") for side in ("left", "right")]
    places = (body.keypoint_weights[..., None] * body.surface[body.keypoint_vertices])[rows].sum(1)
    left, right = places.view(2, 1, 3, 1, 1)
    torch.testing.assert_close(mirror_surface(left), right, atol=1e-3, rtol=0)
    assert (left - right).abs().max() > 0.5
    surface = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(mirror_surface(mirror_surface(surface)), surface)


def test_mirrored_proxies_have_mirrored_bodies() -> None:
    torch.manual_seed(0)
    fitter = Fitter(5, width=8, features=4, lifter=16, blocks=1).eval()
    torch.nn.init.normal_(fitter.lifter.head.weight, std=0.1)
    proxy = FitterInput(torch.rand(3, 25, 64, 64).softmax(1), torch.rand(3, 17, 3))
    mirror = FitterInput(mirror_parts(proxy.parts), mirror_keypoints(proxy.keypoints))
    with torch.no_grad():
        body, mirrored = (read_both_ways(fitter, seen)[0] for seen in (proxy, mirror))
    torch.testing.assert_close(mirrored.betas, body.betas)
    torch.testing.assert_close(mirrored.scale, body.scale)
    torch.testing.assert_close(mirrored.offset, body.offset * torch.tensor([-1.0, 1.0]), atol=1e-6, rtol=0)
    assert geodesic_angle(mirrored.rotations, mirror_rotations(body.rotations)).max() < 1e-3


def test_mirrored_pictures_have_mirrored_boxes() -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 5, 8, 8, bias=False)

    def locator(image: torch.Tensor) -> LocatorOutput:
        center, box = (10 * convolution(image)).split((1, 4), dim=1)
        return LocatorOutput(center, box.sigmoid() / 4)

    image = torch.rand(2, 3, 128, 128) - 0.5
    with torch.no_grad():
        output, mirrored = locate_both_ways(locator, image), locate_both_ways(locator, image.flip(-1))
        alone = locator(image)
    torch.testing.assert_close(mirrored.center, output.center.flip(-1), atol=1e-5, rtol=1e-5)
    across = torch.tensor([1.0, 0.0, 1.0, 0.0])[:, None, None]
    boxes = boxes_from_distances(output.box)[:, [2, 1, 0, 3]].flip(-1)
    there = boxes_from_distances(mirrored.box)
    torch.testing.assert_close(there, across + (1 - 2 * across) * boxes, atol=1e-5, rtol=1e-5)
    assert (output.center - alone.center).abs().max() > 0.1, "this network sees the same both ways: nothing is tested"
    for (found, scores), (mirror, same) in zip(decode(output, 0.01), decode(mirrored, 0.01), strict=True):
        assert len(found)
        torch.testing.assert_close(scores, same)
        expected = torch.stack([1 - found[:, 2], found[:, 1], 1 - found[:, 0], found[:, 3]], 1)
        torch.testing.assert_close(mirror, expected, atol=1e-5, rtol=0)
