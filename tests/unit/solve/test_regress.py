"""Bodies of a fitter, before the camera that the proxy names."""

import torch

from nbf.geometry import Camera
from nbf.nets.fitter import Fitter, FitterInput
from nbf.proxy.proxy import Proxy
from nbf.solve.regress import Regress, read_both_ways


def test_the_pelvis_projects_to_the_fitters_offset_at_its_scale() -> None:
    torch.manual_seed(0)
    fitter = Fitter(5, width=8, features=4, lifter=16, blocks=1).eval()
    torch.nn.init.normal_(fitter.lifter.head.weight, std=0.1)
    camera = Camera(torch.tensor([0.8, 2.0]), torch.tensor([[0.5, 0.5], [-0.4, 1.3]]))
    parts = torch.rand(2, 25, 64, 64).softmax(1)
    fit = Regress(fitter)(Proxy(camera, parts))
    with torch.no_grad():
        said, _ = read_both_ways(fitter, FitterInput.of_parts(parts))
    found = camera.project(fit.bodies.pelvis[:, None])[:, 0]
    torch.testing.assert_close(found, said.offset * 0.5 + 0.5, atol=1e-5, rtol=1e-4)
    # One metre at the pelvis spans `scale` of the crop's side.
    torch.testing.assert_close(camera.focal / fit.bodies.pelvis[:, 2], said.scale, atol=1e-5, rtol=1e-4)
