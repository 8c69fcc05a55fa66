"""Answer: a baseline's network and nothing else."""

from collections.abc import Callable

import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.errors import InputError
from nbf.geometry import translation_from_crop_camera
from nbf.known import NOTHING, Known
from nbf.nets.blocks import for_inference
from nbf.nets.mean_body import Baseline, FitterOutput
from nbf.proxy.proxy import Proxy, mirrored, told_joints
from nbf.solve.fit import Fit
from nbf.solve.regress import mean_of_both


class Answer:
    """Bodies straight from a network: the mean of its answers for the evidence and for the mirror image of that."""

    def __init__(
        self, network: Baseline, show: Callable[[Proxy], tuple[Tensor, ...]], device: torch.device | str = "cpu"
    ) -> None:
        """`show` makes the network's inputs of a proxy."""
        self.device, self.show = torch.device(device), show
        self.network = for_inference(network).to(self.device)

    @torch.no_grad()
    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        """Raises InputError where something is known: this solver has no use for it."""
        if known or told_joints(proxy):
            raise InputError("known: expected nothing with a method that does not optimise; use the method nbf")
        here, there = (self.network(*self._inputs(each)) for each in (proxy, mirrored(proxy)))
        output = FitterOutput(*(value.cpu() for value in mean_of_both(here, there)))
        pelvis = translation_from_crop_camera(output.scale, output.offset, proxy.camera, resolution=1)
        count, network = len(proxy), self.network
        return Fit(
            Bodies(output.betas, output.rotations, pelvis),
            joint_error=network.joint_error.cpu().expand(count, -1).clone(),
            shape_covariance=torch.diag(network.shape_error.cpu().square()).expand(count, -1, -1).clone(),
        )

    def _inputs(self, proxy: Proxy) -> list[Tensor]:
        return [value.to(self.device) for value in self.show(proxy)]
