"""A fingerprint stays where rounding differs, and changes where people do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbf.body.model import BodyModel
from nbf.errors import DataError
from nbf.evaluate.bench import Group
from nbf.evaluate.fingerprint import (
    SAME,
    Fingerprint,
    Sketch,
    fingerprint,
    hash_inputs,
    joined,
    load_reference,
    sketch,
)

INPUTS = {"poses": "a", "wardrobe": "b"}


@pytest.fixture
def known(group: Group) -> Sketch:
    return sketch(group)


def compare(drawn: Sketch, known: Sketch, inputs: dict[str, str] = INPUTS) -> Fingerprint:
    return fingerprint("wild", 0, drawn, inputs, (known, INPUTS))


def changed(drawn: Sketch, name: str, by: int) -> Sketch:
    values = getattr(drawn, name).copy()
    values[1, ...].flat[0] += by
    return replace(drawn, **{name: values})


def test_the_same_people_are_the_same(known: Sketch) -> None:
    found = compare(known, known)
    assert found.verdict == SAME
    assert set(found.worst.values()) == {0}


@pytest.mark.parametrize(
    ("name", "little", "much"), [("ends", 1, 3), ("betas", 1, 3), ("parts", 5, 200), ("colors", 2, 9)]
)
def test_rounding_is_forgiven_and_more_is_not(known: Sketch, name: str, little: int, much: int) -> None:
    exact = compare(known, known)
    rounded = compare(changed(known, name, little), known)
    assert rounded.verdict == SAME
    assert rounded.identity == exact.identity
    assert max(rounded.worst.values()) == little
    other = compare(changed(known, name, much), known)
    assert other.verdict.startswith("different")
    assert "1 of 3 people" in other.verdict


def test_other_labels_are_another_benchmark(known: Sketch) -> None:
    assert compare(changed(known, "ends", 3), known).identity != compare(known, known).identity


def test_other_draws_say_from_where_on(known: Sketch) -> None:
    states = known.states.copy()
    states[0, 0] ^= 1
    other = compare(replace(known, states=states), known)
    assert "from group 0 on" in other.verdict
    assert other.draws != compare(known, known).draws


def test_other_inputs_are_named(known: Sketch) -> None:
    other = compare(known, known, INPUTS | {"wardrobe": "replaced"})
    assert "wardrobe" in other.verdict
    assert other.identity != compare(known, known).identity


def test_fewer_people_compare_with_the_first_of_the_reference(known: Sketch) -> None:
    few = known.first(2)
    assert compare(few, known).verdict == SAME
    assert compare(known, few).verdict.startswith("no reference")


def test_a_sketch_counts_pixels_and_millimetres(group: Group, known: Sketch) -> None:
    labels = group.batch["parts"].argmax(1)
    assert known.parts[2, 6] == 16 * int((labels[2] == 7).sum())
    np.testing.assert_allclose(known.ends[0, 1], 1000 * group.batch["joints_3d"][0, 15].numpy(), atol=0.51)
    corner = group.batch["image"][1, 2, :128, 128:].mean().item() * 255
    assert known.colors[1, 0, 1, 2] == pytest.approx(corner, abs=0.51)
    assert len(joined([known, known]).ends) == 6


def test_references_are_read_back(known: Sketch, tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    known.save(path, INPUTS)
    again, inputs = load_reference(path)
    assert inputs == INPUTS
    assert compare(known, again).verdict == SAME
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="record it anew"):
        load_reference(path)


def test_inputs_are_hashed_by_content(body: BodyModel, tmp_path: Path) -> None:
    np.savez(tmp_path / "poses.npz", a=np.arange(3), b=np.zeros(2))
    first = hash_inputs(tmp_path, body)
    assert first["wardrobe"] == first["backgrounds"] == "replaced"
    # Compression and order are not content.
    np.savez_compressed(tmp_path / "poses.npz", b=np.zeros(2), a=np.arange(3))
    assert hash_inputs(tmp_path, body) == first
    np.savez(tmp_path / "poses.npz", a=np.arange(3), b=np.ones(2))
    second = hash_inputs(tmp_path, body)
    assert second["poses"] != first["poses"]
    assert second["body"] == first["body"]
