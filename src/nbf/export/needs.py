"""Other people's programs that some formats need. Finding them costs no import."""

import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nbf.errors import InputError

IN_BLENDER = Path(__file__).with_name("in_blender.py")
"""What Blender runs."""


def blender() -> list[str]:
    """The beginning of a command that runs `IN_BLENDER`: with the program, or with the module bpy.

    Raises:
        InputError: there is neither.
    """
    if program := shutil.which("blender"):
        return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(IN_BLENDER)]
    if find_spec("bpy") is not None:
        return [sys.executable, str(IN_BLENDER)]
    raise InputError(
        "fbx: Blender writes it, and there is neither a program `blender` on the PATH nor a module bpy; install "
        "Blender (blender.org) or pip install bpy, or take glb, which Blender, Unity and Unreal import"
    )


def pyav() -> None:
    """Raises InputError where PyAV, which writes films, is not installed."""
    if find_spec("av") is None:
        raise InputError("mp4: PyAV is not installed; pip install 'neural-body-fitting[video]', or take gif")


def pixar() -> None:
    """Raises InputError where Pixar's library for USD is not installed."""
    if find_spec("pxr") is None:
        raise InputError("usd: Pixar's library is not installed; pip install 'neural-body-fitting[usd]', or take glb")


def pxr(*names: str) -> list[Any]:
    """Modules of Pixar's library. Raises InputError where it is not installed."""
    pixar()
    return [import_module(f"pxr.{name}") for name in names]
