"""Training the fitter: body parameters from true part maps, spoilt ones, and the segmenter's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from nbf import losses
from nbf.body.model import BodyOutput
from nbf.geometry.camera import Camera, crop_camera_from_translation, translation_from_crop_camera
from nbf.nets.fitter import Fitter, FitterOutput
from nbf.nets.segmenter import INPUT_SIZE
from nbf.train.batch import Batch
from nbf.train.corrupt import CorruptionConfig, corrupt


@dataclass(frozen=True)
class FitterWeights:
    """Weights of the fitter's losses."""

    rotations: float = 3.0
    """L_lat, rotations: L1 of matrix entries in the camera frame, in which the network predicts them."""
    betas: float = 0.1
    """L_lat, shape: L1 in standard deviations."""
    joints: float = 3.0
    """L_3D: joints relative to the pelvis, metres."""
    vertices: float = 1.0
    """Vertices of the small body relative to the pelvis, metres."""
    projection: float = 3.0
    """L_2D: projected joints, crop sides."""
    camera: float = 0.5
    """L1 of log scale and offset of the crop camera."""
    keypoints: float = 3.0
    """L_2D of real photos: projected COCO keypoints against labelled ones, crop sides."""


@runtime_checkable
class Body(Protocol):
    """What the losses need of a body model (nbf.body.model.BodyModel)."""

    def __call__(self, betas: Tensor, rotations: Tensor, translation: Tensor) -> BodyOutput: ...

    def rest_joints(self, betas: Tensor) -> Tensor: ...

    def keypoints(self, output: Any, kind: str) -> Tensor: ...


class FitterTask:
    """L_lat + L_3D + L_2D through the body model (Omran et al. 2018, section 3.3)."""

    def __init__(
        self,
        network: Fitter,
        body: Body,
        weights: FitterWeights,
        corruption: CorruptionConfig | None = None,
    ) -> None:
        self.network = network
        self.body = body
        self.weights = weights
        self.corruption = corruption

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output = network(self.proxy(batch))
        with torch.autocast(output.betas.device.type, enabled=False):  # millimetres need float32
            return self.residuals(output, batch)

    def residuals(self, output: FitterOutput, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses of an estimate."""
        weights = self.weights
        camera = Camera(batch["focal"], batch["center"])
        estimate = place(self.body, output, camera)
        with torch.no_grad():
            truth = self.body(batch["betas"], batch["rotations"], batch["translation"])
        roots = estimate.joints[:, 0], truth.joints[:, 0]
        turns = estimate.transforms[..., :3], truth.transforms[..., :3]
        pixels = camera.project(losses.in_front(estimate.joints))
        true_pixels = camera.project(losses.in_front(truth.joints))
        scale, offset = crop_camera_from_translation(truth.joints[:, 0], camera, INPUT_SIZE)
        camera_residual = torch.cat(
            [losses.latent(output.scale.log(), scale.log())[:, None], losses.latent(output.offset, offset)], dim=1
        )
        synthetic = ~batch["real"]
        keypoints = camera.project(losses.in_front(self.body.keypoints(estimate, "coco17")))
        real_keypoints = batch["keypoints"][..., 2] * batch["real"][:, None]
        found = losses.points_2d(keypoints, batch["keypoints"][..., :2], INPUT_SIZE)
        return {
            "rotations": weights.rotations * _mean(losses.latent(*turns), synthetic),
            "betas": weights.betas * _mean(losses.latent(output.betas, batch["betas"]), synthetic),
            "joints": weights.joints * _mean(losses.points_3d(estimate.joints, truth.joints, *roots), synthetic),
            "vertices": weights.vertices
            * _mean(losses.points_3d(estimate.vertices, truth.vertices, *roots), synthetic),
            "projection": weights.projection * _mean(losses.points_2d(pixels, true_pixels, INPUT_SIZE), synthetic),
            "camera": weights.camera * _mean(camera_residual, synthetic),
            "keypoints": weights.keypoints * losses.weighted_mean(found, real_keypoints),
        }

    @torch.no_grad()
    def proxy(self, batch: Batch) -> Float[Tensor, "b 25 64 64"]:
        """Part probabilities: predicted ones as they are, true ones spoilt if the task spoils them."""
        parts = batch["parts"]
        if self.corruption is not None:
            true = (~batch["predicted"]).nonzero()[:, 0]
            parts = parts.index_copy(0, true, corrupt(parts[true], self.corruption))
        return parts.contiguous(memory_format=torch.channels_last)


def place(body: Body, output: FitterOutput, camera: Camera) -> BodyOutput:
    """The estimated body in camera metres; `camera` is that of the crop at the segmenter's input size."""
    pelvis = translation_from_crop_camera(output.scale, output.offset, camera, INPUT_SIZE)
    translation = pelvis - body.rest_joints(output.betas)[:, 0]
    return body(output.betas, output.rotations, translation)


def _mean(residuals: Tensor, samples: Tensor) -> Tensor:
    """Mean over the chosen samples, 0 without any."""
    return losses.weighted_mean(residuals.flatten(1).mean(1), samples)


@torch.no_grad()
def set_mean(network: Fitter, batches: Iterable[Batch]) -> None:
    """Store the mean body of some batches in a network that has not been trained yet."""
    betas, rotations, log_scales, offsets = [], [], [], []
    for batch in batches:
        synthetic = ~batch["real"]
        batch = {name: batch[name][synthetic] for name in ("focal", "center", "joints_3d", "betas", "rotations")}
        camera = Camera(batch["focal"], batch["center"])
        pelvis = batch["joints_3d"][:, 0]
        scale, offset = crop_camera_from_translation(pelvis, camera, INPUT_SIZE)
        betas.append(batch["betas"])
        rotations.append(batch["rotations"][:, 1:])
        log_scales.append(scale.log())
        offsets.append(offset)
    network.set_mean(
        torch.cat(betas).mean(0), torch.cat(rotations).mean(0), torch.cat(log_scales).mean(), torch.cat(offsets).mean(0)
    )
