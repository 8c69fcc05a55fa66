"""The GLB is read back with nothing but the specification, skinned in NumPy, and must be the person."""

import json
import struct

import numpy as np
import pytest
import torch

from nbf.body.joints import PARENTS, SMPL24
from nbf.body.model import BodyData, BodyModel
from nbf.export import write_glb

_DTYPES = {5121: np.uint8, 5125: np.uint32, 5126: np.float32}
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
        assert view["byteOffset"] % 4 == 0
        values = np.frombuffer(self.binary, dtype, accessor["count"] * width, view["byteOffset"])
        assert values.nbytes == view["byteLength"]
        return values.reshape(-1, width)

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
    write_glb(tmp_path / "a.glb", body, *parameters)
    glb = Glb(tmp_path / "a.glb")
    node = _skinned_nodes(glb)[0]
    indices = glb.array(glb.doc["meshes"][0]["primitives"][0]["indices"])[:, 0].astype(int)
    expected = body(*parameters).vertices[0].numpy() * [1, -1, -1]
    np.testing.assert_allclose(glb.skinned(node)[indices], expected[body.faces.reshape(-1)], atol=1e-4)


def test_camera_of_the_scene_is_the_photos(written):
    people, glb = written
    camera = glb.doc["cameras"][0]["perspective"]
    assert np.tan(camera["yfov"] / 2) * 2 * float(people.camera.focal) == pytest.approx(people.picture.height)
