"""What all fitters are trained for: bodies like the true ones (Omran et al. 2018, section 3.3)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from nbf import losses
from nbf.body.joints import SMPL24, world_rotations
from nbf.body.model import BodyModel, BodyOutput, pose_joints
from nbf.geometry.camera import Camera, crop_camera_from_translation
from nbf.geometry.procrustes import align
from nbf.nets.mean_body import FitterOutput, MeanBody, body_translation
from nbf.nets.segmenter import INPUT_SIZE
from nbf.train.batch import Batch

HIPS = SMPL24.index("left_hip"), SMPL24.index("right_hip")
"""Between which labelled joints are centred: what data sets call a pelvis differs more than where they have hips."""

MEAN_BATCHES = 8
"""Batches of which an untrained network is told the mean body."""


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
        model: str = "anny24",
    ) -> None:
        """`show` makes the network's inputs of a batch; `model` is what data sets call the body."""
        self.network, self.show, self.body, self.weights, self.model = network, show, body, weights, model

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        """Weighted; of people without `has_body`, if the batch says who has one, only where the joints project to: the
        hidden body's, or those that are labelled, if the batch has labels of joints."""
        output = network(*self.show(batch))
        known, labelled = batch.get("has_body"), "labelled_2d" in batch
        weights = {name: weight for name, weight in vars(self.weights).items() if weight}
        with torch.autocast(output.betas.device.type, enabled=False):  # millimetres need float32
            residuals = self.residuals(output, batch)
            named = {
                name: weight
                * losses.weighted_mean(residuals[name], None if name == "projection" and not labelled else known)
                for name, weight in weights.items()
            }
            if labelled:
                labels = labelled_residuals(self.body, output, batch, self._camera(batch))
                named |= {
                    f"labelled_{name}": weights[name] * value for name, value in labels.items() if name in weights
                }
        return named

    def residuals(self, output: FitterOutput, batch: Batch) -> dict[str, Float[Tensor, " b"]]:
        """Under the names of the weights."""
        return body_residuals(self.body, output, batch, true_joints(self.body, batch), self._camera(batch))

    def _camera(self, batch: Batch) -> Camera:
        return self.network.camera(Camera(batch["focal"], batch["center"]), INPUT_SIZE)


@torch.no_grad()
def true_joints(body: BodyModel, batch: Batch) -> Float[Tensor, "b 24 3"]:
    """The true joints of a batch, camera metres."""
    return pose_joints(body.rest_joints(batch["betas"]), batch["rotations"], batch["translation"])[1]


def body_residuals(
    body: BodyModel,
    output: FitterOutput,
    batch: Batch,
    truth: Float[Tensor, "b 24 3"],
    through: Camera | None = None,
) -> dict[str, Float[Tensor, " b"]]:
    """How far estimates are from the truth, person by person, under the names of `BodyWeights`.

    Estimates stand before the camera `through`, if it is another than the crop's own.
    """
    camera = Camera(batch["focal"], batch["center"])
    through = camera if through is None else through
    translation = body_translation(body, output, through, INPUT_SIZE)
    _, joints = pose_joints(body.rest_joints(output.betas), output.rotations, translation)
    turns = world_rotations(output.rotations), world_rotations(batch["rotations"])
    pixels = through.project(losses.in_front(joints))
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


def labelled_residuals(
    body: BodyModel, output: FitterOutput, batch: Batch, through: Camera
) -> dict[str, Float[Tensor, ""]]:
    """How far estimates are from joints that are labelled, of people whose bodies are not known, under two names of
    `BodyWeights`; weighted means over joints."""
    translation = body_translation(body, output, through, INPUT_SIZE)
    _, joints = pose_joints(body.rest_joints(output.betas), output.rotations, translation)
    pixels, labels = through.project(losses.in_front(joints)), batch["labelled_2d"]
    relative = batch["labelled_3d"][..., :3]
    apart = losses.points_3d(joints, relative, joints[:, list(HIPS)].mean(1), torch.zeros_like(relative[:, 0]))
    return {
        "projection": losses.weighted_mean(losses.points_2d(pixels, labels[..., :2], INPUT_SIZE), labels[..., 2]),
        "joints": losses.weighted_mean(apart, batch["labelled_3d"][..., 3]),
    }


@torch.no_grad()
def set_mean(network: MeanBody, body: BodyModel, batches: Iterable[Batch]) -> None:
    """Store the mean body of some batches in a network that has not been trained yet."""
    betas, rotations, log_scales, offsets = [], [], [], []
    for batch in batches:
        if "labelled_2d" in batch:
            batch = {name: value[batch["has_body"]] for name, value in batch.items()}
        camera = Camera(batch["focal"], batch["center"])
        scale, offset = crop_camera_from_translation(true_joints(body, batch)[:, 0], camera, INPUT_SIZE)
        betas.append(batch["betas"])
        rotations.append(batch["rotations"][:, 1:])
        log_scales.append(scale.log())
        offsets.append(offset)
    network.set_mean(
        torch.cat(betas).mean(0), torch.cat(rotations).mean(0), torch.cat(log_scales).mean(), torch.cat(offsets).mean(0)
    )


def place(body: BodyModel, output: FitterOutput, camera: Camera) -> BodyOutput:
    """The estimated body in camera metres; `camera` is that of the crop at the segmenter's input size."""
    return body(output.betas, output.rotations, body_translation(body, output, camera, INPUT_SIZE))


@torch.no_grad()
def validate_bodies(
    answer: Callable[[Batch], FitterOutput], batches: Iterable[Batch], body: BodyModel
) -> dict[str, float]:
    """Errors over the 24 joints: `mpjpe` (root-aligned), `pa_mpjpe` and `pa_mpjpe_median` after Procrustes, mm;
    `pixels`, the mean 2D error in a 256 px crop; `betas`, the mean absolute shape error."""
    errors, aligned, pixels, betas = [], [], [], []
    for batch in batches:
        camera = Camera(batch["focal"], batch["center"])
        output = answer(batch)
        joints, true = place(body, output, camera).joints, true_joints(body, batch)
        errors.append((joints - joints[:, :1] - true + true[:, :1]).norm(dim=-1))
        aligned.append((align(joints, true) - true).norm(dim=-1).mean(-1))
        pixels.append((camera.project(joints) - camera.project(true)).norm(dim=-1))
        betas.append((output.betas - batch["betas"]).abs())
    return {
        "mpjpe_mm": _mean(errors, 1000.0),
        "pa_mpjpe_mm": _mean(aligned, 1000.0),
        "pa_mpjpe_median_mm": round(torch.cat(aligned).median().item() * 1000.0, 2),
        "pixels": _mean(pixels),
        "betas": _mean(betas),
    }


def _mean(values: list[Tensor], factor: float = 1.0) -> float:
    return round(torch.cat([value.flatten() for value in values]).mean().item() * factor, 2)
