"""Saved results are the results, as far as the file holds them."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mutated import bomb

from nbf.errors import InputError
from nbf.export.npz import load_people


@pytest.mark.parametrize("count", [1, 3])
def test_export_then_load_gives_the_people(make_people, tmp_path, count):
    people = make_people(count, bend=1.0)
    loaded = load_people(people.export(tmp_path / "people.npz"), people.picture.pixels)
    assert len(loaded) == count
    np.testing.assert_array_equal(loaded.picture.pixels, people.picture.pixels)
    torch.testing.assert_close(loaded.camera.focal, people.camera.focal)
    for one, other in zip(loaded, people, strict=True):
        for name in ("betas", "translation", "box", "keypoints"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name))
        torch.testing.assert_close(one.rotations, other.rotations, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.vertices, other.vertices, atol=1e-4, rtol=0)
        torch.testing.assert_close(one.joints_2d("coco17"), other.joints_2d("coco17"), atol=0.05, rtol=0)
        torch.testing.assert_close(one.parts.probabilities, other.parts.probabilities, atol=1e-3, rtol=0)
        torch.testing.assert_close(one.parts.crop.center, other.parts.crop.center)
        torch.testing.assert_close(one.parts.crop.size, other.parts.crop.size)
        assert one.parts.crop.resolution == other.parts.crop.resolution
        assert one.score == pytest.approx(other.score)
        assert one.body_name == other.body_name
        for field in dataclasses.fields(one.certainty):
            values = (getattr(person.certainty, field.name) for person in (one, other))
            torch.testing.assert_close(*values, equal_nan=True)


def test_loading_and_saving_again_changes_nothing(make_people, tmp_path):
    first = load_people(make_people(2).export(tmp_path / "first.npz"))
    second = load_people(first.export(tmp_path / "second.npz"))
    for one, other in zip(first.numpy(), second.numpy(), strict=True):
        for name, values in one.items():
            np.testing.assert_allclose(values, other[name], atol=2e-4, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("lens", [None, "given", "EXIF", "guess"])
def test_files_keep_how_the_lens_came_about(make_people, tmp_path, lens):
    person = make_people(1)[0]
    person = dataclasses.replace(person, camera=dataclasses.replace(person.camera, lens=lens))
    loaded = load_people(person.export(tmp_path / "one.npz"))
    assert loaded.camera.lens == loaded[0].camera.lens == lens


def test_older_files_do_not_say_how_the_lens_came_about_and_how_far_off_keypoints_are(make_people, tmp_path):
    arrays = dict(np.load(make_people(2).export(tmp_path / "people.npz")))
    del arrays["lens"], arrays["certainty_keypoint_covariance"]
    np.savez(tmp_path / "older.npz", **arrays)
    older = load_people(tmp_path / "older.npz")
    assert older.camera.lens is None
    assert older[0].certainty.keypoint_covariance.isnan().all()


def test_one_person_can_be_saved_alone(make_people, tmp_path):
    person = make_people(3)[1]
    loaded = load_people(person.export(tmp_path / "one.npz"))
    torch.testing.assert_close(loaded[0].box, person.box)


def test_without_its_picture_the_people_stand_on_white(make_people, tmp_path):
    path = make_people(1, width=80, height=90).export(tmp_path / "people.npz")
    picture = load_people(path).picture
    assert picture.pixels.shape == (90, 80, 3)
    assert (picture.pixels == 255).all()
    assert (picture.name, picture.focal) == ("made-up", None)


def test_another_picture_is_refused(make_people, tmp_path):
    path = make_people(1).export(tmp_path / "people.npz")
    with pytest.raises(InputError, match=r"people\.npz is about, 96 x 128, got array, 128 x 96"):
        load_people(path, np.zeros((96, 128, 3), np.uint8))


def test_more_keys_are_welcome(make_people, tmp_path):
    arrays = dict(np.load(make_people(1).export(tmp_path / "people.npz")))
    np.savez(tmp_path / "more.npz", **arrays, gender=np.array(["neutral"], object))
    assert len(load_people(tmp_path / "more.npz")) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body_model": None}, "without body_model"),
        ({"parts": None, "box": None}, "without box, parts; files of AMASS"),
        ({"body_model": np.array("SMPL_NEUTRAL")}, "expected the body model anny24, got 'SMPL_NEUTRAL'"),
        (
            {"betas": np.zeros((2, 10)), "certainty_shape_covariance": np.zeros((2, 10, 10))},
            "and 10 betas are those of another version",
        ),
        ({"certainty_shape_covariance": np.zeros((2, 10, 10))}, r"\(n, s, s\) in certainty_shape_covariance"),
        ({"vertices": np.zeros((2, 6890, 3), np.float32)}, "6890 vertices"),
        ({"poses": np.zeros((2, 66), np.float32)}, r"\(n, 72\) in poses, got float32 of shape \(2, 66\)"),
        ({"poses": np.zeros((1, 72), np.float32)}, "in poses"),
        ({"trans": np.zeros(3, np.float32)}, "in trans"),
        ({"trans": np.array([["a"] * 3] * 2)}, "in trans"),
        ({"trans": np.full((2, 3), np.nan)}, "finite numbers in trans"),
        ({"betas": np.zeros((), np.float32)}, "in betas"),
        ({"image_size": np.array([[96, 128], [96, 129]])}, "people in one picture"),
        ({"image_size": np.array([[-96, 128]] * 2)}, "image_size of a picture, got -96 x 128"),
        ({"image_size": np.array([[10**6, 10**6]] * 2)}, "image_size of a picture"),
        ({"betas": np.array([[{}]], object)}, "cannot be read"),
    ],
)
def test_changed_files_say_what_is_wrong(make_people, tmp_path, change, words):
    arrays = dict(np.load(make_people(2).export(tmp_path / "people.npz"))) | change
    path = tmp_path / "changed.npz"
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    with pytest.raises(InputError, match=words) as caught:
        load_people(path)
    assert str(caught.value).startswith(str(path))


def test_other_files_are_refused(make_people, tmp_path):
    whole = make_people(1).export(tmp_path / "people.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bent.npz").write_bytes(whole[:2000] + bytes(200) + whole[2200:])
    (tmp_path / "words.npz").write_text("words")
    (tmp_path / "empty.npz").touch()
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("cut.npz", "bent.npz", "words.npz", "empty.npz", "array.npy", "gone.npz", "."):
        with pytest.raises(InputError, match=r"nbf predict wrote") as caught:
            load_people(tmp_path / name)
        assert name in str(caught.value)


def _behind(trans: np.ndarray) -> np.ndarray:
    return trans - np.array([0, 0, 9], np.float32)


def _of_all(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.full_like(array, value)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("focal", _of_all(0), "expected focal from 1 to"),
        ("focal", _of_all(-5), "expected focal"),
        ("parts_size", _of_all(0), "expected parts_size"),
        ("parts_size", _of_all(-1), "expected parts_size"),
        ("keypoints", _of_all(1e38), "expected keypoints from"),
        ("keypoints", _of_all(2), "scores from 0 to 1 in keypoints"),
        ("score", _of_all(1.5), "expected score from 0"),
        ("betas", _of_all(1e5), "expected betas"),
        ("box", lambda box: box[:, [2, 3, 0, 1]], "x0 < x1"),
        ("box", lambda box: box + 1000, "beside it"),
        ("parts_center", _of_all(-9999), "in parts_center, got one beside it"),
        ("parts", _of_all(0), "sum to one in parts"),
        ("parts", lambda parts: parts - np.float16(1), "expected parts from 0"),
        ("trans", _behind, "in front of the camera"),
        ("certainty_shape_covariance", _of_all(0), "can be inverted"),
        ("certainty_shape_covariance", lambda values: -values, "can be inverted"),
        ("certainty_shape_covariance", lambda values: values + np.eye(11, k=3), "can be inverted"),
        ("certainty_shape_covariance", _of_all(1), "can be inverted"),
        ("certainty_seen", _of_all(7), "expected certainty_seen"),
        ("certainty_joint_error", _of_all(-1), "expected certainty_joint_error from 0"),
        ("certainty_joint_error", _of_all(np.inf), "finite numbers in certainty_joint_error"),
        ("certainty_guessed", lambda guessed: 2.0 * guessed, "yes or no"),
        ("image_size", lambda size: size + 0.5, "in image_size"),
        ("lens", lambda _: np.array("28mm"), "expected one of given, EXIF, guess in lens, got '28mm'"),
        ("lens", lambda _: np.array(28), "expected text"),
    ],
)
def test_values_that_nobody_has_are_refused(make_people, tmp_path, name, change, words):
    arrays = dict(np.load(make_people(2).export(tmp_path / "people.npz")))
    path = tmp_path / "changed.npz"
    np.savez(path, **arrays | {name: change(arrays[name])})
    with pytest.raises(InputError, match=words) as caught:
        load_people(path)
    assert str(caught.value).startswith(str(path))


def test_a_small_file_does_not_unpack_to_gigabytes(tmp_path):
    (tmp_path / "people.npz").write_bytes(bomb("parts.npy", np.float16))
    with pytest.raises(InputError, match=r"people\.npz.*unpacks to.*predict again"):
        load_people(tmp_path / "people.npz")
