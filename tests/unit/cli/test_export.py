"""`nbf export`: results as files of other programs, under names that the run owns."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from readers import people
from smpl import tiny_smpl

from nbf.cli import main
from nbf.export import FORMATS
from nbf.export.amass import read_amass
from nbf.export.bvh import read_bvh
from nbf.export.formats import RigName
from nbf.export.obj import read_obj
from nbf.export.rig import RIGS
from nbf.export.table import read_csv


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """Two people in one file."""
    return people().export(tmp_path / "in" / "walk.npz")


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".nbf")


def test_each_format_is_written_under_the_results_name(result: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["export", str(result), "-o", str(out), "--to", "glb,bvh,amass,coco,csv,obj,ply"]) == 0
    each = [f"walk_{index}{ending}" for index in (0, 1) for ending in (".amass.npz", ".bvh")]
    assert written(out) == sorted([*each, *(f"walk{e}" for e in (".coco.json", ".csv", ".glb", ".obj", ".ply"))])
    line, total = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{result}: 2 people -> ")
    assert "2 amass" in line
    assert total.startswith("1 of 1 results done, people: 2, ")
    assert {row.picture for row in read_csv(out / "walk.csv")} == {"made-up"}


def test_one_person_needs_no_number(tmp_path: Path) -> None:
    path = people()[1].export(tmp_path / "walk_1.npz")
    assert main(["export", str(path), "-o", str(tmp_path / "out"), "--to", "bvh,amass"]) == 0
    assert written(tmp_path / "out") == ["walk_1.amass.npz", "walk_1.bvh"]


def test_glb_is_a_result_as_well_and_has_the_skin_asked_for(result: Path, tmp_path: Path) -> None:
    arguments = ["-o", str(tmp_path / "out"), "--skin", "parts", "--detail", "small", "--to"]
    assert main(["export", str(result), *arguments, "glb"]) == 0
    assert b'"COLOR_0"' in (tmp_path / "out" / "walk.glb").read_bytes()
    for source, name in ((tmp_path / "out" / "walk.glb", "a"), (result, "b")):
        assert main(["export", str(source), "-o", str(tmp_path / name), "--to", "bvh"]) == 0
    for index in (0, 1):
        one, other = (read_bvh(tmp_path / name / f"walk_{index}.bvh") for name in "ab")
        np.testing.assert_allclose(one.joints(), other.joints(), atol=1e-5)


def test_rig_and_ground_are_those_of_the_files(result: Path, tmp_path: Path) -> None:
    """All people of a result stand in one world, also where each has a file."""
    arguments = ["export", str(result), "-o", str(tmp_path), "--to", "bvh,obj", "--rig", "unreal", "--ground"]
    assert main(arguments) == 0
    skeletons = [read_bvh(tmp_path / f"walk_{index}.bvh") for index in (0, 1)]
    assert set(skeletons[0].names) == set(RIGS["unreal"])
    meshes = read_obj(tmp_path / "walk.obj")
    assert min(mesh.vertices[:, 1].min() for mesh in meshes.values()) == pytest.approx(0, abs=1e-5)
    roots = [skeleton.positions[0, 0] for skeleton in skeletons]
    np.testing.assert_allclose(roots[0] - roots[1], people()[0].joints_3d()[0] - people()[1].joints_3d()[0], atol=0.05)
    for mesh, root in zip(meshes.values(), roots):
        assert np.abs(mesh.vertices.mean(0) - root)[::2].max() < 0.2


def test_a_motion_of_ours_is_exported_as_well(result: Path, tmp_path: Path) -> None:
    assert main(["export", str(result), "-o", str(tmp_path / "a"), "--to", "amass"]) == 0
    first = (tmp_path / "a" / "walk_0.amass.npz").rename(tmp_path / "a" / "any.npz")
    assert main(["export", str(first), "-o", str(tmp_path / "b"), "--to", "bvh,glb"]) == 0
    (bvh,) = (tmp_path / "b").glob("*.bvh")
    names = read_bvh(bvh)
    joints = names.joints()[0, [names.names.index(name) for name in RIGS["smpl"]]]
    np.testing.assert_allclose(joints, read_amass(first).joints()[0].numpy() * np.array([1, -1, -1]), atol=1e-5)


def test_a_bad_result_stops_nobody(result: Path, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"no archive")
    out = tmp_path / "out"
    assert main(["export", str(bad), str(tmp_path / "none.npz"), str(result), "-o", str(out), "--to", "ply"]) == 1
    assert written(out) == ["walk.ply"]
    errors = capsys.readouterr().err
    assert "bad.npz" in errors
    assert "none.npz" in errors


def test_files_of_others_are_left_alone(result: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "walk.obj").write_text("mine")
    arguments = ["export", str(result), "-o", str(tmp_path), "--to", "obj,ply"]
    assert main(arguments) == 1
    assert "would overwrite" in capsys.readouterr().err
    assert (tmp_path / "walk.obj").read_text() == "mine"
    assert not (tmp_path / "walk.ply").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "stl"], "--to: expected some of glb, obj, ply, bvh"),
        (["--to", "npz"], "--to: expected some of glb"),
        (["--to", "smpl"], "--smpl-model: expected beside --to smpl"),
        (["--to", "glb", "--smpl-model", "a.pkl"], "--smpl-model: expected beside --to smpl"),
        (["--to", "smpl", "--smpl-model", "none.pkl"], "none.pkl: no such body model file"),
        (["--to", "glb", "--rig", "cat"], "rig"),
        ([], "--to"),
    ],
)
def test_mistakes_are_said_before_anything_is_done(result: Path, tmp_path: Path, capsys, arguments, words) -> None:
    assert main(["export", str(result), "-o", str(tmp_path / "out"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_not_installed_is_said_at_once(result: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("nbf.export.needs.find_spec", lambda name: None)
    monkeypatch.setattr("nbf.export.needs.shutil.which", lambda name: None)
    for name, words in (("usd", "pip install 'neural-body-fitting[usd]'"), ("fbx", "install Blender")):
        assert main(["export", str(result), "-o", str(tmp_path / "out"), "--to", f"glb,{name}"]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_smpls_parameters_are_fitted_to_somebodys_file(result: Path, tmp_path: Path) -> None:
    """The made-up file is no body: what matters is that it is read, and that the file says how far off it is."""
    np.savez(tmp_path / "smpl.npz", **tiny_smpl())
    arguments = ["export", str(result), "-o", str(tmp_path), "--to", "smpl", "--smpl-model", str(tmp_path / "smpl.npz")]
    assert main(arguments) == 0
    with np.load(tmp_path / "walk_0.smpl.npz") as file:
        assert file["betas"].shape == (10,)
        assert file["poses"].shape == (1, 72)
        assert file["residual_mm"].shape == (1,)
        assert np.isfinite(file["residual_mm"]).all()


def test_help_names_all_rigs_and_formats(capsys) -> None:
    assert main(["export", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*RIGS, *FORMATS))
    assert set(get_args(RigName)) == set(RIGS)
