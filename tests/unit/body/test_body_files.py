"""Body files that are damaged, or that are no body: refused where they are read, never a mesh of nan."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nbf.body.files import ASSETS, load_body
from nbf.errors import ModelFileError

SMALL = ASSETS / "anny24_small.safetensors"


def changed(path: Path, name: str, change: Callable[[Tensor], Tensor | None]) -> Path:
    """The small body with one tensor changed, or left out."""
    tensors = load_file(SMALL)
    value = change(tensors.pop(name))
    save_file(tensors if value is None else tensors | {name: value.contiguous()}, path, {"layout": "1"})
    return path


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("faces", lambda faces: faces[:0], "faces_uv|faces"),
        ("faces", lambda faces: faces + 2000, "indices from 0 to 1163 in faces"),
        ("faces", lambda faces: faces.float(), "in faces"),
        ("faces_uv", lambda faces: faces + 30_000, "in faces_uv"),
        ("face_parts", lambda parts: parts * 0, "expected face_parts from 1 to 24"),
        ("skin_weights", lambda weights: weights * 0, "weights that sum to one in skin_weights"),
        ("skin_weights", lambda weights: -weights, "expected skin_weights from 0"),
        ("skin_joints", lambda joints: joints + 24, "expected skin_joints from 0 to 23"),
        ("keypoint_weights", lambda weights: weights * 0, "in keypoint_weights"),
        ("template", lambda template: template * torch.nan, "finite numbers in template"),
        ("template", lambda template: template[:9], "of shape"),
        ("bounds", lambda bounds: bounds.flip(0), "in bounds"),
        ("joint_dirs", lambda dirs: dirs[..., :3], "in joint_dirs"),
        ("uv", lambda uv: None, "missing are uv"),
        ("template", lambda template: torch.view_as_complex(torch.ones(2, 2)), "in template"),
    ],
)
def test_no_bodies_are_refused(
    tmp_path: Path, name: str, change: Callable[[Tensor], Tensor | None], words: str
) -> None:
    path = changed(tmp_path / "body.safetensors", name, change)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_body(path)
    assert str(caught.value).startswith(str(path))


def test_a_template_of_whole_numbers_is_a_body(tmp_path: Path) -> None:
    path = changed(tmp_path / "body.safetensors", "template", lambda template: (100 * template).to(torch.int64))
    body = load_body(path)
    posed = body(torch.zeros(body.shape_count), torch.eye(3).repeat(24, 1, 1), torch.zeros(3))
    assert posed.vertices.dtype == torch.float32
    assert posed.vertices.isfinite().all()


def test_another_layout_is_refused(tmp_path: Path) -> None:
    save_file(load_file(SMALL), tmp_path / "body.safetensors", {"layout": "9"})
    with pytest.raises(ModelFileError, match="layout 1, got '9'"):
        load_body(tmp_path / "body.safetensors")
