"""The track *motion* of nbf-bench: short films of people who move, and the truth about all of them.

`nbf.synth.film` draws them, `tools/draw_films.py` writes them. A folder of `films.npz` and the films `00.mp4`, `01.mp4`
and so on. In `films.npz`, float32 but for whole numbers: one row a person and frame, by film, then by person, then by
frame: `film (n,)`, `person (n,)` within the film, `frame (n,)`, `poses (n,72)` axis-angle cam_from_body, `trans (n,3)`
camera metres. One row a person, in the same order: `betas (p,s)`. One row a film: `focal (f,)`, `center (f,2)` pixels,
`rate (f,)` frames a second.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.data.sets.nbf_bench import ANEW
from nbf.errors import DataError
from nbf.evaluate.bench import FOLDER
from nbf.files import replacing
from nbf.geometry.camera import Camera
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from nbf.reading import Array, read_npz, refusing

NAME = "motion"
QUALITY = 26
"""Of the films, as x264 counts (crf): 0 is without loss, 51 the worst."""
_NUMBERS = "films.npz"
_ARRAYS = {
    **{name: Array(np.int64, ("n",), 0) for name in ("film", "person", "frame")},
    "poses": Array(np.float32, ("n", 72), -1e3, 1e3),
    "trans": Array(np.float32, ("n", 3), -1e6, 1e6),
    "betas": Array(np.float32, ("p", "s"), -1e3, 1e3),
    "focal": Array(np.float32, ("f",), 1e-3, 1e6),
    "center": Array(np.float32, ("f", 2), -1e6, 1e6),
    "rate": Array(np.float32, ("f",), 1e-3, 1e3),
}


@dataclass(frozen=True)
class BenchFilm:
    """One film and the truth about it."""

    path: Path
    camera: Camera
    """Pixels."""
    rate: float
    """Frames a second."""
    bodies: tuple[Bodies, ...]
    """Of each person, in every frame, camera frame."""


@dataclass(frozen=True)
class MotionBenchmark:
    """The films of the track; use `load`."""

    body: BodyModel
    """The body model whose parameters the people carry."""
    films: tuple[BenchFilm, ...]

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "MotionBenchmark":
        """The track in a folder of tracks.

        Raises:
            DataError: the track is not there, or is damaged, or is about another body model.
        """
        folder, body = folder / NAME, load_body("anny24", "full")
        with refusing(DataError, folder / _NUMBERS, "films of nbf-bench", ANEW):
            arrays = {name: torch.from_numpy(a) for name, a in read_npz(folder / _NUMBERS, _ARRAYS).items()}
        whose = torch.stack([arrays["film"], arrays["person"]], 1)
        people, counts = whose.unique_consecutive(dim=0, return_counts=True)
        if len(people) != len(arrays["betas"]) or arrays["betas"].shape[1] != body.shape_count:
            raise DataError(
                f"{folder / _NUMBERS}: expected {len(people)} people of {body.shape_count} betas, got "
                f"{tuple(arrays['betas'].shape)}; {ANEW}"
            )
        rotations = matrix_from_axis_angle(arrays["poses"].unflatten(-1, (24, 3)))
        ends, films = counts.cumsum(0).tolist(), []
        for film in range(len(arrays["focal"])):
            bodies = []
            for row in (people[:, 0] == film).nonzero()[:, 0].tolist():
                here = slice(ends[row] - int(counts[row]), ends[row])
                betas = arrays["betas"][row].expand(int(counts[row]), -1)
                bodies.append(Bodies.placed(body, betas, rotations[here], arrays["trans"][here]))
            camera = Camera(arrays["focal"][film], arrays["center"][film])
            films.append(BenchFilm(folder / film_name(film), camera, float(arrays["rate"][film]), tuple(bodies)))
        return cls(body, tuple(films))

    def __len__(self) -> int:
        return len(self.films)


def film_name(index: int) -> str:
    """What a film of the track is called."""
    return f"{index:02}.mp4"


def save(
    films: Iterable[tuple[Camera, float, tuple[Bodies, ...], Iterator[UInt8[Tensor, "3 h w"]]]],
    body: BodyModel,
    folder: Path,
) -> None:
    """Write films as the track, into its own folder: camera, frames a second, everybody's bodies, and the frames."""
    import av

    rows: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
    for index, (camera, rate, people, frames) in enumerate(films):
        for number, bodies in enumerate(people):
            count = len(bodies.betas)
            rows["film"].append(np.full(count, index, np.int32))
            rows["person"].append(np.full(count, number, np.int32))
            rows["frame"].append(np.arange(count, dtype=np.int32))
            # In float64: of the way there and back again only the rounding of the result is left.
            rows["poses"].append(axis_angle_from_matrix(bodies.rotations.double()).float().flatten(1).numpy())
            rows["trans"].append(bodies.translation(body).numpy())
            rows["betas"].append(bodies.betas[:1].numpy())
        rows["focal"].append(camera.focal[None].numpy())
        rows["center"].append(camera.center[None].numpy())
        rows["rate"].append(np.array([rate], np.float32))
        with replacing(folder / film_name(index)) as draft, av.open(str(draft), "w") as file:
            stream: Any = None
            for frame in frames:
                if stream is None:
                    stream = file.add_stream("libx264", rate=round(rate), options={"crf": str(QUALITY)})
                    stream.height, stream.width, stream.pix_fmt = *frame.shape[1:], "yuv420p"
                picture = av.VideoFrame.from_ndarray(frame.permute(1, 2, 0).contiguous().numpy(), "rgb24")
                file.mux(stream.encode(picture))
            file.mux(stream.encode())
    with replacing(folder / _NUMBERS) as draft:
        np.savez_compressed(draft, allow_pickle=False, **{name: np.concatenate(each) for name, each in rows.items()})
