"""What all fitters are trained for: bodies like the true ones (Omran et al. 2018, section 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from nbf import losses
from nbf.body.joints import world_rotations
from nbf.body.model import BodyModel, pose_joints
from nbf.geometry.camera import Camera, crop_camera_from_translation
from nbf.nets.mean_body import FitterOutput, MeanBody, body_translation
from nbf.nets.segmenter import INPUT_SIZE
from nbf.train.batch import Batch


@dataclass(frozen=True)
class BodyWeights:
    """Weights of the losses of bodies; 0 leaves one out."""

    rotations: float = 3.0
    """L_lat, rotations: L1 of matrix entries in the camera frame, in which networks predict them."""
    betas: float = 0.1
    """L_lat, shape: L1 in standard deviations."""
    joints: float = 3.0
    """L_3D: joints relative to the pelvis, metres."""
    projection: float = 3.0
    """L_2D: projected joints, crop sides."""
    camera: float = 0.5
    """L1 of log scale and offset of the crop camera."""


NetworkT = TypeVar("NetworkT", bound=MeanBody)


class BodyTask(Generic[NetworkT]):
    """L_lat + L_3D + L_2D for a network that answers with a body."""

    def __init__(
        self,
        network: NetworkT,
        show: Callable[[Batch], tuple[Tensor, ...]],
        body: BodyModel,
        weights: BodyWeights = BodyWeights(),
    ) -> None:
        """`show` makes the network's inputs of a batch."""
        self.network, self.show, self.body, self.weights = network, show, body, weights

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        """Weighted; of people without `has_body`, if the batch says who has one, only where the joints project to."""
        output = network(*self.show(batch))
        known = batch.get("has_body")
        with torch.autocast(output.betas.device.type, enabled=False):  # millimetres need float32
            residuals = body_residuals(self.body, output, batch, true_joints(self.body, batch))
            return {
                name: weight * losses.weighted_mean(residuals[name], None if name == "projection" else known)
                for name, weight in vars(self.weights).items()
                if weight
            }


@torch.no_grad()
def true_joints(body: BodyModel, batch: Batch) -> Float[Tensor, "b 24 3"]:
    """The true joints of a batch, camera metres."""
    return pose_joints(body.rest_joints(batch["betas"]), batch["rotations"], batch["translation"])[1]


def body_residuals(
    body: BodyModel, output: FitterOutput, batch: Batch, truth: Float[Tensor, "b 24 3"]
) -> dict[str, Float[Tensor, " b"]]:
    """How far estimates are from the truth, person by person, under the names of `BodyWeights`."""
    camera = Camera(batch["focal"], batch["center"])
    translation = body_translation(body, output, camera, INPUT_SIZE)
    _, joints = pose_joints(body.rest_joints(output.betas), output.rotations, translation)
    turns = world_rotations(output.rotations), world_rotations(batch["rotations"])
    pixels = camera.project(losses.in_front(joints))
    true_pixels = camera.project(losses.in_front(truth))
    scale, offset = crop_camera_from_translation(truth[:, 0], camera, INPUT_SIZE)
    camera_residual = torch.cat(
        [losses.latent(output.scale.log(), scale.log())[:, None], losses.latent(output.offset, offset)], dim=1
    )
    return {
        "rotations": losses.latent(*turns).mean((1, 2, 3)),
        "betas": losses.latent(output.betas, batch["betas"]).mean(1),
        "joints": losses.points_3d(joints, truth, joints[:, 0], truth[:, 0]).mean(1),
        "projection": losses.points_2d(pixels, true_pixels, INPUT_SIZE).mean(1),
        "camera": camera_residual.mean(1),
    }
