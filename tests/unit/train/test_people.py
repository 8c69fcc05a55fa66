"""Packs of drawn people: what goes in comes out, batches are made of the right rows, mirrors are mirrors."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from packs import random_pack, small

from nbf.body.joints import MIRROR_SMPL24
from nbf.errors import DataError
from nbf.geometry.camera import Camera
from nbf.train.batch import Batch
from nbf.train.packs import compress, expand, load_packs, save_pack
from nbf.train.people import PeopleConfig, held_out_batches, mirror_people, people_source

BODY = small()


def test_compressed_maps_keep_the_strong_parts() -> None:
    parts = (6 * torch.randn(2, 25, 8, 8, generator=torch.Generator().manual_seed(0))).softmax(1)
    back = expand(compress(parts))
    torch.testing.assert_close(back.sum(1), torch.ones(2, 8, 8))
    assert torch.equal(back.argmax(1), parts.argmax(1))
    kept = parts.topk(3, dim=1).values.sum(1, keepdim=True)
    assert ((back - parts / kept)[back > 0]).abs().max() < 0.01  # rounded to 1/255


def test_packs_come_back_in_order(tmp_path: Path) -> None:
    first, second = random_pack(3, 0), random_pack(2, 1)
    files = [save_pack(first, tmp_path / "a"), save_pack(second, tmp_path / "b")]
    both = load_packs(files)
    for name, value in both.items():
        assert torch.equal(value, torch.cat([first[name], second[name]])), name
    with pytest.raises(DataError, match="nbf draw"):
        load_packs([])
    (tmp_path / "c.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"c\.npz"):
        load_packs([tmp_path / "c.npz"])


def test_batches_hold_every_kind_of_people(tmp_path: Path) -> None:
    save_pack(random_pack(6, 0), tmp_path / "0")
    save_pack(random_pack(6, 1, seen=False, strongest=1), tmp_path / "bare" / "0")
    save_pack(random_pack(6, 2, true=False), tmp_path / "photos" / "0")
    config = PeopleConfig(tmp_path, tmp_path, batch=16, skeletons=5, bare=0.25, photos=0.25, predicted=0.5)
    batches = list(islice(people_source(config, 3, torch.device("cpu"))(0), 4))
    for batch in batches:
        assert len(batch["betas"]) == 21
        assert batch["parts"].shape == (16, 25, 64, 64)
        assert batch["predicted"].tolist() == [True] * 4 + [False] * 4 + [True] * 4 + [False] * 4
        torch.testing.assert_close(batch["parts"].sum(1), torch.ones(16, 64, 64))
        assert not batch["seen_keypoints"][~batch["predicted"]][..., 2].any()
    assert not torch.equal(batches[0]["betas"], batches[1]["betas"])
    again = next(people_source(config, 3, torch.device("cpu"))(2))
    assert all(torch.equal(again[name], batches[2][name]) for name in again)  # step 2 is step 2, resumed or not
    true, seen = (held_out_batches(config, look, torch.device("cpu"))[0] for look in (False, True))
    assert torch.equal(true["betas"], seen["betas"])
    assert not torch.equal(true["parts"], seen["parts"])


def test_mirrored_people_are_the_picture_mirrored() -> None:
    batch = random_pack(4, 5)
    del batch["seen_parts"]
    batch["predicted"] = torch.ones(4, dtype=torch.bool)
    mirrored = mirror_people(batch, torch.tensor([True, False, True, True]))
    assert all(torch.equal(mirrored[name][1], batch[name][1]) for name in batch)
    twice = mirror_people(mirrored, torch.tensor([True, False, True, True]))
    for name, value in batch.items():
        torch.testing.assert_close(twice[name], value, msg=name)

    def pixels(people: Batch) -> torch.Tensor:
        # Shapes are a little lopsided, so the mean shape.
        joints = BODY(0 * people["betas"], people["rotations"], people["translation"]).joints
        return Camera(people["focal"], people["center"]).project(joints)

    expected = pixels(batch)[0, list(MIRROR_SMPL24)] * torch.tensor([-1.0, 1.0]) + torch.tensor([256.0, 0.0])
    assert (pixels(mirrored)[0] - expected).norm(dim=-1).max() < 2
