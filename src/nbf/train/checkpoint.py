"""Checkpoints: everything that the next step depends on, written so that a crash leaves the old file whole."""

from pathlib import Path
from typing import Any

import torch

from nbf.errors import ModelFileError
from nbf.files import replacing


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically, with the state of the random generators."""
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        generators["cuda"] = torch.cuda.get_rng_state()
    with replacing(path) as draft:
        torch.save({**state, "generators": generators}, draft)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint and restore the random generators. Raises ModelFileError if the file is damaged."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        torch.set_rng_state(state["generators"]["cpu"].cpu())
    except Exception as error:  # torch.load raises half a dozen kinds for damaged files
        raise ModelFileError(
            f"{path}: not a readable checkpoint ({error}). Delete it to start the run anew."
        ) from error
    if "cuda" in state["generators"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["generators"]["cuda"].cpu())
    return state
