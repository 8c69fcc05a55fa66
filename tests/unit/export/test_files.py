"""OBJ, PLY and NPZ files, read by others; and files that appear whole or not at all."""

import numpy as np
import pytest
import trimesh

from nbf.export.npz import KEYS
from nbf.files import replacing

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
    assert set(arrays) == {*KEYS, "faces", "body_model"}
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
