"""SMPL files: read whole, and refused where unsafe or broken. The SMPL here is a made-up one of 48 vertices."""

import io
import os
import pickle
import sys
import time
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import sparse
from tests.smpl import full_smpl, python2_pickle, tiny_smpl

from nbf.body.files import load_body
from nbf.body.measure import height, mass
from nbf.errors import ModelFileError


class Ch:
    """As chumpy.ch.Ch pickles: a class of a module named chumpy, its values under `x`."""

    def __init__(self, values: np.ndarray) -> None:
        self.x = values


class Select:
    """As chumpy.reordering.Select pickles: a choice of another array's entries."""

    def __init__(self, a: Ch, idxs: np.ndarray, preferred_shape: tuple[int, ...]) -> None:
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets Ch and Select be pickled under chumpy's names."""
    for module, cls in (("chumpy", None), ("chumpy.ch", Ch), ("chumpy.reordering", Select)):
        fake = types.ModuleType(module)
        if cls is not None:
            setattr(fake, cls.__name__, cls)
            monkeypatch.setattr(cls, "__module__", module)
        monkeypatch.setitem(sys.modules, module, fake)


def check(path: Path) -> None:
    table, body = tiny_smpl(), load_body(path)
    torch.testing.assert_close(body.template, torch.from_numpy(table["v_template"]).float())
    torch.testing.assert_close(body.shape_dirs, torch.from_numpy(table["shapedirs"]).float())
    joints = torch.from_numpy(table["J_regressor"] @ table["v_template"]).float()
    torch.testing.assert_close(body.rest_joints(torch.zeros(10)), joints)
    out = body(torch.zeros(10), torch.eye(3).expand(24, 3, 3), torch.zeros(3))
    torch.testing.assert_close(out.vertices, body.template)
    assert body.keypoints(out, "coco17").shape == (17, 3)
    torch.testing.assert_close(body.keypoints(out, "coco17")[13], joints[4])
    torch.testing.assert_close(body.keypoints(out, "lsp14")[12], joints[12])
    assert int(body.face_parts.min()) >= 1
    assert int(body.face_parts.max()) <= 24
    assert body.pose_dirs is not None


def test_npz(tmp_path: Path):
    np.savez(tmp_path / "smpl.npz", **tiny_smpl())
    check(tmp_path / "smpl.npz")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [sparse.csc_matrix, sparse.csr_array, sparse.coo_matrix, sparse.coo_array])
def test_pickle_with_sparse_matrix(tmp_path: Path, protocol: int, kind: Any):
    table = tiny_smpl()
    table["J_regressor"] = kind(table["J_regressor"])
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(table, protocol))
    check(tmp_path / "smpl.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_with_chumpy_arrays(tmp_path: Path, chumpy: None, protocol: int, monkeypatch: pytest.MonkeyPatch):
    table = tiny_smpl()
    padded = np.concatenate([table["shapedirs"], np.zeros((48, 3, 5))], 2)
    chosen = np.arange(padded.size).reshape(padded.shape)[..., :10]
    table["shapedirs"] = Select(Ch(padded), chosen.ravel(), chosen.shape)
    table["v_template"], table["posedirs"] = Ch(table["v_template"]), Ch(table["posedirs"])
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(table, protocol))
    for module in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        monkeypatch.delitem(sys.modules, module)
    check(tmp_path / "smpl.pkl")
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("protocol", range(3))
@pytest.mark.parametrize("kind", [sparse.csc_matrix, sparse.csr_matrix, sparse.coo_matrix])
def test_python2_pickle(tmp_path: Path, protocol: int, kind: Any):
    """Python 2's strings and module names, as SMPL 1.0 comes."""
    table = tiny_smpl()
    table["J_regressor"] = kind(table["J_regressor"])
    raw = python2_pickle(table, protocol)
    assert b"_codecs" not in raw
    (tmp_path / "smpl.pkl").write_bytes(raw)
    check(tmp_path / "smpl.pkl")


def test_coo_matrix_of_older_scipy(tmp_path: Path):
    """Up to 1.12 rows and columns were attributes; values at one place are summed."""

    table = tiny_smpl()
    matrix = sparse.coo_matrix(table["J_regressor"])
    twice = [np.tile(line, 2) for line in (matrix.data / 2, matrix.row, matrix.col)]
    old = sparse.coo_matrix((24, 48))
    vars(old).clear()
    vars(old).update(data=twice[0], row=twice[1], col=twice[2], _shape=(24, 48), maxprint=50)
    table["J_regressor"] = old
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(table, 2))
    check(tmp_path / "smpl.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_ordered_dictionary(tmp_path: Path, protocol: int):
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(OrderedDict(tiny_smpl()), protocol))
    check(tmp_path / "smpl.pkl")


def test_ordered_dictionary_of_python2(tmp_path: Path):
    """It was called with its pairs there."""

    class Ordered:
        def __reduce__(self) -> tuple[Any, tuple[list[list[Any]]]]:
            return OrderedDict, ([[key, value] for key, value in tiny_smpl().items()],)

    (tmp_path / "smpl.pkl").write_bytes(python2_pickle(Ordered(), 2))
    check(tmp_path / "smpl.pkl")


def test_pose_blend_shapes_as_smplx_turns_them(tmp_path: Path):
    table = tiny_smpl()
    want = torch.from_numpy(table["posedirs"]).float()
    table["posedirs"] = table["posedirs"].reshape(-1, 207).T
    np.savez(tmp_path / "smpl.npz", **table)
    check(tmp_path / "smpl.npz")
    torch.testing.assert_close(load_body(tmp_path / "smpl.npz").pose_dirs, want)


def test_npz_with_arrays_of_objects(tmp_path: Path):
    """What numpy makes of scipy's matrices, and of None."""
    table = tiny_smpl()
    table["J_regressor"] = np.array(sparse.csc_matrix(table["J_regressor"]), dtype=object)
    template = np.empty(1, object)
    template[0] = table["v_template"]
    np.savez_compressed(tmp_path / "smpl.npz", allow_pickle=True, **table | {"v_template": template, "J": None})
    check(tmp_path / "smpl.npz")


def test_other_orders_kinds_and_lists(tmp_path: Path):
    table = tiny_smpl()
    table["shapedirs"] = np.asfortranarray(table["shapedirs"])
    table["posedirs"] = table["posedirs"].astype(">f8")
    table["f"], table["kintree_table"] = table["f"].tolist(), table["kintree_table"].astype(">u4")
    table["weights"] = tiny_smpl()["weights"].astype(np.int8)
    table["others"] = {1: {2, 3}, (4,): b"5", None: np.array(["text"]), "scalar": np.float32(1)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(table, protocol))
        check(tmp_path / "smpl.pkl")


@pytest.mark.parametrize("shapes", [10, 300])
def test_file_as_large_as_smpl_takes_a_second(tmp_path: Path, shapes: int):
    """As Python 2 wrote it. The processor's time, which other work on the machine does not alter; 0.4 s as a rule."""
    table = full_smpl(shapes)
    table["J_regressor"] = sparse.csc_matrix(table["J_regressor"])
    (tmp_path / "smpl.pkl").write_bytes(python2_pickle(table, 2))
    start = time.process_time()
    body = load_body(tmp_path / "smpl.pkl")
    taken = time.process_time() - start
    print(f"{shapes} shapes: {taken:.2f} s")
    assert taken < 3
    assert body.shape_count == 10
    torch.testing.assert_close(body.shape_dirs, torch.from_numpy(table["shapedirs"][..., :10]).float())


def test_statistics_of_shape_are_those_of_the_bodies(tmp_path: Path):
    """The mass is computed from a polynomial; here against the bodies themselves."""
    np.savez(tmp_path / "smpl.npz", **tiny_smpl())
    body = load_body(tmp_path / "smpl.npz").double()
    bodies = body.rest_vertices(body.shape_samples)
    torch.testing.assert_close(body.shape_info[:, 2], height(bodies), atol=1e-6, rtol=0)
    masses = mass(bodies, body.faces)
    torch.testing.assert_close(body.shape_info[:, 3], masses, atol=1e-5 * float(masses.abs().max()), rtol=0)


def test_pose_blend_shapes_bend_with_the_joints(tmp_path: Path):
    np.savez(tmp_path / "smpl.npz", **tiny_smpl())
    body, table = load_body(tmp_path / "smpl.npz").double(), tiny_smpl()
    rotations = torch.eye(3).double().repeat(24, 1, 1)
    rotations[4] = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    out = body(torch.zeros(10).double(), rotations, torch.zeros(3).double())
    bend = torch.from_numpy(table["posedirs"]) @ (rotations[1:] - torch.eye(3)).flatten()
    # The pelvis's own vertices do not move but for the blend shapes.
    torch.testing.assert_close(out.vertices[0], body.template[0] + bend[0], atol=1e-6, rtol=0)


class Bomb:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("what", ["call", "call inside an array", "file", "builtin", "numpy function"])
def test_malicious_pickle_is_refused(tmp_path: Path, what: str, protocol: int):
    harm, path = tmp_path / "harm", tmp_path / "smpl.pkl"
    payload: Any = {
        "call": Bomb(harm),
        "call inside an array": np.array([Bomb(harm)], dtype=object),
        "file": io.StringIO("x"),
        "builtin": eval,
        "numpy function": np.load,
    }[what]
    path.write_bytes(pickle.dumps({"v_template": payload}, protocol))
    with pytest.raises(ModelFileError, match=r"smpl\.pkl: refused"):
        load_body(path)
    assert not harm.exists()


@pytest.mark.parametrize("line", [b"cposix\nsystem\n", b"cbuiltins\nexec\n", b"cnumpy.core.multiarray\nfromfile\n"])
def test_handwritten_malice_is_refused(tmp_path: Path, line: bytes):
    (tmp_path / "smpl.pkl").write_bytes(line + b"(S'x'\ntR.")
    with pytest.raises(ModelFileError, match="refused"):
        load_body(tmp_path / "smpl.pkl")


def break_table(change: str) -> dict[str, Any]:
    table = tiny_smpl()
    if change == "missing":
        del table["weights"]
    elif change == "shape":
        table["weights"] = table["weights"][:, :20]
    elif change == "text":
        table["v_template"] = "no numbers"
    elif change == "nan":
        table["posedirs"][0, 0, 0] = np.nan
    elif change == "tree":
        table["kintree_table"][0, 5] = 7
    elif change == "faces":
        table["f"][0, 0] = 48
    elif change == "no faces":
        table["f"] = table["f"][:0]
    elif change == "far too many faces":
        table["f"] = np.tile(table["f"], (5, 1))
    elif change == "flat":
        table["v_template"][:, 2] = 0
    elif change == "weightless":
        table["weights"][3] = 0
    elif change == "huge":
        table["shapedirs"][0, 0, 0] = 1e200
    elif change == "halves":
        table["f"] = table["f"] + 0.5
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "'weights'"),
        ("shape", "48 x 24"),
        ("text", "'v_template'"),
        ("nan", "not finite"),
        ("tree", "tree of 24 joints"),
        ("faces", "0 to 47"),
        ("no faces", "'f'"),
        ("far too many faces", "96 faces or so"),
        ("flat", "flat"),
        ("weightless", "'weights'"),
        ("huge", "'shapedirs'"),
        ("halves", "whole numbers"),
    ],
)
def test_broken_models_say_what_is_wrong(tmp_path: Path, change: str, message: str):
    np.savez(tmp_path / "smpl.npz", **break_table(change))
    with pytest.raises(ModelFileError, match=message):
        load_body(tmp_path / "smpl.npz")


@pytest.mark.parametrize("name", ["smpl.pkl", "smpl.npz", "body.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"\x80\x04 not a model")
    with pytest.raises(ModelFileError, match=name):
        load_body(tmp_path / name)


def test_truncated_pickle_is_refused(tmp_path: Path):
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(tiny_smpl())[:-400])
    with pytest.raises(ModelFileError, match=r"smpl\.pkl"):
        load_body(tmp_path / "smpl.pkl")


def test_unknown_files_name_the_remedy(tmp_path: Path):
    with pytest.raises(ModelFileError, match="anny24"):
        load_body(tmp_path / "nothing.pkl")
    (tmp_path / "body.obj").write_text("v 0 0 0")
    with pytest.raises(ModelFileError, match=r"\.npz, \.pkl"):
        load_body(tmp_path / "body.obj")
    save_file({"template": torch.zeros(1, 3)}, tmp_path / "body.safetensors")
    with pytest.raises(ModelFileError, match="layout 1"):
        load_body(tmp_path / "body.safetensors")
