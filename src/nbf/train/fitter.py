"""Training the fitter: body parameters from part maps, true, spoilt or predicted, and from joints alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf import losses
from nbf.body.joints import world_rotations
from nbf.body.model import BodyModel, BodyOutput, pose_joints
from nbf.geometry.camera import Camera, crop_camera_from_translation
from nbf.nets.fitter import Findings, Fitter, FitterInput, FitterOutput, JointMaps, body_translation
from nbf.nets.mirror import in_crop, in_pixels
from nbf.nets.segmenter import INPUT_SIZE
from nbf.train.batch import Batch
from nbf.train.corrupt import CorruptionConfig, corrupt, noisy_joints, noisy_keypoints

# Side of a cell of the joint maps in pixels of the crop.
JOINT_STRIDE = 8
JOINT_SIGMA = 1.0


@dataclass(frozen=True)
class FitterWeights:
    """Weights of the fitter's losses."""

    rotations: float = 3.0
    """L_lat, rotations: L1 of matrix entries in the camera frame, in which the network predicts them."""
    betas: float = 0.1
    """L_lat, shape: L1 in standard deviations."""
    joints: float = 3.0
    """L_3D: joints relative to the pelvis, metres."""
    projection: float = 3.0
    """L_2D: projected joints, crop sides."""
    camera: float = 0.5
    """L1 of log scale and offset of the crop camera."""
    maps: float = 0.05
    """Cross entropy of the joint maps."""
    places: float = 1.0
    """L1 of the joints' places in the crop, half crop sides."""


class FitterTask:
    """L_lat + L_3D + L_2D through the body model (Omran et al. 2018, section 3.3), and the joints' maps."""

    def __init__(
        self,
        network: Fitter,
        body: BodyModel,
        weights: FitterWeights,
        corruption: CorruptionConfig | None = None,
    ) -> None:
        self.network = network
        self.body = body
        self.weights = weights
        self.corruption = corruption

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output, maps = network(self.proxy(batch))
        return self.judge(output, maps, batch)

    def judge(self, output: FitterOutput, maps: JointMaps, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses of a fitter's answers for the first rows of a batch; the others are lifted here."""
        truth = self.truth(batch)
        output = self.completed(output, batch, truth)
        with torch.autocast(output.betas.device.type, enabled=False):  # millimetres need float32
            return self.residuals(output, batch, truth) | self.map_residuals(maps, batch, truth)

    @torch.no_grad()
    def truth(self, batch: Batch) -> Float[Tensor, "b 24 3"]:
        """The true joints, camera metres."""
        return pose_joints(self.body.rest_joints(batch["betas"]), batch["rotations"], batch["translation"])[1]

    def completed(self, output: FitterOutput, batch: Batch, truth: Tensor) -> FitterOutput:
        """The answers for the first rows of a batch, and after them those for people whose map is not shown."""
        shown = len(output.betas)
        if shown == len(batch["betas"]):
            return output
        return FitterOutput(*(torch.cat(pair) for pair in zip(output, self.lifted(batch, truth, shown))))

    def lifted(self, batch: Batch, truth: Tensor, shown: int) -> FitterOutput:
        """The people whose map is not shown, from their joints and keypoints with a finder's errors."""
        camera = Camera(batch["focal"][shown:], batch["center"][shown:])
        places = in_crop(camera.project(losses.in_front(truth[shown:])))
        keypoints = noisy_keypoints(in_crop(batch["keypoints"][shown:]))
        return self.network.lift(Findings(*noisy_joints(places), keypoints))[0]

    def residuals(self, output: FitterOutput, batch: Batch, truth: Tensor) -> dict[str, Tensor]:
        """The weighted losses of an estimate."""
        weights = self.weights
        camera = Camera(batch["focal"], batch["center"])
        translation = body_translation(self.body, output, camera, INPUT_SIZE)
        _, joints = pose_joints(self.body.rest_joints(output.betas), output.rotations, translation)
        turns = world_rotations(output.rotations), world_rotations(batch["rotations"])
        pixels = camera.project(losses.in_front(joints))
        true_pixels = camera.project(losses.in_front(truth))
        scale, offset = crop_camera_from_translation(truth[:, 0], camera, INPUT_SIZE)
        camera_residual = torch.cat(
            [losses.latent(output.scale.log(), scale.log())[:, None], losses.latent(output.offset, offset)], dim=1
        )
        spread = losses.points_3d(joints, truth, joints[:, 0], truth[:, 0])
        return {
            "rotations": weights.rotations * losses.latent(*turns).mean(),
            "betas": weights.betas * losses.latent(output.betas, batch["betas"]).mean(),
            "joints": weights.joints * spread.mean(),
            "projection": weights.projection * losses.points_2d(pixels, true_pixels, INPUT_SIZE).mean(),
            "camera": weights.camera * camera_residual.mean(),
        }

    def map_residuals(self, maps: JointMaps, batch: Batch, truth: Tensor) -> dict[str, Tensor]:
        """The weighted losses of the joint maps."""
        pixels = in_pixels(self.true_places(batch, truth, len(maps.places)))
        entropy = losses.heatmap_cross_entropy(maps.logits, pixels, JOINT_STRIDE, JOINT_SIGMA)
        return {"maps": self.weights.maps * entropy.mean()} | self.place_residuals(maps.places, batch, truth)

    def place_residuals(self, places: Tensor, batch: Batch, truth: Tensor) -> dict[str, Tensor]:
        """The weighted loss of the joints' places in the crop, of the first rows of a batch."""
        true = self.true_places(batch, truth, len(places))
        return {"places": self.weights.places * losses.latent(places, true).mean()}

    @staticmethod
    def true_places(batch: Batch, truth: Tensor, count: int) -> Float[Tensor, "n 24 2"]:
        """Where the joints of the first rows are to be found: those outside the crop at the rim next to them."""
        camera = Camera(batch["focal"][:count], batch["center"][:count])
        return in_crop(camera.project(losses.in_front(truth[:count]))).clamp(-1, 1)

    @torch.no_grad()
    def proxy(self, batch: Batch) -> FitterInput:
        """What is shown: predicted maps as they are, true ones spoilt if the task spoils them."""
        parts = batch["parts"]
        if self.corruption is not None:
            true = (~batch["predicted"]).nonzero()[:, 0]
            parts = parts.index_copy(0, true, corrupt(parts[true], self.corruption))
        keypoints = in_crop(batch["seen_keypoints"]) * batch["predicted"][:, None, None]
        return FitterInput(parts.contiguous(memory_format=torch.channels_last), keypoints)


def place(body: BodyModel, output: FitterOutput, camera: Camera) -> BodyOutput:
    """The estimated body in camera metres; `camera` is that of the crop at the segmenter's input size."""
    return body(output.betas, output.rotations, body_translation(body, output, camera, INPUT_SIZE))


@torch.no_grad()
def set_mean(task: FitterTask, batches: Iterable[Batch]) -> None:
    """Store the mean body of some batches in a task's network, which has not been trained yet."""
    betas, rotations, log_scales, offsets = [], [], [], []
    for batch in batches:
        camera = Camera(batch["focal"], batch["center"])
        scale, offset = crop_camera_from_translation(task.truth(batch)[:, 0], camera, INPUT_SIZE)
        betas.append(batch["betas"])
        rotations.append(batch["rotations"][:, 1:])
        log_scales.append(scale.log())
        offsets.append(offset)
    task.network.set_mean(
        torch.cat(betas).mean(0), torch.cat(rotations).mean(0), torch.cat(log_scales).mean(), torch.cat(offsets).mean(0)
    )
