"""OBJ, PLY and NPZ files, read by others; and files that appear whole or not at all."""

from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from nbf import __version__
from nbf.export import write
from nbf.export.npz import KEYS, arrays
from nbf.export.obj import read_obj, write_obj
from nbf.export.ply import read_ply
from nbf.export.world import CAMERA, UNIT, World
from nbf.files import replacing
from nbf.motion import Motion, as_seen
from nbf.raster import vertex_normals

_FLIP = np.array([1, -1, -1])


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
@pytest.mark.parametrize("count", [1, 2])
def test_trimesh_reads_the_same_surface(make_people, tmp_path, suffix, count):
    people = make_people(count)
    mesh = trimesh.load_mesh(people.export(tmp_path / f"body{suffix}"), process=False)
    expected = np.concatenate([person.vertices[person.faces] for person in people]) * _FLIP
    np.testing.assert_allclose(mesh.triangles, expected, atol=1e-5)
    # Faces look outwards: a body encloses about as many litres as it weighs kilograms.
    assert 0.02 < mesh.volume / count < 0.2


def test_obj_and_ply_are_read_back(make_people, tmp_path):
    people = make_people(2)
    meshes = read_obj(people.export(tmp_path / "a.obj"))
    assert list(meshes) == ["person_0", "person_1"]
    joined = read_ply(people.export(tmp_path / "a.ply"))
    for index, (person, mesh) in enumerate(zip(people, meshes.values(), strict=True)):
        np.testing.assert_allclose(mesh.vertices, person.vertices.numpy() * _FLIP, atol=1e-6)
        np.testing.assert_array_equal(mesh.faces, person.faces)
        size = len(person.vertices)
        np.testing.assert_allclose(joined.vertices[size * index :][:size], person.vertices.numpy() * _FLIP, atol=1e-6)
        faces = joined.faces[len(person.faces) * index :][: len(person.faces)]
        np.testing.assert_array_equal(faces - size * index, person.faces)


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_on_the_ground_surfaces_are_moved_as_a_whole(make_people, tmp_path, suffix):
    people = make_people(2)
    seen, ground = (
        trimesh.load_mesh(write(people, tmp_path / f"{on}{suffix}", ground=on), process=False) for on in (False, True)
    )
    move = World.on_ground([Motion.of(person, "") for person in people]).from_camera @ as_seen()
    np.testing.assert_allclose(ground.vertices, seen.vertices @ move[:3, :3].T.numpy() + move[:3, 3].numpy(), atol=1e-5)
    np.testing.assert_allclose(ground.vertex_normals, seen.vertex_normals @ move[:3, :3].T.numpy(), atol=1e-3)
    assert ground.vertices[:, 1].min() == pytest.approx(0, abs=1e-5)


def test_obj_of_other_programs(tmp_path):
    """Numbers that count backwards, corners without texture points, faces of four corners, no name."""
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0 0.5\nv 0 1 0\nf -4 -3/1 -2//7 4\n")
    mesh = read_obj(tmp_path / "a.obj")[""]
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])


def test_obj_keeps_texture_points_and_normals(make_people, tmp_path):
    person = make_people(1)[0]
    lines = person.export(tmp_path / "a.obj").read_text().splitlines()
    rows = {tag: [line.split()[1:] for line in lines if line.split()[0] == tag] for tag in ("v", "vt", "vn", "f")}
    np.testing.assert_allclose(np.array(rows["vt"], float), person.body.uv.numpy(), atol=1e-6)
    assert len(rows["v"]) == len(rows["vn"]) == len(person.vertices)
    corners = np.array([[corner.split("/") for corner in row] for row in rows["f"]], int) - 1
    np.testing.assert_array_equal(corners[..., 0], person.faces)
    np.testing.assert_array_equal(corners[..., 1], person.body.faces_uv)
    np.testing.assert_array_equal(corners[..., 2], person.faces)


@pytest.mark.parametrize("count", [1, 3])
def test_npz_holds_what_it_says(make_people, tmp_path, count):
    people = make_people(count)
    with np.load(people.export(tmp_path / "a.npz")) as file:
        arrays = dict(file)
    assert set(arrays) == {*KEYS, "faces", "body_model", "lens", "picture", "nbf", "unit", "frame"}
    sizes = {"s": people[0].body.shape_count, "v": len(people[0].vertices)}
    for name, key in KEYS.items():
        expected = tuple(sizes[side] if isinstance(side, str) else side for side in key.shape)
        assert arrays[name].shape == (count, *expected), name
    assert str(arrays["body_model"]) == "anny24"
    np.testing.assert_array_equal(
        np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1), arrays["poses"]
    )
    for index, person in enumerate(people):
        np.testing.assert_array_equal(arrays["betas"][index], person.betas)
        np.testing.assert_array_equal(arrays["trans"][index], person.translation)
        np.testing.assert_allclose(arrays["joints_3d_lsp14"][index], person.joints_3d("lsp14"), atol=1e-6)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as draft:
        draft.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("textured", [True, False])
def test_obj_is_the_plain_text(make_people, tmp_path, textured):
    people = make_people(2)
    body, vertices = people[0].body, torch.stack([person.vertices for person in people])
    uv = body.uv if textured else body.uv[:0]
    write_obj(tmp_path / "a.obj", vertices, body.faces, uv, body.faces_uv, World.as_seen(), "made up")
    rows = ["# made up"]
    rows += [f"vt {u:.6f} {v:.6f}" for u, v in uv.tolist()]
    for index, points in enumerate(vertices):
        normals = vertex_normals(vertices, body.faces)[index]
        rows.append(f"o person_{index}")
        for tag, numbers in (("v", points), ("vn", normals)):
            rows += [f"{tag} {x:.6f} {-y:.6f} {-z:.6f}" for x, y, z in numbers.tolist()]
        rows.append("s 1")
        for face, texture in zip((body.faces + 1 + index * len(points)).tolist(), (body.faces_uv + 1).tolist()):
            corners = zip(face, texture if textured else [""] * 3)
            rows.append("f " + " ".join(f"{corner}/{point}/{corner}" for corner, point in corners))
    assert (tmp_path / "a.obj").read_bytes() == ("\n".join(rows) + "\n").encode()


def test_npz_is_that_of_numpy_and_the_same_each_time(make_people, tmp_path):
    people = make_people(2)
    first, second = (people.export(tmp_path / name).read_bytes() for name in ("a.npz", "b.npz"))
    assert first == second
    contents: dict[str, Any] = arrays(people) | {"faces": people[0].faces, "body_model": "anny24", "lens": ""}
    contents |= {"picture": "made-up", "nbf": __version__, "unit": UNIT, "frame": CAMERA}
    np.savez_compressed(tmp_path / "numpy.npz", **contents)
    with np.load(tmp_path / "a.npz") as ours, np.load(tmp_path / "numpy.npz") as theirs:
        assert ours.files == theirs.files
        for name in theirs.files:
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name], theirs[name])
