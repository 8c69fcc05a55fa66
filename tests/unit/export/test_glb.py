"""The GLB is read back with nothing but the specification, skinned in NumPy, and must be the person."""

import json
import struct
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from nbf import __version__
from nbf.body.joints import PARENTS, SMPL24
from nbf.body.model import BodyData, BodyModel
from nbf.body.parts import COLORS
from nbf.errors import InputError
from nbf.export.glb import read_glb, write_glb
from nbf.export.rig import RIGS
from nbf.export.skinned import surface
from nbf.geometry import matrix_from_axis_angle
from nbf.motion import Motion, as_seen, grounded

_DTYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """A plain reader of binary glTF."""

    def __init__(self, path):
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<III", data)
        assert (magic, version, length) == (0x46546C67, 2, len(data))
        size, kind = struct.unpack_from("<II", data, 12)
        assert kind == 0x4E4F534A
        assert size % 4 == 0
        self.doc = json.loads(data[20 : 20 + size])
        binary_size, kind = struct.unpack_from("<II", data, 20 + size)
        assert kind == 0x004E4942
        self.binary = data[28 + size :]
        assert len(self.binary) == binary_size == self.doc["buffers"][0]["byteLength"]

    def array(self, index) -> np.ndarray:
        accessor = self.doc["accessors"][index]
        view = self.doc["bufferViews"][accessor["bufferView"]]
        dtype, width = _DTYPES[accessor["componentType"]], _WIDTHS[accessor["type"]]
        start = accessor.get("byteOffset", 0)
        assert view["byteOffset"] % 4 == start % 4 == 0
        values = np.frombuffer(self.binary, dtype, accessor["count"] * width, view["byteOffset"] + start)
        assert start + values.nbytes <= view["byteLength"]
        return values.reshape(-1, width)

    def keys(self, name):
        """Times and values of a clip's channels, by node and what they change."""
        clip = next(clip for clip in self.doc["animations"] if clip["name"] == name)
        keys = {}
        for channel in clip["channels"]:
            sampler = clip["samplers"][channel["sampler"]]
            target = channel["target"]["node"], channel["target"]["path"]
            assert target not in keys
            keys[target] = self.array(sampler["input"])[:, 0], self.array(sampler["output"])
        return keys

    def pose(self, name, key=0):
        """Put the nodes into a key of a clip."""
        for (node, path), (_, values) in self.keys(name).items():
            self.doc["nodes"][node][path] = values[key].tolist()

    def worlds(self):
        """World matrix of every node."""
        nodes = self.doc["nodes"]
        worlds = [np.eye(4)] * len(nodes)

        def visit(index, parent):
            worlds[index] = parent @ _local(nodes[index])
            for child in nodes[index].get("children", ()):
                visit(child, worlds[index])

        for root in self.doc["scenes"][0]["nodes"]:
            visit(root, np.eye(4))
        return worlds

    def skinned(self, node):
        """Posed vertices of a skinned mesh node, by the specification's formula."""
        attributes = self.doc["meshes"][node["mesh"]]["primitives"][0]["attributes"]
        skin = self.doc["skins"][node["skin"]]
        worlds = self.worlds()
        inverse = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        matrices: np.ndarray = np.stack(
            [worlds[joint] @ bind for joint, bind in zip(skin["joints"], inverse, strict=True)]
        )
        points = np.concatenate([self.array(attributes["POSITION"]), np.ones((len(self.points(node)), 1))], axis=1)
        total = np.zeros((len(points), 4))
        for k in range(sum(name.startswith("JOINTS_") for name in attributes)):
            joints, weights = self.array(attributes[f"JOINTS_{k}"]), self.array(attributes[f"WEIGHTS_{k}"])
            total += np.einsum("vk,vkab,vb->va", weights, matrices[joints], points)
        return total[:, :3]

    def points(self, node):
        return self.array(self.doc["meshes"][node["mesh"]]["primitives"][0]["attributes"]["POSITION"])


def _local(node):
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


@pytest.fixture(params=[1, 3])
def written(request, make_people, tmp_path):
    people = make_people(request.param, bend=0.5)
    return people, Glb(people.export(tmp_path / "body.glb"))


def _skinned_nodes(glb):
    return [node for node in glb.doc["nodes"] if "skin" in node]


def test_skinning_the_file_gives_the_person(written):
    people, glb = written
    nodes = _skinned_nodes(glb)
    assert len(nodes) == len(people)
    for person, node in zip(people, nodes, strict=True):
        indices = glb.array(glb.doc["meshes"][node["mesh"]]["primitives"][0]["indices"])[:, 0].astype(int)
        corners = glb.skinned(node)[indices].reshape(-1, 3, 3)
        expected = person.vertices.numpy()[person.faces.numpy()] * [1, -1, -1]
        np.testing.assert_allclose(corners, expected, atol=1e-5)


def test_rest_mesh_is_the_t_pose_of_the_persons_shape(written):
    people, glb = written
    for person, node in zip(people, _skinned_nodes(glb), strict=True):
        points = glb.points(node)
        rest = person.body.rest_vertices(person.betas).numpy()
        np.testing.assert_allclose(np.ptp(points, axis=0), np.ptp(rest, axis=0), atol=1e-5)
        accessor = glb.doc["accessors"][glb.doc["meshes"][node["mesh"]]["primitives"][0]["attributes"]["POSITION"]]
        np.testing.assert_array_equal(accessor["min"], points.min(axis=0))
        np.testing.assert_array_equal(accessor["max"], points.max(axis=0))


def test_skeleton_has_smpls_names_tree_and_joints(written):
    people, glb = written
    worlds = glb.worlds()
    for person, node in zip(people, _skinned_nodes(glb), strict=True):
        joints = glb.doc["skins"][node["skin"]]["joints"]
        assert [glb.doc["nodes"][j]["name"] for j in joints] == list(SMPL24)
        for child, parent in enumerate(PARENTS):
            assert parent < 0 or joints[child] in glb.doc["nodes"][joints[parent]]["children"]
        placed = np.stack([worlds[j][:3, 3] for j in joints])
        np.testing.assert_allclose(placed, person.joints_3d().numpy() * [1, -1, -1], atol=1e-5)


def test_weights_normals_and_coordinates_are_valid(written):
    _, glb = written
    for mesh in glb.doc["meshes"]:
        attributes = mesh["primitives"][0]["attributes"]
        counts = {glb.doc["accessors"][index]["count"] for index in attributes.values()}
        assert len(counts) == 1
        weights = sum(glb.array(i).astype(float).sum(axis=1) for name, i in attributes.items() if "WEIGHTS" in name)
        np.testing.assert_allclose(weights, 1, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(glb.array(attributes["NORMAL"]), axis=1), 1, atol=1e-5)
        uv = glb.array(attributes["TEXCOORD_0"])
        assert uv.min() >= 0
        assert uv.max() <= 1
        assert glb.array(mesh["primitives"][0]["indices"]).max() < counts.pop()


def test_pose_blend_shapes_are_in_the_mesh(make_people, small_body, tmp_path):
    """A body with SMPL's pose correctives, which glTF's skinning lacks, still comes out the same."""
    names = BodyData.__dataclass_fields__
    fields = {name: getattr(small_body, name) for name in names}
    draw = torch.Generator().manual_seed(0)
    fields["pose_dirs"] = torch.randn(len(small_body.template), 3, 207, generator=draw) * 1e-3
    body = BodyModel(BodyData(**fields))
    person = make_people(1)[0]
    parameters = person.betas[None], person.rotations[None], person.translation[None]
    write_glb(tmp_path / "a.glb", [replace(Motion.of(person, "a"), body=body)])
    glb = Glb(tmp_path / "a.glb")
    node = _skinned_nodes(glb)[0]
    indices = glb.array(glb.doc["meshes"][0]["primitives"][0]["indices"])[:, 0].astype(int)
    expected = body(*parameters).vertices[0].numpy() * [1, -1, -1]
    np.testing.assert_allclose(glb.skinned(node)[indices], expected[body.faces.reshape(-1)], atol=1e-4)


def film(people, frames=3):
    """They bend their knees, turn round and walk to the right, one after the other."""
    bend = torch.zeros(frames, 24, 3)
    bend[:, 0, 1] = torch.linspace(0, 5, frames)
    bend[:, 4:6, 0] = torch.linspace(0.1, 2, frames)[:, None]
    walk = torch.linspace(0, 1, frames)[:, None] * torch.tensor([1.0, 0, 0])
    return [
        Motion(
            f"walker {i}", p.betas, p.rotations @ matrix_from_axis_angle(bend), p.translation + walk, 25.0, p.body,
            p.body_name, start=5 * i,
        )
        for i, p in enumerate(people)
    ]  # fmt: skip


def in_file(motion, frame, move):
    """The vertices that somebody must have in the file."""
    vertices = motion.posed(slice(frame, frame + 1)).vertices[0]
    return (vertices @ move[:3, :3].T + move[:3, 3]).numpy()[surface(motion.body).vertex]


def test_people_stand_apart_and_the_camera_is_nobodys_child(written):
    people, glb = written
    nodes, scene = glb.doc["nodes"], glb.doc["scenes"][0]["nodes"]
    assert len(glb.doc["skins"]) == len(people)
    for index, skin in enumerate(glb.doc["skins"]):
        (home,) = [node for node in nodes if skin["joints"][0] in node.get("children", ())]
        assert nodes.index(home) in scene
        assert home["name"] == f"person_{index}"
        assert home["children"] == [skin["joints"][0]]
        assert set(home) == {"name", "children", "translation"}  # upright
    assert all("mesh" not in node or i in scene for i, node in enumerate(nodes))
    assert [i in scene for i, node in enumerate(nodes) if "camera" in node] == [True]


def test_clips_are_the_found_pose_and_the_t_pose(written):
    people, glb = written
    assert [clip["name"] for clip in glb.doc["animations"]] == ["found pose", "T-pose"]
    opened = [glb.skinned(node) for node in _skinned_nodes(glb)]
    for key in (0, 1):
        glb.pose("found pose", key)
        np.testing.assert_array_equal([glb.skinned(node) for node in _skinned_nodes(glb)], opened)
    glb.pose("T-pose")
    for person, node, found in zip(people, _skinned_nodes(glb), opened, strict=True):
        posed = glb.skinned(node)
        rest = person.body.rest_vertices(person.betas).numpy()[surface(person.body).vertex]
        np.testing.assert_allclose(posed - rest, np.broadcast_to(posed[0] - rest[0], rest.shape), atol=1e-5)
        assert posed[:, 1].min() == pytest.approx(found[:, 1].min(), abs=1e-5)


@pytest.mark.parametrize("on_ground", [False, True])
def test_a_film_is_a_clip_with_all_turns_and_one_place(make_people, tmp_path, on_ground):
    motions = film(make_people(2))
    move = grounded(motions) if on_ground else as_seen()
    write_glb(tmp_path / "a.glb", motions, world_from_camera=move)
    glb = Glb(tmp_path / "a.glb")
    keys = glb.keys("motion")
    for i, skin in enumerate(glb.doc["skins"]):
        bones = skin["joints"]
        assert {node for node, path in keys if path == "rotation"} >= set(bones)
        assert [node for node, path in keys if path == "translation" and node in bones] == bones[:1]
        for bone in bones:
            times, turns = keys[bone, "rotation"]
            np.testing.assert_allclose(times, (5 * i + np.arange(3)) / 25, atol=1e-6)
            assert ((turns[1:] * turns[:-1]).sum(-1) > 0).all()
    for frame in (1, 2, 0):  # in the end as the file opens
        glb.pose("motion", frame)
        for motion, node in zip(motions, _skinned_nodes(glb), strict=True):
            np.testing.assert_allclose(glb.skinned(node), in_file(motion, frame, move), atol=1e-5)
    opened = Glb(tmp_path / "a.glb")
    for node in _skinned_nodes(glb):
        np.testing.assert_array_equal(opened.skinned(node), glb.skinned(node))


@pytest.mark.parametrize("on_ground", [False, True])
def test_the_camera_sees_people_where_the_photo_shows_them(make_people, tmp_path, on_ground):
    people = make_people(2)
    motions = [Motion.of(person, f"person_{i}") for i, person in enumerate(people)]
    move = grounded(motions) if on_ground else None
    size = people.picture.width, people.picture.height
    write_glb(tmp_path / "a.glb", motions, world_from_camera=move, camera=people.camera, size=size)
    glb = Glb(tmp_path / "a.glb")
    view = glb.doc["cameras"][0]["perspective"]
    (camera,) = [i for i, node in enumerate(glb.doc["nodes"]) if "camera" in node]
    to_camera = np.linalg.inv(glb.worlds()[camera])
    focal = size[1] / 2 / np.tan(view["yfov"] / 2)
    assert view["aspectRatio"] == pytest.approx(size[0] / size[1])
    for person, node in zip(people, _skinned_nodes(glb), strict=True):
        points = glb.skinned(node)
        x, y, z = (points @ to_camera[:3, :3].T + to_camera[:3, 3]).T
        pixels = np.stack([size[0] / 2 - focal * x / z, size[1] / 2 + focal * y / z], axis=1)
        expected = person.camera.project(person.vertices).numpy()[surface(person.body).vertex]
        np.testing.assert_allclose(pixels, expected, atol=1e-2)
    lowest = min(glb.skinned(node)[:, 1].min() for node in _skinned_nodes(glb))
    assert (abs(lowest) < 1e-5) == on_ground


@pytest.mark.parametrize("rig", RIGS)
def test_joints_are_called_as_in_the_rig(make_people, tmp_path, rig):
    write_glb(tmp_path / "a.glb", [Motion.of(make_people(1)[0], "a")], rig=rig)
    glb = Glb(tmp_path / "a.glb")
    assert tuple(glb.doc["nodes"][joint]["name"] for joint in glb.doc["skins"][0]["joints"]) == RIGS[rig]


def test_parts_have_their_colours(make_people, tmp_path):
    person = make_people(1)[0]
    write_glb(tmp_path / "a.glb", [Motion.of(person, "a")], parts=True)
    glb = Glb(tmp_path / "a.glb")
    primitive = glb.doc["meshes"][0]["primitives"][0]
    index = primitive["attributes"]["COLOR_0"]
    assert glb.doc["accessors"][index]["normalized"]
    colors = (glb.array(index)[:, :3] / 65535) ** (1 / 2.2) * 255
    corners = colors[glb.array(primitive["indices"])[:, 0]].reshape(-1, 3, 3)
    expected = COLORS.numpy()[person.body.face_parts.numpy()]
    np.testing.assert_allclose(corners, np.broadcast_to(expected[:, None], corners.shape), atol=1)


def test_a_texture_is_in_the_file_as_it_is(make_people, tmp_path):
    motions = [Motion.of(person, f"person_{i}") for i, person in enumerate(make_people(2))]
    texture = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    write_glb(tmp_path / "a.glb", motions, textures=[texture])
    glb = Glb(tmp_path / "a.glb")
    (image,) = glb.doc["images"]
    view = glb.doc["bufferViews"][image["bufferView"]]
    data = glb.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(data), formats=["PNG"])), texture)
    first, second = (mesh["primitives"][0]["material"] for mesh in glb.doc["meshes"])
    assert "baseColorTexture" in glb.doc["materials"][first]["pbrMetallicRoughness"]
    assert glb.doc["materials"][second]["name"] == "clay"


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", ["still", "film", "ground"])
def test_written_then_read_is_the_same(make_people, tmp_path, count, kind):
    people = make_people(count)
    motions = film(people) if kind == "film" else [Motion.of(person, f"né {i}") for i, person in enumerate(people)]
    move = grounded(motions) if kind == "ground" else None
    write_glb(tmp_path / "a.glb", motions, world_from_camera=move, rig="mixamo", parts=True)
    for found, motion in zip(read_glb(tmp_path / "a.glb"), motions, strict=True):
        for name in ("name", "frame_rate", "start", "body_name"):
            assert getattr(found, name) == getattr(motion, name)
        assert torch.equal(found.betas, motion.betas)
        assert torch.equal(found.body.template, motion.body.template)
        torch.testing.assert_close(found.rotations, motion.rotations, atol=1e-6, rtol=0)
        torch.testing.assert_close(found.translation, motion.translation, atol=2e-6, rtol=0)


def test_somebody_still_among_who_move_is_in_the_film(make_people, tmp_path):
    one, other = make_people(2)
    motions = [*film([one]), Motion.of(other, "still")]
    write_glb(tmp_path / "a.glb", motions)
    assert [clip["name"] for clip in Glb(tmp_path / "a.glb").doc["animations"]] == ["motion", "T-pose"]
    assert [len(motion) for motion in read_glb(tmp_path / "a.glb")] == [3, 1]


def test_the_file_says_what_it_is(written):
    people, glb = written
    said = glb.doc["asset"]["extras"]
    assert said["unit"] == "metre"
    assert said["nbf"] == __version__
    assert [person["body_model"] for person in said["people"]] == ["anny24"] * len(people)
    np.testing.assert_array_equal(
        np.array([person["betas"] for person in said["people"]], np.float32), [p.betas for p in people]
    )


def test_what_cannot_be_written_or_read_is_refused(make_people, tmp_path):
    (motion,) = film(make_people(1))
    with pytest.raises(InputError, match="rig: expected one of smpl, vrm"):
        write_glb(tmp_path / "a.glb", [motion], rig="maya")
    with pytest.raises(InputError, match="walker 0: expected a frame rate of 3 frames"):
        write_glb(tmp_path / "a.glb", [replace(motion, frame_rate=None)])
    assert not list(tmp_path.iterdir())
    write_glb(tmp_path / "a.glb", [motion])
    data = (tmp_path / "a.glb").read_bytes()
    for damaged in (
        b"",
        b"glTF",
        data[:-9],
        data.replace(b'"frames":3', b'"frames":9'),
        data.replace(b"betas", b"beta_"),
    ):
        (tmp_path / "a.glb").write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.glb: cannot be read as a \.glb that nbf wrote"):
            read_glb(tmp_path / "a.glb")
    with pytest.raises(InputError, match=r"b\.glb: no such file"):
        read_glb(tmp_path / "b.glb")
