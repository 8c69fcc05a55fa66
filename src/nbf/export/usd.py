"""Rigged people as OpenUSD (UsdSkel), written and read by Pixar's library; the extra `usd` has it.

    /people                      all of the file; y up, one unit is a metre
      person_0                   SkelRoot; says whose shape it is in its customData
        person_0_body            Mesh in the T-pose of the person's shape, with skin weights
        person_0_skeleton        Skeleton of SMPL's 24 joints, world-aligned at rest
        person_0_motion          SkelAnimation: the pose that was found, or a pose a frame
      clay                       Material
      photo                      Camera, of people in a photo

UsdSkel skins as SMPL does (linear blend skinning), so the file holds the same surface as `BodyModel`. Source:
https://openusd.org/release/api/_usd_skel__schemas.html.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbf.arguments import path as checked_path
from nbf.body.files import BUNDLED, bundled_body
from nbf.body.joints import PARENTS
from nbf.errors import InputError
from nbf.export.needs import pxr
from nbf.export.rig import joint_names
from nbf.export.skinned import rest_vertices
from nbf.export.world import World, sentence, statement
from nbf.files import replacing
from nbf.geometry.camera import Camera
from nbf.geometry.quaternions import matrix, quaternion_from_matrix
from nbf.motion import STILL_RATE, Motion, as_seen
from nbf.raster.attributes import vertex_normals
from nbf.reading import Array, Damaged, fitted, refusing

_CLAY = (0.62, 0.50, 0.42)
"""Linear RGB of the surface: clay, to look like nobody in particular."""
_ROUGHNESS = 0.7
_FILM = 0.36
"""Width of film, in tenths of a metre."""

_FAR = 1e6
_ARRAYS = {
    "betas": Array(np.float32, ("s",), -100, 100),
    "points": Array(np.float32, ("v", 3), -_FAR, _FAR),
    "rotations": Array(np.float32, ("t", 24, 4), -2, 2),
    "translations": Array(np.float32, ("t", 24, 3), -_FAR, _FAR),
}
"""What reading takes of a person."""


def write_usd(
    path: str | Path,
    motions: Sequence[Motion],
    world: World,
    rig: str = "smpl",
    camera: Camera | None = None,
    size: tuple[int, int] | None = None,
) -> None:
    """Write people into one scene: .usd and .usdc in binary, .usda as text.

    A motion's frames are the time codes from its `start`; people who are still have one. Of a body with pose blend
    shapes, which UsdSkel's skinning lacks, those of the first frame are in the mesh.

    Args:
        motions: people of one frame rate.
        world: a frame with y up.
        rig: what the joints are called, a name of `nbf.export.rig.RIGS`.
        camera: with `size` (width, height in pixels), adds the photo's camera to the scene.

    Raises:
        InputError: the rig is unknown, rates differ, or Pixar's library is not installed.
    """
    names = joint_names(rig)
    rates = {motion.frame_rate for motion in motions if motion.frame_rate is not None}
    if len(rates) > 1:
        raise InputError(f"motions: expected one frame rate in a file, got {sorted(rates)}")
    Usd, UsdGeom = pxr("Usd", "UsdGeom")
    with replacing(path) as draft:
        stage = Usd.Stage.CreateNew(str(draft))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(next(iter(rates), STILL_RATE))
        stage.SetFramesPerSecond(next(iter(rates), STILL_RATE))
        if rates:
            stage.SetStartTimeCode(min(motion.start for motion in motions))
            stage.SetEndTimeCode(max(motion.start + len(motion) - 1 for motion in motions))
        people = UsdGeom.Xform.Define(stage, "/people").GetPrim()
        stage.SetDefaultPrim(people)
        Usd.ModelAPI(people).SetKind("component")
        people.SetCustomDataByKey("nbf", statement(motions[0], world))
        stage.GetRootLayer().comment = sentence(motions[0], world)
        clay = _clay(stage)
        for motion in motions:
            _add_person(stage, motion, world, names, clay)
        if camera is not None and size is not None:
            _add_camera(stage, camera, size, world)
        stage.GetRootLayer().Save()
        del stage


def _clay(stage: Any) -> Any:
    Sdf, UsdShade, Gf = pxr("Sdf", "UsdShade", "Gf")
    material = UsdShade.Material.Define(stage, "/people/clay")
    shader = UsdShade.Shader.Define(stage, "/people/clay/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*_CLAY))
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(_ROUGHNESS)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    return material


def _add_person(stage: Any, motion: Motion, world: World, names: tuple[str, ...], clay: Any) -> None:
    Gf, Tf, UsdSkel, Vt = pxr("Gf", "Tf", "UsdSkel", "Vt")
    root = UsdSkel.Root.Define(stage, f"/people/{Tf.MakeValidIdentifier(motion.name)}")
    own = {"name": motion.name, "body_model": motion.body_name, "still": motion.frame_rate is None}
    own["betas"] = Vt.FloatArray(motion.betas.tolist())
    root.GetPrim().SetCustomDataByKey("nbf", own)
    rest = motion.body.rest_joints(motion.betas).numpy().astype(np.float64)
    offsets = rest - np.where(np.array(PARENTS)[:, None] < 0, 0, rest[list(PARENTS)])
    joints = _paths([Tf.MakeValidIdentifier(name) for name in names])

    skeleton = UsdSkel.Skeleton.Define(stage, root.GetPath().AppendChild(f"{root.GetPath().name}_skeleton"))
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateJointNamesAttr(list(names))
    for create, places in ((skeleton.CreateBindTransformsAttr, rest), (skeleton.CreateRestTransformsAttr, offsets)):
        create([Gf.Matrix4d(1).SetTranslate(Gf.Vec3d(*place)) for place in places.tolist()])

    moved = motion.moved(world.from_camera)
    animation = UsdSkel.Animation.Define(stage, root.GetPath().AppendChild(f"{root.GetPath().name}_motion"))
    animation.CreateJointsAttr(joints)
    turns = quaternion_from_matrix(moved.rotations.double())
    # Of q and -q the one nearer to the frame before, as programs blend frames.
    signs = torch.where((turns[1:] * turns[:-1]).sum(-1, keepdim=True) < 0, -1.0, 1.0).cumprod(0)
    turns = torch.cat([turns[:1], turns[1:] * signs]).tolist()
    places = np.tile(offsets, (len(motion), 1, 1))
    places[:, 0] = rest[0] + moved.translation.numpy()
    attributes = [animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()]
    animation.CreateScalesAttr(Vt.Vec3hArray(len(joints), Gf.Vec3h(1, 1, 1)))
    for frame, (turn, place) in enumerate(zip(turns, places)):
        values = [Vt.Vec3fArray.FromNumpy(place.astype(np.float32)), Vt.QuatfArray([Gf.Quatf(*q) for q in turn])]
        for attribute, value in zip(attributes, values):
            attribute.Set(value, motion.start + frame)
            if motion.frame_rate is None:  # Blender goes by time samples, others, for who is still, by the value alone
                attribute.Set(value)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    _add_mesh(stage, root, skeleton, motion, clay)


def _paths(names: list[str]) -> list[str]:
    """Joints as UsdSkel names them: with all that they hang from."""
    paths: list[str] = []
    for name, parent in zip(names, PARENTS):
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return paths


def _add_mesh(stage: Any, root: Any, skeleton: Any, motion: Motion, clay: Any) -> None:
    Gf, Sdf, UsdGeom, UsdShade, UsdSkel, Vt = pxr("Gf", "Sdf", "UsdGeom", "UsdShade", "UsdSkel", "Vt")
    body = motion.body
    rest = rest_vertices(body, motion.betas, motion.rotations[0])
    faces, points = body.faces.numpy().astype(np.int32), rest.numpy()
    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendChild(f"{root.GetPath().name}_body"))
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(0), points.max(0)])))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.reshape(-1)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(faces), 3))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(vertex_normals(rest, body.faces).numpy()))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    if len(body.uv) > 1:  # SMPL's files have no texture points
        coordinates = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        coordinates.Set(Vt.Vec2fArray.FromNumpy(body.uv.numpy()))
        coordinates.SetIndices(Vt.IntArray.FromNumpy(body.faces_uv.numpy().astype(np.int32).reshape(-1)))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))
    size = body.skin_joints.shape[1]
    joints = np.where(body.skin_weights.numpy() > 0, body.skin_joints.numpy(), 0).astype(np.int32)
    weights = body.skin_weights.numpy() / body.skin_weights.numpy().sum(1, keepdims=True)
    binding.CreateJointIndicesPrimvar(False, size).Set(Vt.IntArray.FromNumpy(joints.reshape(-1)))
    binding.CreateJointWeightsPrimvar(False, size).Set(Vt.FloatArray.FromNumpy(weights.reshape(-1)))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(clay)


def _add_camera(stage: Any, camera: Camera, size: tuple[int, int], world: World) -> None:
    """Lengths of a film of 35 mm, in tenths of a unit, as USD has them; offsets are of the picture's middle from where
    the lens looks."""
    Gf, UsdGeom = pxr("Gf", "UsdGeom")
    (width, height), (x, y) = size, camera.center.tolist()
    pixel = _FILM / width
    photo = UsdGeom.Camera.Define(stage, "/people/photo")
    photo.CreateFocalLengthAttr(float(camera.focal) * pixel)
    photo.CreateHorizontalApertureAttr(width * pixel)
    photo.CreateVerticalApertureAttr(height * pixel)
    photo.CreateHorizontalApertureOffsetAttr((width / 2 - x) * pixel)
    photo.CreateVerticalApertureOffsetAttr((y - height / 2) * pixel)
    photo.CreateClippingRangeAttr(Gf.Vec2f(0.01, 1000))
    # USD's cameras have y up and look along -z; its matrices multiply rows.
    place = (world.from_camera @ as_seen()).T.double().tolist()
    photo.AddTransformOp().Set(Gf.Matrix4d(*(number for row in place for number in row)))


def read_usd(path: str | Path) -> list[Motion]:
    """The people in a USD file that `write_usd` wrote, in its world: y up, metres.

    The file is read by Pixar's library, in C++; nothing that it refers to is opened.

    Raises:
        InputError: the file is missing, damaged, of another program, of a body model that is not bundled, or Pixar's
            library is not installed.
    """
    path = checked_path(path, "path")
    (Tf,) = pxr("Tf")
    with refusing(InputError, path, "a USD file of people that nbf wrote", "export it anew"):
        path.stat()
        people: list[Motion] | None = None
        with suppress(Tf.ErrorException):  # whose text quotes the file, and may not be printed
            people = _people(path)
        if people is None:
            raise Damaged("Pixar's library finds faults in it")
        return people


def _people(path: Path) -> list[Motion]:
    Usd, Sdf = pxr("Usd", "Sdf")
    layer = Sdf.Layer.OpenAsAnonymous(str(path))
    if layer is None or layer.GetCompositionAssetDependencies():
        raise Damaged("expected one file, got one that refers to others")
    stage = Usd.Stage.Open(layer)
    prim = stage.GetPrimAtPath("/people")
    roots = [child for child in prim.GetChildren() if child.GetTypeName() == "SkelRoot"] if prim else []
    if not roots:
        raise Damaged("it holds nobody")
    rate = stage.GetTimeCodesPerSecond()
    if not 1e-6 < rate < 1e6:
        raise Damaged(f"expected frames a second, got {rate}")
    return [_person(root, rate) for root in roots]


def _person(root: Any, rate: float) -> Motion:
    own, path = root.GetCustomDataByKey("nbf") or {}, root.GetPath()
    mesh, animation = (
        root.GetStage().GetPrimAtPath(path.AppendChild(f"{path.name}_{child}")) for child in ("body", "motion")
    )
    if not (mesh and animation):
        raise Damaged(f"expected a body and a motion in {path}")
    turns, places = animation.GetAttribute("rotations"), animation.GetAttribute("translations")
    still = own.get("still") is True
    times = turns.GetTimeSamples()
    arrays = {
        "betas": np.array(own.get("betas", ())),
        "points": np.array(mesh.GetAttribute("points").Get()),
        "rotations": np.array([_quaternions(turns.Get(time)) for time in times]),
        "translations": np.array([places.Get(time) for time in times]),
    }
    known = {name: torch.from_numpy(array) for name, array in fitted(arrays, _ARRAYS).items()}
    model = str(own.get("body_model", ""))
    if model not in BUNDLED:
        raise Damaged(f"expected the body model {' or '.join(BUNDLED)}, got {model[:80]!a}")
    body = bundled_body(model, len(known["points"]), len(known["betas"]))
    if body is None:
        raise Damaged(f"its mesh and betas are those of another version of {model}")
    pelvis = body.rest_joints(known["betas"])[0]
    return Motion(
        name=str(own.get("name", ""))[:80],
        betas=known["betas"],
        rotations=matrix(torch.nn.functional.normalize(known["rotations"], dim=-1)),
        translation=known["translations"][:, 0] - pelvis,
        frame_rate=None if still else rate,
        body=body,
        body_name=model,
        start=int(times[0]),
    )


def _quaternions(values: Any) -> list[list[float]]:
    return [[value.real, *value.imaginary] for value in values or ()]
