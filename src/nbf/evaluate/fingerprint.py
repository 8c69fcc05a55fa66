"""Whether two machines drew the same benchmark: hashes of what is exact everywhere, tolerances for what is not.

Machines differ in the last bits of floating-point numbers (SIMD width, fused multiplication, libraries), and a hash of
rounded numbers changes whenever one of them lies at a rounding border. So three things are kept apart:

- *inputs*: a hash of the arrays of every cache file and of the body. Exact.
- *draws*: a hash of the random generator's state after each group. The same seed and the same code draw the same
  integers from it anywhere, and how many they draw depends on what was drawn. Exact.
- *labels and pixels*: a sketch of each person in small integers, compared with a stored reference within tolerances.

`identity` is one hash of inputs, draws and labels: those of the reference, where this machine's agree with it. It is
then the same on every machine that made the same people.
"""

import hashlib
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int16, UInt8, UInt16
from numpy import ndarray
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.errors import DataError
from nbf.evaluate.bench import GROUP, VERSION, Group
from nbf.files import replacing

CACHES = ("poses", "wardrobe", "backgrounds")
ENDS = (0, 15, 20, 21, 7, 8)
"""Pelvis, head, wrists and ankles: where these are depends on every limb's rotation and length."""
TILES = 2
# Tolerances: one unit of rounding for labels; pixel counts may differ by edges; mean colours by noise in the last bit.
_LABEL_UNITS, _EDGE_PIXELS, _EDGE_SHARE, _COLOR_LEVELS = 1, 8, 0.02, 2
_DIGITS = 16
SAME = "same as the reference"


@dataclass(frozen=True)
class Sketch:
    """n people in small integers, and g groups."""

    ends: Int16[ndarray, "n 6 3"]
    """Millimetres in the camera's frame."""
    betas: Int16[ndarray, "n s"]
    """Hundredths of a standard deviation."""
    parts: UInt16[ndarray, "n 24"]
    """Pixels of each part in the 256 px crop."""
    colors: UInt8[ndarray, "n 2 2 3"]
    """Mean colour of each quarter of the picture, 0..255."""
    states: UInt8[ndarray, "g 8"]
    """Start of the hash of the generator's state after each group."""

    def first(self, count: int) -> "Sketch":
        """The sketch of the first `count` people."""
        groups = -(-count // GROUP)
        return Sketch(*(getattr(self, f.name)[: groups if f.name == "states" else count] for f in fields(self)))

    def save(self, path: Path, inputs: dict[str, str]) -> None:
        """Write a reference: one .npz with the inputs it was made from."""
        with replacing(path) as draft:
            arrays = {f.name: getattr(self, f.name) for f in fields(self)}
            np.savez_compressed(draft, inputs=np.array([f"{k}={v}" for k, v in inputs.items()]), **arrays)


def load_reference(path: Path) -> tuple[Sketch, dict[str, str]]:
    """A reference and its inputs. Raises DataError where the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            inputs = dict(str(row).split("=", 1) for row in file["inputs"])
            return Sketch(*(file[f.name] for f in fields(Sketch))), inputs
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected a reference of nbf-bench, got {error!r}; record it anew") from error


def reference_path(track: str) -> Path:
    """Where the reference of a track (seed 0, 1,000 people) is kept."""
    return Path(__file__).with_name(f"bench_{track}.npz")


def sketch(group: Group) -> Sketch:
    """The sketch of one group."""
    batch = group.batch
    ends = batch["joints_3d"][:, list(ENDS)] * 1000
    # Labels are shares of 4 x 4 pixels, so that sums of sixteenths are whole.
    pixels = batch["parts"][:, 1:].sum((-2, -1)) * 16
    colors = torch.nn.functional.adaptive_avg_pool2d(batch["image"], TILES).permute(0, 2, 3, 1) * 255
    return Sketch(
        _integers(ends, np.int16),
        _integers(batch["betas"] * 100, np.int16),
        _integers(pixels, np.uint16),
        _integers(colors, np.uint8),
        np.frombuffer(hashlib.sha256(group.state).digest()[:8], np.uint8)[None],
    )


def joined(sketches: list[Sketch]) -> Sketch:
    """One sketch of the people of several groups."""
    return Sketch(*(np.concatenate([getattr(s, f.name) for s in sketches]) for f in fields(Sketch)))


def hash_inputs(cache: Path, body: BodyModel) -> dict[str, str]:
    """A hash of the arrays of each cache and of the body; "replaced" for a cache that is not there."""
    hashes = {}
    for name in CACHES:
        file = cache / f"{name}.npz"
        if not file.is_file():
            hashes[name] = "replaced"
            continue
        with np.load(file, allow_pickle=False) as arrays:
            hashes[name] = _digest({key: arrays[key] for key in sorted(arrays.files)})
    hashes["body"] = _digest({key: value.numpy() for key, value in sorted(body.state_dict().items())})
    return hashes


@dataclass(frozen=True)
class Fingerprint:
    """What `nbf evaluate` prints and writes of a benchmark's identity."""

    identity: str
    inputs: dict[str, str]
    draws: str
    verdict: str
    """"same as the reference", or in words what differs or why there was nothing to compare."""
    worst: dict[str, int]
    """Largest deviations from the reference: `ends_mm`, `betas_001`, `part_pixels`, `color_levels`."""


def fingerprint(
    track: str, seed: int, drawn: Sketch, inputs: dict[str, str], reference: tuple[Sketch, dict[str, str]] | None
) -> Fingerprint:
    """Compare what was drawn with the reference (that of seed 0) and hash it."""
    draws = _digest({"states": drawn.states})
    verdict, worst, labels = "no reference to compare with", {}, drawn
    if reference is not None:
        known, made_from = reference
        verdict, worst = _compare(drawn, known, inputs, made_from)
        if verdict == SAME:
            labels = known.first(len(drawn.ends))
    parts = {"ends": labels.ends, "betas": labels.betas}
    text = f"nbf-bench {VERSION} {track} {seed} {len(drawn.ends)} {inputs} {draws} {_digest(parts)}"
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest()[:_DIGITS], inputs, draws, verdict, worst)


def _compare(
    drawn: Sketch, known: Sketch, inputs: dict[str, str], made_from: dict[str, str]
) -> tuple[str, dict[str, int]]:
    others = [name for name, value in inputs.items() if made_from.get(name) != value]
    if others:
        return f"not comparable: made from other {', '.join(others)} than the reference", {}
    count = len(drawn.ends)
    if count > len(known.ends):
        return f"no reference for more than {len(known.ends)} people", {}
    known = known.first(count)
    off = (drawn.states != known.states).any(1)
    if off.any():
        return f"different: other random numbers from group {int(off.argmax())} on (other code or seed)", {}
    apart = {
        name: np.abs(getattr(drawn, name).astype(int) - getattr(known, name).astype(int)).reshape(count, -1)
        for name in ("ends", "betas", "parts", "colors")
    }
    edges = _EDGE_PIXELS + _EDGE_SHARE * known.parts
    wrong = {
        "joints": apart["ends"] > _LABEL_UNITS,
        "shapes": apart["betas"] > _LABEL_UNITS,
        "part maps": apart["parts"] > edges,
        "pixels": apart["colors"] > _COLOR_LEVELS,
    }
    keys = ("ends_mm", "betas_001", "part_pixels", "color_levels")
    worst = {key: int(value.max()) for key, value in zip(keys, apart.values(), strict=True)}
    said = [f"{name} of {int(rows.any(1).sum())}" for name, rows in wrong.items() if rows.any()]
    return (f"different: {', '.join(said)} of {count} people" if said else SAME), worst


def _integers(values: Tensor, kind: type) -> ndarray:
    return np.rint(values.double().numpy()).clip(np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)


def _digest(arrays: dict[str, ndarray]) -> str:
    total = hashlib.sha256()
    for name, array in arrays.items():
        total.update(f"{name} {array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:_DIGITS]
