"""Synthetic people without any shared asset: painted clothes, procedural backgrounds, the bundled pose statistic."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nbf.body.files import load_body
from nbf.geometry.camera import Camera
from nbf.synth.background import Backgrounds
from nbf.synth.crowd import CrowdSampler
from nbf.synth.labels import soft_one_hot
from nbf.synth.outfit import Closet
from nbf.synth.poses import PoseLibrary
from nbf.synth.sampler import Sampler, SamplerConfig
from nbf.synth.view import ViewConfig

PLAIN = SamplerConfig(bystanders=0.0, occluded=0.0, view=ViewConfig(truncated=0.0))
NOWHERE = Path("no such folder")


def make(seed: int = 0, config: SamplerConfig = PLAIN) -> Sampler:
    return Sampler.load(NOWHERE, "train", seed=seed, config=config)


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    return make().sample(4)


def test_same_seed_same_people(batch: dict[str, torch.Tensor]) -> None:
    again = make().sample(4)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert not torch.equal(batch["image"], make(seed=1).sample(4)["image"])


def test_labels_belong_together(batch: dict[str, torch.Tensor]) -> None:
    camera = Camera(batch["focal"], batch["center"])
    torch.testing.assert_close(camera.project(batch["joints_3d"]), batch["joints_2d"])
    body = load_body("anny24", "full")
    posed = body(batch["betas"], batch["rotations"], batch["translation"])
    torch.testing.assert_close(posed.joints, batch["joints_3d"])
    torch.testing.assert_close(camera.project(body.keypoints(posed, "coco17")), batch["keypoints"][..., :2])


def test_part_shares_sum_to_one_and_cover_the_body(batch: dict[str, torch.Tensor]) -> None:
    parts = batch["parts"]
    torch.testing.assert_close(parts.sum(1), torch.ones_like(parts[:, 0]))
    covered = 1 - parts[:, 0]
    pelvis = (batch["joints_2d"][:, 0] / 4).long()
    assert all(covered[i, y, x] > 0.9 for i, (x, y) in enumerate(pelvis.tolist()))
    assert ((covered > 0.5) == batch["surface_mask"]).float().mean() > 0.999


def test_surface_is_where_the_vertices_are(batch: dict[str, torch.Tensor]) -> None:
    surface = batch["surface"].permute(0, 2, 3, 1)[batch["surface_mask"]]
    assert surface.min() >= 0
    assert surface.max() <= 1
    # The canonical height of pixels on the feet is low and on the head is high.
    height = batch["surface"][:, 1]
    parts = batch["parts"]
    feet, head = parts[:, 23:].sum(1) > 0.9, parts[:, 1:3].sum(1) > 0.9
    assert height[feet].max() < 0.2
    assert height[head].min() > 0.75


def test_labels_alone_are_those_of_the_picture() -> None:
    full, labels = make().sample(4), make().sample(4, picture=False)
    torch.testing.assert_close(full["joints_2d"], labels["joints_2d"])
    assert (full["parts"] - labels["parts"]).abs().sum(1).mean() < 0.03
    assert "image" not in labels


def test_bare_people_have_the_labels_of_dressed_ones() -> None:
    """Without a wardrobe nobody wears anything, so that only the level of detail and the resolution differ."""
    dressed, bare = make().sample(8, picture=False), make().sample_bare(8)
    finer = {"vertices", "labels"}
    assert {name: value.shape for name, value in dressed.items() if name not in finer} == {
        name: value.shape for name, value in bare.items() if name not in finer
    }
    for name in ("betas", "rotations"):
        assert torch.equal(dressed[name], bare[name])
    torch.testing.assert_close(dressed["joints_3d"], bare["joints_3d"], atol=1e-3, rtol=0)
    assert (dressed["parts"] - bare["parts"]).abs().sum(1).mean() < 0.08
    both = dressed["surface_mask"] & bare["surface_mask"]
    assert (dressed["surface"] - bare["surface"]).abs().amax(1)[both].median() < 0.02


def test_people_fill_the_crop_as_a_detected_box_does() -> None:
    config = replace(PLAIN, view=ViewConfig(truncated=0.0, shift=0.0, zoom=(1.0, 1.0)))
    batch = make(config=config).sample(4, picture=False)
    pixels = Camera(batch["focal"], batch["center"]).project(batch["vertices"])
    low, high = pixels.amin(1), pixels.amax(1)
    torch.testing.assert_close((high - low).amax(-1), torch.full((4,), 256 / 1.2))
    torch.testing.assert_close((high + low) / 2, torch.full((4, 2), 128.0))


def test_truncated_people_end_where_the_photo_ends() -> None:
    config = replace(PLAIN, view=ViewConfig(truncated=1.0))
    batch = make(config=config).sample(6)
    beyond = batch["image"].sum(1) == 0
    covered = torch.nn.functional.interpolate(1 - batch["parts"][:, :1], scale_factor=4)[:, 0]
    assert beyond.any()
    assert covered[beyond].mean() < 0.05


def test_occluders_and_bystanders_take_pixels_from_the_person() -> None:
    clear = make().sample(8, picture=False)["parts"][:, 1:].sum()
    hidden = make(config=replace(PLAIN, occluded=1.0)).sample(8, picture=False)["parts"][:, 1:].sum()
    assert hidden < 0.98 * clear


def test_soft_one_hot_is_a_share() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    labels[0, 0, 0] = 7
    shares = soft_one_hot(labels, 4)
    assert shares[0, 7, 0, 0] == 1 / 16
    assert shares[0, 0, 0, 0] == 15 / 16


def test_a_crowd_is_boxed_where_it_is_seen() -> None:
    batch = CrowdSampler(make(seed=3)).sample(4)
    boxes = batch["boxes"][batch["valid"]]
    assert len(boxes) > 0
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert batch["image"].shape == (4, 3, 256, 256)


def test_parts_of_a_sampler_can_be_given_one_by_one() -> None:
    closet = Closet.build(load_body("anny24", "full"), None, "train", "cpu")
    sampler = Sampler(
        closet, PoseLibrary.load(NOWHERE / "poses.npz"), Backgrounds.load(None, "train"), "train", config=PLAIN
    )
    assert torch.equal(sampler.sample(2)["image"], make().sample(2)["image"])
