"""Reading .mhclo, .obj and .mhmat files: hand-made ones, and MakeHuman's own where the shared folder is there."""

from pathlib import Path

import numpy as np
import pytest
from mhclo import hidden_faces, read_mapping, read_material, read_mesh

from nbf.data.shared import shared_dir
from nbf.errors import DataError

MAP = """# a comment
name thing
tag Female
obj_file thing.obj
x_scale 1 2 0.5
z_scale 5 6 2.0
y_scale 3 4 1.5
material thing.mhmat
verts 0
7
1 2 3 0.5 0.25 0.25 0.1 0.2 0.3
z_depth 50
delete_verts
10 - 12 15 20-21
30
"""
OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 0.25\nf 1/1 2/2 3/3 4/4\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "thing.mhclo").write_text(MAP)
    (tmp_path / "thing.obj").write_text(OBJ)
    (tmp_path / "thing.mhmat").write_text("name thing\ndiffuseTexture  ../thing_diffuse.png\n")
    return tmp_path


def test_reads_the_map(folder: Path):
    mapping = read_mapping(folder / "thing.mhclo")
    assert (mapping.name, mapping.tags) == ("thing", ("Female",))
    assert mapping.corners.tolist() == [[7, 7, 7], [1, 2, 3]]
    assert mapping.weights.tolist() == [[1, 0, 0], [0.5, 0.25, 0.25]]
    assert mapping.offsets.tolist() == [[0, 0, 0], [0.1, 0.2, 0.3]]
    assert mapping.scale_ends.tolist() == [[1, 2], [3, 4], [5, 6]], "scales are in the order x, y, z"
    assert mapping.scale_lengths.tolist() == [0.5, 1.5, 2.0]
    assert mapping.deleted.tolist() == [10, 11, 12, 15, 20, 21, 30]


def test_quads_become_two_triangles_with_image_coordinates(folder: Path):
    mesh = read_mesh(folder / "thing.obj")
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.uv[1].tolist() == [[0, 1], [1, 0], [0, 0.75]]


def test_reads_the_texture_relative_to_the_material(folder: Path):
    assert read_material(folder / "thing.mhmat") == folder / "../thing_diffuse.png"


def test_hides_faces_whose_vertices_are_all_listed():
    assert hidden_faces(np.array([[1, 2, 3], [1, 2, 4]]), np.array([1, 2, 3])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("thing.mhclo", "verts 0\n1\n", "missing"),
        ("thing.mhclo", MAP.replace("7\n", "7 8\n", 1), "1 or 9 numbers"),
    ],
)
def test_a_damaged_map_is_named(folder: Path, name: str, text: str, message: str):
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_mapping(folder / name)
    assert name in str(caught.value)


def test_a_mesh_without_faces_and_a_material_without_texture_are_named(folder: Path):
    (folder / "thing.obj").write_text("v 0 0 0\n")
    (folder / "thing.mhmat").write_text("name thing\n")
    with pytest.raises(DataError, match=r"thing\.obj"):
        read_mesh(folder / "thing.obj")
    with pytest.raises(DataError, match=r"thing\.mhmat"):
        read_material(folder / "thing.mhmat")


@pytest.mark.skipif(shared_dir() is None, reason="needs ../shared (MakeHuman's wardrobe pack)")
def test_every_real_map_has_a_row_per_vertex():
    pack = (shared_dir() or Path()) / "assets" / "makehuman"
    paths = sorted(pack.glob("clothes/*/*.mhclo")) + sorted(pack.glob("hair/*/*.mhclo"))
    assert len(paths) == 30
    for path in paths:
        mapping = read_mapping(path)
        assert len(mapping.corners) == len(read_mesh(mapping.mesh).points), path.name
        np.testing.assert_allclose(mapping.weights.sum(1), 1, atol=1e-4)
        assert mapping.corners.max() <= 19149
        assert read_material(mapping.material).is_file()
