"""USD files give the people back, pass Pixar's checks, and are skinned to the same surface by its library."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from motions import motion, off_origin

from nbf.body.joints import PARENTS
from nbf.body.model import BodyData, BodyModel
from nbf.errors import InputError
from nbf.export import write
from nbf.export.needs import pxr
from nbf.export.rig import RIGS
from nbf.export.usd import read_usd, write_usd
from nbf.export.world import World
from nbf.motion import Motion

pytest.importorskip("pxr", reason="Pixar's library for USD (the extra usd) is not installed")
Gf, Usd, UsdGeom, UsdSkel, UsdValidation = pxr("Gf", "Usd", "UsdGeom", "UsdSkel", "UsdValidation")


def still(name: str, seed: int) -> Motion:
    someone = motion(name, seed, frames=1)
    return replace(someone, frame_rate=None)


PEOPLE = {
    "film": [motion("one", 0, frames=3), replace(motion("the other", 1, frames=2), start=1)],
    "photo": [still("person_0", 0), still("person_1", 1)],
}


@pytest.mark.parametrize("ending", [".usd", ".usda"])
@pytest.mark.parametrize("kind", PEOPLE)
def test_what_is_read_is_what_was_written(tmp_path: Path, kind: str, ending: str) -> None:
    people = PEOPLE[kind]
    read = read_usd(write(people, tmp_path / f"a{ending}", ground=True))
    world = World.on_ground(people)
    for one, other in zip(read, people, strict=True):
        assert (one.name, one.frame_rate, one.start, len(one)) == (
            other.name,
            other.frame_rate,
            other.start,
            len(other),
        )
        expected = other.moved(world.from_camera)
        torch.testing.assert_close(one.betas, other.betas)
        torch.testing.assert_close(one.posed().vertices, expected.posed().vertices, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", PEOPLE)
@pytest.mark.parametrize("rig", RIGS)
def test_pixars_checks_find_no_fault(tmp_path: Path, kind: str, rig: str) -> None:
    stage = Usd.Stage.Open(str(write(PEOPLE[kind], tmp_path / "a.usd", rig=rig)))
    assert faults(stage) == []


def faults(stage: Any) -> list[tuple[str, str]]:
    """What any of Pixar's checks finds."""
    registry = UsdValidation.ValidationRegistry()
    names = [metadata.name for metadata in registry.GetAllValidatorMetadata()]
    assert len(names) > 20
    context = UsdValidation.ValidationContext([registry.GetOrLoadValidatorByName(name) for name in names])
    return [(error.GetName(), error.GetMessage()) for error in context.Validate(stage)]


@pytest.mark.parametrize("bulging", [False, True])
@pytest.mark.parametrize("kind", PEOPLE)
def test_pixars_skinning_gives_the_surface(tmp_path: Path, kind: str, bulging: bool) -> None:
    """With pose blend shapes, too, in the first frame."""
    people = [off_origin(someone) for someone in PEOPLE[kind]]
    people = [replace(someone, body=bulged(someone.body)) for someone in people] if bulging else people
    write_usd(tmp_path / "a.usd", people, World.as_seen())
    stage, cache = Usd.Stage.Open(str(tmp_path / "a.usd")), UsdSkel.Cache()
    roots = [prim for prim in stage.Traverse() if prim.IsA(UsdSkel.Root)]
    for root, someone in zip(roots, people, strict=True):
        cache.Populate(UsdSkel.Root(root), Usd.PrimDefaultPredicate)
        body, skeleton = (root.GetChild(f"{root.GetName()}_{part}") for part in ("body", "skeleton"))
        query = cache.GetSkelQuery(UsdSkel.Skeleton(skeleton))
        assert list(UsdSkel.Topology(query.GetJointOrder()).GetParentIndices()) == list(PARENTS)
        frames = range(1 if bulging else len(someone))
        for frame in frames:
            points = UsdGeom.Mesh(body).GetPointsAttr().Get()
            transforms = query.ComputeSkinningTransforms(someone.start + frame)
            assert cache.GetSkinningQuery(body).ComputeSkinnedPoints(transforms, points, someone.start + frame)
            expected = someone.moved(World.as_seen().from_camera).posed().vertices[frame]
            np.testing.assert_allclose(np.array(points), expected, atol=1e-4)
        assert UsdGeom.XformCache().GetLocalToWorldTransform(body) == Gf.Matrix4d(1)


def bulged(body: BodyModel) -> BodyModel:
    fields = {name: getattr(body, name) for name in BodyData.__dataclass_fields__}
    noise = torch.randn(len(body.template), 3, 207, generator=torch.Generator().manual_seed(0))
    return BodyModel(BodyData(**fields | {"pose_dirs": 1e-3 * noise}))


@pytest.mark.parametrize("ground", [False, True])
def test_the_photos_camera_sees_the_people_where_they_are_in_the_photo(
    make_people, tmp_path: Path, ground: bool
) -> None:
    """Also where the lens does not look at the middle."""
    people = make_people(2)
    camera = replace(people.camera, center=torch.tensor([20.0, 90.0]))
    persons = [replace(person, camera=camera) for person in people]
    stage = Usd.Stage.Open(str(write(persons, tmp_path / "a.usd", ground=ground)))
    assert faults(stage) == []
    frustum = UsdGeom.Camera(stage.GetPrimAtPath("/people/photo")).GetCamera(0).frustum
    matrix = np.array(frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix())
    move = (World.on_ground([Motion.of(person, "") for person in persons]) if ground else World.as_seen()).from_camera
    for person in persons:
        points = np.pad(person.joints_3d().numpy(), ((0, 0), (0, 1)), constant_values=1) @ move.T.numpy() @ matrix
        x, y = (points[:, :2] / points[:, 3:]).T
        pixels = np.stack([(x + 1) / 2 * people.picture.width, (1 - y) / 2 * people.picture.height], 1)
        np.testing.assert_allclose(pixels, person.joints_2d(), atol=0.01)


def test_metres_y_up_and_what_the_file_is(tmp_path: Path) -> None:
    stage = Usd.Stage.Open(str(write(PEOPLE["film"], tmp_path / "a.usda")))
    assert (UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)) == (1, "Y")
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (25, 0, 2)
    said = stage.GetDefaultPrim().GetCustomDataByKey("nbf")
    assert said["body_model"] == "anny24"
    assert said["unit"] == "metre"
    assert "y up" in said["frame"]


def test_a_file_that_refers_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.usda").write_text('#usda 1.0\ndef "people" (references = @./b.usda@) {}\n')
    with pytest.raises(InputError, match=r"a\.usda: cannot be read .* refers to others; export it anew"):
        read_usd(tmp_path / "a.usda")
