"""A network that is asked both ways cannot tell left from right."""

import torch

from nbf.body.joints import mirror_rotations
from nbf.geometry.rotations import geodesic_angle
from nbf.nets.fitter import Fitter, Proxy
from nbf.nets.mirror import fit_both_ways, mirror_keypoints, mirror_parts, segment_both_ways
from nbf.nets.segmenter import Segmenter


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
    torch.testing.assert_close(proxy.parts.sum(1), torch.ones(2, 64, 64))


def test_mirrored_proxies_have_mirrored_bodies() -> None:
    torch.manual_seed(0)
    fitter = Fitter(5, width=8, features=4, lifter=16, blocks=1).eval()
    torch.nn.init.normal_(fitter.lifter.head.weight, std=0.1)
    proxy = Proxy(torch.rand(3, 25, 64, 64).softmax(1), torch.rand(3, 17, 3))
    mirror = Proxy(mirror_parts(proxy.parts), mirror_keypoints(proxy.keypoints))
    with torch.no_grad():
        body, mirrored = fit_both_ways(fitter, proxy), fit_both_ways(fitter, mirror)
    torch.testing.assert_close(mirrored.betas, body.betas)
    torch.testing.assert_close(mirrored.scale, body.scale)
    torch.testing.assert_close(mirrored.offset, body.offset * torch.tensor([-1.0, 1.0]), atol=1e-6, rtol=0)
    assert geodesic_angle(mirrored.rotations, mirror_rotations(body.rotations)).max() < 1e-3
