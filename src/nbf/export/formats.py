"""The one table of file formats: how each is called, what it can hold, and what writes it.

Needs no torch, so that commands know of formats at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from nbf.arguments import path as checked_path
from nbf.arguments import shown
from nbf.errors import InputError
from nbf.export.needs import blender, pixar, pyav

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from nbf.body.model import BodyModel
    from nbf.export.world import World
    from nbf.motion import Motion
    from nbf.people import Person

RigName = Literal["smpl", "vrm", "mixamo", "unreal"]
"""What `nbf.export.rig.RIGS` is a table of."""
Skin = Literal["clay", "parts", "photo"]
"""How bodies in .glb look: as clay, with their 24 parts in colours, or as the photo shows them."""
Detail = Literal["full", "small"]
"""Of bodies in .glb: 12,488 vertices, or 1,164."""


@dataclass(frozen=True)
class Style:
    """How people are in files, in formats that have a choice."""

    rig: RigName = "smpl"
    ground: bool = False
    skin: Skin = "clay"
    detail: Detail = "full"


@dataclass(frozen=True, eq=False)
class Scene:
    """What goes into files."""

    motions: "Sequence[Motion]"
    """At least one person."""
    persons: "Sequence[Person]"
    """The same people, where they are in a photo; otherwise empty."""
    rig: str = "smpl"
    """What joints are called, in formats that have a skeleton."""
    ground: "World | None" = None
    """A world with people on the ground, in place of the camera's frame."""
    smpl: "BodyModel | None" = None
    """SMPL's own model, where somebody has it."""
    parts: bool = False
    """Whether parts have colours, in .glb."""
    textures: "Sequence[np.ndarray]" = ()
    """Of each person, in .glb; or of nobody."""
    detail: str = "full"
    """Of bodies, in .glb."""

    @classmethod
    def of(
        cls,
        people: "Sequence[Person] | Sequence[Motion]",
        *,
        rig: str = "smpl",
        ground: bool = False,
        smpl: "BodyModel | None" = None,
        skin: str = "clay",
        detail: str = "full",
    ) -> "Scene":
        """People in one photo, or people over time.

        Raises InputError where nothing is called so, or nobody can look so."""
        for name, value, known in (("skin", skin, get_args(Skin)), ("detail", detail, get_args(Detail))):
            if value not in known:
                raise InputError(f"{name}: expected one of {', '.join(known)}, got {shown(value)}")
        from nbf.motion import Motion

        persons = [person for person in people if not isinstance(person, Motion)]
        motions = [Motion.of(person, f"person_{index}") for index, person in enumerate(persons)]
        motions = motions or [motion for motion in people if isinstance(motion, Motion)]
        scene = cls(motions, persons, rig, None, smpl, skin == "parts", _textures(persons, skin, detail), detail)
        return scene.on_ground() if ground else scene

    def alone(self) -> "list[Scene]":
        """Each person in the same world."""
        parts = [slice(i, i + 1) for i in range(len(self.motions))]
        return [
            replace(self, motions=self.motions[one], persons=self.persons[one], textures=self.textures[one])
            for one in parts
        ]

    def on_ground(self) -> "Scene":
        """The people on the ground."""
        from nbf.export.world import World

        return replace(self, ground=World.on_ground(self.motions))

    @cached_property
    def y_up(self) -> "World":
        """The frame of formats that have y up."""
        from nbf.export.world import World

        return self.ground or World.as_seen()

    @cached_property
    def frame(self) -> "World":
        """The frame of formats that leave people in the camera's frame."""
        from nbf.export.world import World

        return self.ground or World.camera()

    @property
    def photo(self) -> dict[str, Any]:
        """`camera` and `size` of the photo, if there is one."""
        if not self.persons:
            return {}
        picture = self.persons[0].picture
        return {"camera": self.persons[0].camera, "size": (picture.width, picture.height)}

    @property
    def sentence(self) -> str:
        """What mesh files say of themselves."""
        from nbf.export.world import sentence

        return sentence(self.motions[0], self.y_up)


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    endings: tuple[str, ...]
    """Of names; the first is the one that commands give."""
    write: Callable[[Path, Scene], None]
    alone: bool = False
    """A file holds one person."""
    still: bool = False
    """A file holds no film."""
    photo: bool = False
    """A file holds what was seen in a photo."""
    together: bool = False
    """Of everybody in a photo `nbf predict` writes one file, in place of one for each person."""
    ready: Callable[[], object] = bool
    """Raises InputError where what it needs is not installed."""

    @property
    def ending(self) -> str:
        return self.endings[0]


def _textures(persons: "Sequence[Person]", skin: str, detail: str) -> "Sequence[np.ndarray]":
    if skin != "photo":
        return ()
    if detail != "full":
        raise InputError("skin: expected full detail beside photo: places on the small body share their texels")
    if not persons:
        raise InputError("skin: expected people in a photo beside photo, got a film; take clay or parts")
    from nbf.render.texture import person_textures

    return person_textures(persons)


def _glb(path: Path, scene: Scene) -> None:
    from nbf.export.glb import write_glb

    write_glb(
        path,
        [motion.small() for motion in scene.motions] if scene.detail == "small" else scene.motions,
        world_from_camera=scene.y_up.from_camera,
        rig=scene.rig,
        **scene.photo,
        textures=scene.textures,
        parts=scene.parts,
    )


def _obj(path: Path, scene: Scene) -> None:
    from nbf.export.obj import write_obj

    body = scene.motions[0].body
    write_obj(path, _vertices(scene), body.faces, body.uv, body.faces_uv, scene.y_up, scene.sentence)


def _ply(path: Path, scene: Scene) -> None:
    from nbf.export.ply import write_ply

    write_ply(path, _vertices(scene), scene.motions[0].body.faces, scene.y_up, scene.sentence)


def _vertices(scene: Scene) -> "Tensor":
    import torch

    still = [motion.posed().vertices[0] for motion in scene.motions] if not scene.persons else []
    return torch.stack(still or [person.vertices for person in scene.persons])


def _npz(path: Path, scene: Scene) -> None:
    from nbf.export.npz import write_npz

    write_npz(path, scene.persons)


def _bvh(path: Path, scene: Scene) -> None:
    from nbf.export.bvh import write_bvh

    write_bvh(path, scene.motions[0], scene.y_up, scene.rig)


def _usd(path: Path, scene: Scene) -> None:
    from nbf.export.usd import write_usd

    write_usd(path, scene.motions, scene.y_up, scene.rig, **scene.photo)


def _fbx(path: Path, scene: Scene) -> None:
    from nbf.export.fbx import write_fbx

    write_fbx(path, scene.motions, scene.y_up, scene.rig)


def _amass(path: Path, scene: Scene) -> None:
    from nbf.export.amass import write_amass

    write_amass(path, scene.motions[0], scene.y_up)


def _smpl(path: Path, scene: Scene) -> None:
    from nbf.export.smpl import write_smpl

    if scene.smpl is None:
        raise InputError(
            f"{path.name}: expected SMPL's own model beside it; `nbf export --to smpl --smpl-model FILE` takes it"
        )
    write_smpl(path, scene.motions[0], scene.smpl, scene.frame)


def _coco(path: Path, scene: Scene) -> None:
    from nbf.export.coco import write_coco

    write_coco(path, scene.persons)


def _csv(path: Path, scene: Scene) -> None:
    from nbf.export.table import write_csv

    write_csv(path, scene.motions, scene.frame, scene.persons)


def _turntable(path: Path, scene: Scene) -> None:
    from nbf.export.film import write_turntable

    write_turntable(path, scene.motions)


def _html(path: Path, scene: Scene) -> None:
    from nbf.export.page import write_html

    write_html(path, scene.persons)


FORMATS = {
    "glb": Format((".glb",), _glb),
    "obj": Format((".obj",), _obj, still=True),
    "npz": Format((".npz",), _npz, photo=True),
    "ply": Format((".ply",), _ply, still=True),
    "bvh": Format((".bvh",), _bvh, alone=True),
    "usd": Format((".usd", ".usda", ".usdc"), _usd, ready=pixar),
    "fbx": Format((".fbx",), _fbx, ready=blender),
    "amass": Format((".amass.npz",), _amass, alone=True),
    "smpl": Format((".smpl.npz",), _smpl, alone=True),
    "coco": Format((".coco.json",), _coco, photo=True),
    "csv": Format((".csv",), _csv),
    "gif": Format((".gif",), _turntable, together=True),
    "mp4": Format((".mp4",), _turntable, together=True, ready=pyav),
    "html": Format((".html",), _html, photo=True, together=True),
}
"""By the names that commands know."""


def write(
    people: "Sequence[Person] | Sequence[Motion]",
    path: str | Path,
    *,
    rig: str = "smpl",
    ground: bool = False,
    skin: str = "clay",
    detail: str = "full",
) -> Path:
    """Write people in one photo, or people over time, into one file, by its ending, an entry of `FORMATS`.

    Args:
        people: at least one.
        path: the file; missing folders are made.
        rig: what the joints are called in .glb, .bvh, .usd and .fbx: smpl, vrm, mixamo or unreal.
        ground: people stand on the ground, the first of them facing +z, in place of where the camera saw them.
        skin: of bodies in .glb: clay; parts, the 24 parts in colours; photo, as the photo shows them.
        detail: of bodies in .glb: full or small.

    Raises:
        InputError: another ending, nobody to write, or people that such a file cannot hold.
    """
    path = checked_path(path, "path")
    if not people:
        raise InputError(f"{path}: nobody to export, the picture has no people; check `if people:` first")
    format = _by_ending(path)
    write_scene(Scene.of(people, rig=rig, ground=ground, skin=skin, detail=detail), path, format)
    return path


def _by_ending(path: Path) -> Format:
    """The longest ending counts: .amass.npz before .npz."""
    endings = {ending: format for format in FORMATS.values() for ending in format.endings}
    for ending in sorted(endings, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return endings[ending]
    raise InputError(f"{path}: expected one of {', '.join(endings)}, got {path.suffix or 'no suffix'!r}")


def write_scene(scene: Scene, path: Path, format: Format) -> None:
    """Write a scene into one file.

    Raises:
        InputError: such a file cannot hold it.
    """
    if format.alone and len(scene.motions) > 1:
        raise InputError(f"{path.name}: expected one person, got {len(scene.motions)}; write a file for each of them")
    if format.photo and not scene.persons:
        raise InputError(f"{path.name}: expected people in a photo, got a film; write .glb, .usd, .bvh or .csv")
    if format.still and any(len(motion) > 1 for motion in scene.motions):
        raise InputError(f"{path.name}: expected people who are still, got a film; write .glb, .usd, .bvh or .csv")
    format.write(path, scene)


def write_files(scene: Scene, folder: Path, name: str, formats: Sequence[Format]) -> None:
    """Write a scene into a folder in several formats, as `name` with their endings; where a file holds one person and
    there are several, as `name_0`, `name_1` ...

    Raises:
        InputError: such files cannot hold it.
    """
    for format in formats:
        if format.alone and len(scene.motions) > 1:
            for index, one in enumerate(scene.alone()):
                write_scene(one, folder / f"{name}_{index}{format.ending}", format)
        else:
            write_scene(scene, folder / f"{name}{format.ending}", format)
