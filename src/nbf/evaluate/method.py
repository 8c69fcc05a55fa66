"""How bodies are found: the one place of the benchmark that knows which networks there are and what they are asked."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.evaluate.score import Bodies
from nbf.geometry.camera import Camera
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import Fitter, FitterOutput, Proxy, body_translation
from nbf.nets.mirror import fit_both_ways, segment_both_ways
from nbf.nets.segmenter import INPUT_SIZE, Segmenter


@dataclass(frozen=True)
class Answer:
    """What a method makes of a batch."""

    parts: Float[Tensor, "n 25 h w"]
    """The proxy: part probabilities that the bodies were fitted to."""
    bodies: Bodies


Method = Callable[[dict[str, Tensor]], Answer]
"""A batch of labelled people in crops of `INPUT_SIZE` pixels to their bodies."""


class Regress:
    """The networks, asked as `nbf predict` asks them (both ways round) but in float32 on every machine.

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
        if self.segmenter is None:
            proxy = Proxy.of_parts(self._to_network(batch["parts"]))
        else:
            proxy = segment_both_ways(self.segmenter, self._to_network(batch["image"]))
        guess = FitterOutput(*(value.cpu() for value in fit_both_ways(self.fitter, proxy)))
        camera = Camera(batch["focal"], batch["center"])
        translation = body_translation(self.body, guess, camera, INPUT_SIZE)
        return Answer(proxy.parts.cpu(), Bodies(guess.betas, guess.rotations, translation))

    def _to_network(self, images: Tensor) -> Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)
