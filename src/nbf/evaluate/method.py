"""How bodies are found: the one place of the benchmark that knows which networks there are and what they are asked."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.evaluate.score import Bodies
from nbf.geometry.camera import Camera
from nbf.nets.blocks import for_inference
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Fitter, FitterOutput, Proxy, body_translation
from nbf.nets.look import look
from nbf.nets.mirror import fit_both_ways, read_both_ways
from nbf.nets.segmenter import INPUT_SIZE, Segmenter
from nbf.solve.optimise import Given, Refiner
from nbf.solve.uncertainty import joint_sigmas


@dataclass(frozen=True)
class Answer:
    """What a method makes of a batch."""

    parts: Float[Tensor, "n 25 h w"]
    """The proxy: part probabilities that the bodies were fitted to."""
    bodies: Bodies
    before: Bodies | None = None
    """The bodies before refinement; None where nothing was refined."""
    joint_error: Float[Tensor, "n 24"] | None = None
    """Metres by which the method says that each joint is off, relative to the pelvis."""


Method = Callable[[dict[str, Tensor]], Answer]
"""A batch of labelled people in crops of `INPUT_SIZE` pixels to their bodies."""


class Regress:
    """The networks, asked as `nbf predict` asks them (both ways, lying people twice) but in float32 on every machine.

    Of the truth only the camera is used, as a predictor that knows the lens would; with true parts, those as well.
    """

    def __init__(
        self, body: BodyModel, fitter: Fitter, segmenter: Segmenter | None, device: torch.device | str = "cpu"
    ) -> None:
        """`body` is the fitter's body model, on the CPU. Without a segmenter the fitter sees the true part maps."""
        self.body, self.device = body, device
        self.fitter = for_inference(fitter).to(device)
        self.segmenter = None if segmenter is None else for_inference(segmenter).to(device)

    @torch.no_grad()
    def __call__(self, batch: dict[str, Tensor]) -> Answer:
        proxy = self.proxy(batch)
        guess = FitterOutput(*(value.cpu() for value in fit_both_ways(self.fitter, proxy)))
        camera = Camera(batch["focal"], batch["center"])
        translation = body_translation(self.body, guess, camera, INPUT_SIZE)
        return Answer(proxy.parts.cpu(), Bodies(guess.betas, guess.rotations, translation))

    def proxy(self, batch: dict[str, Tensor]) -> Proxy:
        """What the fitter sees."""
        if self.segmenter is None:
            return Proxy.of_parts(self._to_network(batch["parts"]))
        return look(self.segmenter, self._to_network(batch["image"]))

    def _to_network(self, images: Tensor) -> Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)


class Refine:
    """The same, refined as `nbf predict` refines; the truth tells the camera and, if asked, everybody's height."""

    def __init__(self, regress: Regress, doubt: Doubt, *, known_height: bool) -> None:
        self.regress, self.known_height = regress, known_height
        self.refiner = Refiner(regress.body, doubt)

    @torch.no_grad()
    def __call__(self, batch: dict[str, Tensor]) -> Answer:
        seen, body = self.regress.proxy(batch), self.regress.body
        reading = read_both_ways(self.regress.fitter, seen).cpu()
        proxy = Proxy(*(value.cpu() for value in seen))
        camera = Camera(batch["focal"], batch["center"]).scaled(1 / INPUT_SIZE)
        given = Given.nothing(len(batch["focal"]))
        if self.known_height:
            given = replace(given, heights=height(body.rest_vertices(batch["betas"])))
        estimate = self.refiner.estimate(reading, proxy, camera)
        refined = self.refiner.refine(estimate, given)
        before, after = (
            Bodies(state.betas, state.rotations, state.translation(body)) for state in (estimate.start, refined.state)
        )
        error = joint_sigmas(self.refiner.joints, refined.state, refined.covariance) * self.refiner.doubt.joint_factor
        return Answer(proxy.parts, after, before, error)
