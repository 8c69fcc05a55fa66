"""Samples for packs: synthetic people with their true part maps and as the segmenter sees them; photos with fits."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d

from nbf.data.fits import RealFits
from nbf.data.pack import Photos
from nbf.geometry.camera import Camera
from nbf.geometry.crop import Crop
from nbf.nets.blocks import multiplies_bfloat16
from nbf.nets.mirror import in_pixels
from nbf.nets.segmenter import INPUT_SIZE, Segmenter
from nbf.proxy.segmented import look
from nbf.synth.sampler import Sampler
from nbf.synth.view import normal, uniform
from nbf.train.batch import BODY_LABELS, Batch
from nbf.train.labelled import SHIFT, ZOOM, LabelledCrops, labelled_rows
from nbf.train.packs import compress
from nbf.train.photo_crops import LEAST_KEYPOINTS


def draw_dressed(sampler: Sampler, segmenter: Segmenter, count: int) -> Batch:
    """`count` dressed people: `parts` true and compressed, `seen_parts` and `seen_keypoints` of their pictures."""
    batch = sampler.sample(count)
    return {"parts": compress(batch["parts"])} | see(segmenter, batch["image"]) | body_labels(batch)


def draw_pictures(sampler: Sampler, count: int) -> Batch:
    """`count` dressed people with their pictures and all that is known of them: `image` (n,3,128,128) and `surface`
    (n,3,64,64, zero beside the person) as bytes, `parts` true and compressed."""
    batch = sampler.sample(count)
    surface = batch["surface"] * batch["surface_mask"][:, None]
    return {
        "image": (avg_pool2d(batch["image"], 2) * 255).round().byte(),
        "surface": (surface * 255).round().byte(),
        "parts": compress(batch["parts"]),
    } | body_labels(batch)


def draw_labels(sampler: Sampler, count: int) -> Batch:
    """`count` dressed people by their true part maps alone."""
    batch = sampler.sample(count, picture=False)
    return {"parts": compress(batch["parts"])} | body_labels(batch)


def draw_skeletons(sampler: Sampler, count: int) -> Batch:
    """`count` bodies without any map."""
    return body_labels(sampler.sample_skeletons(count))


def draw_bare(sampler: Sampler, count: int) -> Batch:
    """`count` naked people by their true part maps alone, of which only the strongest part of a pixel is kept."""
    batch = sampler.sample_bare(count)
    return {"parts": compress(batch["parts"], 1)} | body_labels(batch)


def draw_photos(photos: Photos, fits: RealFits, segmenter: Segmenter, count: int, generator: Generator) -> Batch:
    """`count` random people of photos whose fits were kept, in crops as uncertain as a locator's boxes.

    Everything must be on one device. The labels are the fits'; there is no true part map.
    """
    people = _random_rows(fits.kept.nonzero()[:, 0], count, generator)
    labels = {
        "betas": fits.betas[people],
        "rotations": fits[people].rotations,
        "translation": fits.translation[people],
    }
    return _photographed(photos, people, fits[people].camera, segmenter, generator) | labels


def draw_labelled(
    sets: Sequence[tuple[LabelledCrops, int]], segmenter: Segmenter, device: torch.device, generator: Generator
) -> Batch:
    """People of data sets, so many of each, with their bodies, and what the segmenter makes of their pictures."""
    rows = labelled_rows(sets, INPUT_SIZE, generator)
    labels = {name: rows[name].to(device) for name in BODY_LABELS}
    return see(segmenter, rows["image"].to(device).float() / 255) | labels


def draw_snapshots(photos: Photos, segmenter: Segmenter, count: int, generator: Generator) -> Batch:
    """`count` random people of photos with labelled keypoints, as `draw_photos` but whether a body was fitted or not.

    The labels are keypoints, and a camera of the default focal length.
    """
    trusted = (photos.keypoints[..., 2] > 0).sum(1)
    people = _random_rows((trusted >= LEAST_KEYPOINTS).nonzero()[:, 0], count, generator)
    size = photos.size[photos.photo[people]]
    return _photographed(photos, people, Camera(size.norm(dim=1), size / 2), segmenter, generator)


def _random_rows(rows: Tensor, count: int, generator: Generator) -> Tensor:
    return rows[torch.randint(len(rows), (count,), generator=generator, device=generator.device)]


def _photographed(photos: Photos, people: Tensor, camera: Camera, segmenter: Segmenter, generator: Generator) -> Batch:
    """What the segmenter makes of crops of photos; the crops' cameras and the labelled keypoints in them."""
    count = len(people)
    crop = Crop.from_boxes(photos.boxes[people], INPUT_SIZE)
    size = crop.size * uniform((count,), *ZOOM, generator)
    crop = Crop(crop.center + size[:, None] * normal((count, 2), SHIFT, generator), size, INPUT_SIZE)
    # The canvas of a pack is square; what lies beyond the photo is black there, as a predictor's crops have it.
    image = crop.sample(photos.images[photos.photo[people]])
    camera, keypoints = crop.camera(camera), photos.keypoints[people]
    return see(segmenter, image) | {
        "focal": camera.focal,
        "center": camera.center,
        "keypoints": torch.cat([crop.to_crop(keypoints[..., :2]), keypoints[..., 2:]], -1),
    }


def body_labels(batch: Batch) -> Batch:
    """What of a sampled batch says how the body stands."""
    return {name: batch[name] for name in BODY_LABELS}


@torch.no_grad()
def see(segmenter: Segmenter, image: Tensor) -> Batch:
    """What the segmenter makes of pictures, looked at both ways as a predictor does: `seen_parts` compressed,
    `seen_keypoints` (n,17,3) pixels and score."""
    with torch.autocast(image.device.type, torch.bfloat16, enabled=multiplies_bfloat16(image.device)):
        proxy = look(segmenter, image.contiguous(memory_format=torch.channels_last))
    return {"seen_parts": compress(proxy.parts.float()), "seen_keypoints": in_pixels(proxy.keypoints)}
