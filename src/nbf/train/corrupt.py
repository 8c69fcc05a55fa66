"""True part maps made as wrong as a segmenter's, so that the fitter meets mistakes before it meets pictures."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Standard deviation, in half crop sides, of the targets of the joint maps: one of their 32 cells.
JOINT_BLUR = 1 / 16


@dataclass(frozen=True)
class CorruptionConfig:
    """How often and how badly true part maps are spoilt; every sample draws its own."""

    clean: float = 0.4
    """Probability that a map stays as it is."""
    drop: float = 0.01
    """Probability that a part is not seen at all."""
    cut: float = 0.1
    """Probability of a rectangle without person."""
    confuse: float = 0.015
    """Probability that a part is partly taken for another one."""
    noise: float = 1.5
    """Largest standard deviation of smooth noise on the log probabilities."""
    blur: float = 0.5
    """Probability of a blurred map."""


def corrupt(parts: Float[Tensor, "b c h w"], config: CorruptionConfig) -> Float[Tensor, "b c h w"]:
    """Spoilt copies of part probabilities; probabilities again. Draws from the device's global generator."""
    chosen = (torch.rand(len(parts), device=parts.device) >= config.clean).nonzero()[:, 0]
    spoilt = confuse_parts(parts[chosen], config.confuse)
    spoilt = drop_parts(spoilt, config.drop)
    spoilt = cut_rectangle(spoilt, config.cut)
    spoilt = blur(spoilt, config.blur)
    return parts.index_copy(0, chosen, noisy_softmax(spoilt, config.noise))


def noisy_joints(
    places: Float[Tensor, "b 24 2"],
) -> tuple[Float[Tensor, "b 24 2"], Float[Tensor, "b 24"]]:
    """True joints in the crop (-1 to 1) as the fitter's joint maps would give them: places and log spreads.

    Each is wrong by a standard deviation of its own, some by much; the spread is that of a map around the place, which
    is never sharper than the maps that training asks for.
    """
    count, device = len(places), places.device
    person = torch.rand(count, 1, device=device)
    error = 10.0 ** (-2.3 + 1.0 * person + 0.5 * torch.rand(places.shape[:2], device=device))
    lost = torch.rand(places.shape[:2], device=device) < 0.15 * person
    error = torch.where(lost, 3 * error, error)
    found = places.clamp(-1, 1) + error[..., None] * torch.randn_like(places)
    return found.clamp(-1, 1), 0.5 * (2 * (JOINT_BLUR**2 + error**2)).log()


def noisy_keypoints(keypoints: Float[Tensor, "b 17 3"]) -> Float[Tensor, "b 17 3"]:
    """True keypoints (-1 to 1 and weight) as a segmenter would give them; for half of the people none at all."""
    given = torch.rand(len(keypoints), 1, 1, device=keypoints.device) < 0.5
    return wrong_keypoints(keypoints) * given


def wrong_keypoints(keypoints: Float[Tensor, "b 17 3"]) -> Float[Tensor, "b 17 3"]:
    """True keypoints (-1 to 1 and weight) as a segmenter would give them."""
    person = torch.rand(len(keypoints), 1, device=keypoints.device)
    error = 10.0 ** (-2.3 + 0.8 * person + 0.4 * torch.rand(keypoints.shape[:2], device=keypoints.device))
    lost = torch.rand(keypoints.shape[:2], device=keypoints.device) < 0.3 * person
    error = torch.where(lost, 5 * error, error)
    places = keypoints[..., :2].clamp(-1, 1) + error[..., None] * torch.randn_like(keypoints[..., :2])
    score = torch.exp(-5 * error) * (0.8 + 0.2 * torch.rand(keypoints.shape[:2], device=keypoints.device))
    return torch.cat([places.clamp(-1, 1), score[..., None]], -1)


def drop_parts(parts: Float[Tensor, "b c h w"], probability: float) -> Float[Tensor, "b c h w"]:
    """Give some parts' share to the background."""
    keep = (torch.rand(*parts.shape[:2], 1, 1, device=parts.device) >= probability).to(parts.dtype)
    body = parts[:, 1:] * keep[:, 1:]
    return torch.cat([1.0 - body.sum(1, keepdim=True), body], dim=1)


def cut_rectangle(parts: Float[Tensor, "b c h w"], probability: float) -> Float[Tensor, "b c h w"]:
    """Make a random rectangle background (DeVries & Taylor 2017, "Cutout")."""
    count, _, height, width = parts.shape
    low = torch.rand(count, 2, 1, device=parts.device)
    size = 0.1 + 0.4 * torch.rand(count, 2, 1, device=parts.device)
    size = size * (torch.rand(count, 1, 1, device=parts.device) < probability)
    x = (torch.arange(width, device=parts.device) + 0.5) / width
    y = (torch.arange(height, device=parts.device) + 0.5) / height
    across = ((x - low[:, 0]).abs() < size[:, 0] / 2)[:, None, None, :]
    down = ((y - low[:, 1]).abs() < size[:, 1] / 2)[:, None, :, None]
    background = torch.zeros_like(parts[:1, :, :1, :1])
    background[:, 0] = 1.0
    return torch.where(across & down, background, parts)


def confuse_parts(parts: Float[Tensor, "b c h w"], probability: float) -> Float[Tensor, "b c h w"]:
    """Move a random share of some parts to their neighbour in the list: the other face, front/back, hand or foot.

    In BodyPix order 1/2, 3/4, ... 23/24 are such pairs: exactly what segmenters confuse.
    """
    body = parts[:, 1:]
    swapped = body.unflatten(1, (-1, 2)).flip(2).flatten(1, 2)
    count, channels = body.shape[:2]
    chosen = torch.rand(count, channels // 2, 1, 1, device=parts.device) < probability
    share = (chosen * torch.rand(count, channels // 2, 1, 1, device=parts.device)).repeat_interleave(2, dim=1)
    return torch.cat([parts[:, :1], torch.lerp(body, swapped, share.to(body.dtype))], dim=1)


def blur(parts: Float[Tensor, "b c h w"], probability: float) -> Float[Tensor, "b c h w"]:
    """Mix with a 5x5 box blur by a random amount."""
    amount = torch.rand(len(parts), 1, 1, 1, device=parts.device)
    amount = amount * (torch.rand(len(parts), 1, 1, 1, device=parts.device) < probability)
    smooth = F.avg_pool2d(F.pad(parts, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return torch.lerp(parts, smooth, amount.to(parts.dtype))


def noisy_softmax(parts: Float[Tensor, "b c h w"], most: float) -> Float[Tensor, "b c h w"]:
    """Smooth noise of random strength on log probabilities, with a random floor: wrong borders and soft confusions."""
    count, channels, height, width = parts.shape
    strength = most * torch.rand(count, 1, 1, 1, device=parts.device) ** 2
    coarse = torch.randn(count, channels, height // 8, width // 8, device=parts.device)
    noise = F.interpolate(coarse, size=(height, width), mode="bilinear") * strength
    floor = 10.0 ** (-4.0 + 2.5 * torch.rand(count, 1, 1, 1, device=parts.device))
    return ((parts.clamp(min=0) + floor).log() + noise).softmax(1)
