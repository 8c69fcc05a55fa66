"""Neural Body Fitting's packing of UP-3D, from files that are written in its layout."""

from pathlib import Path

import numpy as np
import pytest
from damage import survives
from PIL import Image

from nbf.data.catalogue import recognised
from nbf.data.sets.up3d_nbf import NBF12, UP3D_NBF
from nbf.errors import DataError

COLOURS = np.random.default_rng(0).permutation(256 * 3)[: 256 * 3].reshape(256, 3).astype(np.uint8)
TRANS = np.array([-0.01, 0.115, 20.3])


def posed(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, (24, 3))


def write(folder: Path, name: str, seed: int, *, body: bool) -> None:
    """What the fitter's input, 224 pixels wide, shows of joints before a camera of 5000 pixels at 512."""
    at = posed(seed) + TRANS
    projected = at[:, :2] / at[:, 2:] * 5000 * 224 / 512 + 112
    for kind in ("images", "colours", "smplparams", "joints"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    numbers = np.concatenate([np.zeros(72), posed(seed).ravel(), projected.ravel()])
    (folder / "joints" / f"{name}_joints.bin").write_bytes(numbers.astype("<f8").tobytes())
    if body:
        parameters = np.concatenate([np.arange(10), np.linspace(-1, 1, 72), TRANS])
        (folder / "smplparams" / f"{name}_smplparams.bin").write_bytes(parameters.astype("<f8").tobytes())
    Image.new("RGB", (512, 512), (seed, 0, 0)).save(folder / "images" / f"{name}_image.png")
    labels = np.arange(512)[:, None] // 40 + np.zeros(512, int)
    Image.fromarray(COLOURS[labels]).save(folder / "colours" / f"{name}_colours.png")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    for seed, name in enumerate(("00003_0", "00003_1", "00008_0", "00009_0")):
        write(tmp_path, name, seed, body=name != "00008_0")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train_latent.txt").write_text("00003 1\n00008 0\n")
    (tmp_path / "lists" / "test_latent.txt").write_text("00009_0 1")
    Image.fromarray(COLOURS[None]).save(tmp_path / "cm_400_corrected.png")
    return tmp_path


def test_names_of_training_stand_for_all_crops(packed: Path) -> None:
    pictures = UP3D_NBF.open(packed, "train")
    assert [picture.name for picture in pictures] == ["00003_0", "00003_1", "00008_0"]
    assert [picture.people[0].body is not None for picture in pictures] == [True, True, False]
    assert [picture.name for picture in UP3D_NBF.open(packed, "test")] == ["00009_0"]


def test_joints_in_space_are_seen_at_the_joints_of_the_picture(packed: Path) -> None:
    for picture in UP3D_NBF.open(packed, "train")[:2]:
        (person,) = picture.people
        assert person.joints_2d is not None
        assert person.joints_3d is not None
        assert picture.camera is not None
        assert not person.relative
        np.testing.assert_allclose(picture.camera.project(person.joints_3d.points), person.joints_2d.points, atol=1e-9)


def test_numbers_are_in_their_places(packed: Path) -> None:
    label = UP3D_NBF.open(packed, "test")[0].people[0].body
    assert label is not None
    assert label.betas.tolist() == [*range(10)]
    np.testing.assert_array_equal(label.pose.ravel(), np.float32(np.linspace(-1, 1, 72)))
    np.testing.assert_array_equal(label.translation, np.float32(TRANS))
    np.testing.assert_array_equal(label.camera_from_world, np.eye(3, 4))


def test_parts_are_told_by_the_colour_map(packed: Path) -> None:
    labels = UP3D_NBF.open(packed, "test")[0].labels("nbf12")
    np.testing.assert_array_equal(labels[:, 100], np.arange(512) // 40)
    assert len(NBF12) == labels.max() + 1


def test_the_folder_is_recognised(packed: Path) -> None:
    assert recognised(packed) == [UP3D_NBF]


def test_a_short_colour_map_is_refused(packed: Path) -> None:
    Image.fromarray(COLOURS[None, :12]).save(packed / "cm_400_corrected.png")
    with pytest.raises(DataError, match="13 colours"):
        UP3D_NBF.open(packed, "test")


def test_nothing_but_data_errors_come_of_damage(packed: Path) -> None:
    files = [packed / "lists" / "test_latent.txt", *packed.glob("joints/00009*"), *packed.glob("smplparams/00009*")]
    assert survives(UP3D_NBF, packed, "test", [*files, packed / "cm_400_corrected.png"], 20) > 30
