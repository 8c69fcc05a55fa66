"""Batches: seeded by the step, mixed when reused; the moving average; the command line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.cli import main
from nbf.data.blobs import encode
from nbf.data.fits import RealFits
from nbf.data.pack import PhotoPack
from nbf.errors import DataError, InputError
from nbf.nets import Locator
from nbf.synth.room import Room
from nbf.synth.sampler import Sampler, SamplerConfig
from nbf.train.batch import POOL, held_out, mix_rows, mixed_seed, reused, seeded
from nbf.train.config import DataConfig
from nbf.train.locator import locator_draw
from nbf.train.loop import averaged
from nbf.train.segmenter import LABELS, SegmenterData, segmenter_draw

# The steps behind the seeds of runs 1 and 5.
STEPS = {mixed_seed(run, step): step for run in (1, 5) for step in range(1000)}


def draw(seed: int) -> dict[str, torch.Tensor]:
    """Rows that say which batch they are of and where they stood; `image` covers the first two of four."""
    number = STEPS.get(seed, seed)
    return {"number": torch.full((4,), number), "row": torch.arange(4), "image": torch.full((2, 1), float(number))}


def test_a_step_always_gets_the_same_batch() -> None:
    source = seeded(draw, seed=5)
    first = source(0)
    assert [next(first)["number"][0].item() for _ in range(3)] == [0, 1, 2]
    assert next(source(2))["number"][0].item() == 2


def test_every_run_and_every_step_draws_something_else() -> None:
    """PyTorch's CPU generator takes the lower 32 bits of a seed: all of them must depend on all numbers."""
    seeds = [mixed_seed(run, step) for run in (-1, 0, 1, 2) for step in (0, 1, 2**31, 2**33)]
    drawn = [torch.rand(4, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert torch.cdist(torch.stack(drawn), torch.stack(drawn)).fill_diagonal_(1.0).min() > 1e-3


def test_reused_batches_keep_rows_in_place_and_together() -> None:
    batches = reused(seeded(draw, seed=1), times=2, seed=1)(0)
    used = []
    for _ in range(4 * POOL):
        batch = next(batches)
        assert torch.equal(batch["row"], torch.arange(4))
        assert torch.equal(batch["image"][:, 0], batch["number"][:2].float())
        used += batch["number"].tolist()
    assert max(used) == 2 * POOL - 1
    assert len(set(batch["number"].tolist())) > 1
    assert min(batch["number"].tolist()) > POOL - 1


def test_mixing_one_batch_gives_it_back() -> None:
    batch = draw(3)
    mixed = mix_rows([batch], torch.Generator().manual_seed(0))
    assert all(torch.equal(mixed[name], batch[name]) for name in batch)


class NamingSampler(Sampler):
    """Draws no pictures: each sample says how its sampler is configured and gets a random number."""

    def __init__(self) -> None:
        self.config, self.generator = SamplerConfig(), torch.Generator()
        self.backgrounds = None

    def sample(self, count: int, picture: bool = True) -> dict[str, torch.Tensor]:
        way = [float(isinstance(self.config.room, Room)), self.config.view.roll_deg]
        number = torch.rand(count, 1, generator=self.generator)
        return {name: torch.cat([torch.tensor([way] * count), number], 1) for name in LABELS}


def test_the_segmenters_people_stand_in_rooms_and_are_rolled_as_configured(tmp_path: Path) -> None:
    config = SegmenterData(batch=20, studio=0.3, rolled=0.1, cache=tmp_path)
    drawn = segmenter_draw(config, "train", torch.device("cpu"), NamingSampler())(7)["image"]
    room, roll, number = drawn.unbind(1)
    assert [int(some.sum()) for some in (room == 1, roll > 180, (room == 0) & (roll < 10))] == [6, 2, 12]
    assert len(number.unique()) == 20, "all kinds draw on from one generator"
    again = segmenter_draw(config, "train", torch.device("cpu"), NamingSampler())(7)["image"]
    assert torch.equal(drawn, again)


def test_shares_of_people_beyond_all_of_them_are_refused(tmp_path: Path) -> None:
    config = SegmenterData(studio=0.7, rolled=0.6, cache=tmp_path)
    with pytest.raises(DataError, match=r"0\.7 and 0\.6"):
        segmenter_draw(config, "train", torch.device("cpu"), NamingSampler())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A pack of two grey photos of one person each; the fit of the second was not kept."""
    keypoints = np.tile(np.array([50, 50, 1], np.float32), (2, 17, 1))
    pack = PhotoPack(
        names=["first", "second"],
        images=[encode(Image.new("RGB", (100, 100), "grey"), "WEBP")] * 2,
        labels=[encode(Image.new("L", (100, 100), 3), "PNG")] * 2,
        photo=np.arange(2),
        boxes=np.tile(np.array([20, 10, 80, 90], np.float32), (2, 1)),
        keypoints=keypoints,
        ignore=np.zeros(2, bool),
        complete=np.ones(2, bool),
        clean_mask=np.zeros(2, bool),
    )
    pack.save(tmp_path / "real_train.npz")
    two = torch.ones(2)
    RealFits(
        photo=torch.arange(2),
        boxes=torch.from_numpy(pack.boxes),
        betas=torch.zeros(2, 11),
        axis_angle=torch.zeros(2, 24, 3),
        translation=torch.tensor([[0.0, 0.0, 3.0]]).repeat(2, 1),
        focal=100 * two,
        center=torch.full((2, 2), 50.0),
        kept=torch.tensor([True, False]),
        pck=two,
        keypoint_error=two,
        iou=two,
        part_share=two,
    ).save(tmp_path / "real_fits.npz")
    return tmp_path


def test_photos_have_bodies_where_they_were_fitted(cache: Path) -> None:
    config = SegmenterData(batch=14, real=6 / 7, cache=cache)
    draw = segmenter_draw(config, "train", torch.device("cpu"), Sampler.load(cache, "train"))
    batch = draw(0)
    fitted = batch["real"] & batch["has_body"]
    assert batch["real"].sum() == 12
    assert batch["has_body"][~batch["real"]].all()
    assert 0 < fitted.sum() < 12
    assert (batch["translation"][fitted][:, 2] == 3).all()
    (cache / "real_fits.npz").unlink()
    without = segmenter_draw(config, "train", torch.device("cpu"), Sampler.load(cache, "train"))(0)
    assert torch.equal(without["has_body"], ~without["real"])
    assert torch.equal(without["image"], batch["image"])


def test_photos_alone_are_refused(cache: Path) -> None:
    config = SegmenterData(batch=4, real=1.0, cache=cache)
    with pytest.raises(DataError, match="real: expected a share below one"):
        segmenter_draw(config, "train", torch.device("cpu"), Sampler.load(cache, "train"))


def test_scenes_with_photos_and_without_have_the_same_labels(cache: Path) -> None:
    pack = PhotoPack.load(cache / "real_train.npz")
    replace(pack, clean_mask=np.ones(2, bool)).save(cache / "real_train.npz")
    config = DataConfig(batch=3, real=2 / 3, cache=cache)
    mixed, drawn = (
        locator_draw(some, "train", torch.device("cpu"), Sampler.load(cache, "train"))(0)
        for some in (config, replace(config, real=0.0))
    )
    for batch in (mixed, drawn):
        assert batch["boxes"].shape == (3, 24, 4)
        assert batch["valid"].shape == batch["ignore"].shape == (3, 24)
    assert not drawn["ignore"].any()


def test_average_follows_and_ends_between() -> None:
    network = Locator(0.25)
    average = averaged(network, decay=0.5)
    moved, followed = (each.get_parameter("center.1.weight") for each in (network, average.module))
    start = followed.clone()
    average.update_parameters(network)  # the first one copies
    torch.testing.assert_close(followed, start)
    with torch.no_grad():
        moved += 1.0
    average.update_parameters(network)  # the next ones follow faster than the decay says: (1 + 1) / (10 + 1)
    torch.testing.assert_close(followed, start + 9 / 11)
    for _ in range(60):
        average.update_parameters(network)
    torch.testing.assert_close(followed, moved.detach())
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_what_is_held_out_is_nobody_whom_a_run_sees() -> None:
    drawn = held_out(lambda seed: {"seed": torch.tensor([seed])}, 70, 32)
    seeds = {int(batch["seed"]) for batch in drawn}
    assert len(drawn) == len(seeds) == 2
    assert not seeds & STEPS.keys()
    assert len(held_out(draw, 1, 32)) == 1


def test_command_line_names_its_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "segmenter,fitter,lifter,locator" in capsys.readouterr().out
    assert main(["train", "painter"]) == 2
    assert "painter" in capsys.readouterr().err
    from nbf.cli.train import main as train

    with pytest.raises(InputError, match="locator"):
        train(["painter"])
