"""Where the time of predictions goes: stages by the number of people, files by their format; warm, in milliseconds."""

import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from nbf import __version__
from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.export.formats import FORMATS, Format, Scene, write_scene
from nbf.geometry import Camera
from nbf.given import picture_camera
from nbf.known import NOTHING
from nbf.locate import framed
from nbf.nets.blocks import multiplies_bfloat16
from nbf.nets.mean_body import JOINTS, UPRIGHT
from nbf.people import People, Person
from nbf.pictures import Picture, read_picture
from nbf.predictor import Predictor
from nbf.render.studio import in_studio
from nbf.solve.shape import Shaped

PEOPLE = 1, 4, 16
"""How many are in a picture."""
MARGIN = 0.1
"""Around a person, of the sides of their box."""
LONGEST = 10_000
"""Milliseconds for one row."""

Times = dict[str, float]
"""`median_ms` and `worst_ms`; of files also `kilobytes`."""


def machine() -> dict[str, Any]:
    """What ran, and where; how busy it was."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16": multiplies_bfloat16("cpu"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "nbf": __version__,
        **{name: version(name) for name in ("torch", "numpy", "pillow")},
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def drawn(body: BodyModel) -> Picture:
    """A picture of somebody where there is no photo: a body with arms spread, in an empty room."""
    width, height = 340, 512
    rotations = torch.eye(3).repeat(1, JOINTS, 1, 1)
    rotations[:, 0] = UPRIGHT
    bodies = Bodies(torch.zeros(1, body.shape_count), rotations, torch.tensor([[0.0, 0.0, 4.0]]))
    camera = Camera(torch.tensor(900.0), torch.tensor([width / 2, height / 2]))
    room = in_studio(bodies.posed(body).vertices, body.faces, camera, width, height)
    return Picture(np.array(room.convert("RGB")), "drawn")


def person_of(predictor: Predictor, picture: Picture) -> tuple[Picture, Float[Tensor, " 4"]]:
    """The surest person of a picture, cut out of it, and their box in that.

    Raises InputError where there is nobody.
    """
    people = predictor.predict(picture, max_people=1)
    if not people:
        raise InputError(f"{picture.name}: expected a photo with somebody to time, found nobody; take another")
    box = people[0].box
    margin = MARGIN * (box[2:] - box[:2])
    x0, y0 = (max(0, int(side)) for side in box[:2] - margin)
    x1, y1 = (math.ceil(side) for side in box[2:] + margin)
    pixels = np.ascontiguousarray(picture.pixels[y0:y1, x0:x1])
    return replace(picture, pixels=pixels), box - torch.tensor([x0, y0, x0, y0])


def side_by_side(picture: Picture, box: Float[Tensor, " 4"], count: int) -> tuple[Picture, Float[Tensor, "n 4"]]:
    """A picture and a box in it so many times, in rows of as many as there are rows."""
    across = math.ceil(math.sqrt(count))
    pixels = np.tile(picture.pixels, (-(-count // across), across, 1))
    size = torch.tensor([picture.width, picture.height])
    places = torch.stack([torch.tensor([i % across, i // across]) * size for i in range(count)])
    return replace(picture, pixels=pixels), box + places.repeat(1, 2)


def stages(
    predictor: Predictor, picture: Picture, boxes: Float[Tensor, "n 4"], folder: Path, rounds: int
) -> dict[str, Times]:
    """Times of the stages of one picture, as the predictor has them, and of all of it, of people in boxes."""
    file = folder / "picture.jpg"
    Image.fromarray(picture.pixels).save(file, quality=90)
    image, solve = torch.from_numpy(picture.pixels).permute(2, 0, 1), predictor.method.solve
    camera, crops, scores = picture_camera(picture, None), framed(boxes, picture.height), torch.ones(len(boxes))
    proxy = predictor.see(image, camera, crops)
    assert isinstance(solve, Shaped)  # of the method nbf
    start, fit = solve.refine.start(proxy, NOTHING), solve(proxy, NOTHING)
    jobs: dict[str, Callable[[], object]] = {
        "decode": lambda: read_picture(file),
        "locate": lambda: predictor.locate(image),
        "see": lambda: predictor.see(image, camera, crops),
        "solve": lambda: solve(proxy, NOTHING),
        "of it, regress": lambda: solve.refine.start(proxy, NOTHING),
        "of it, refine": lambda: solve.refine.improve(proxy, NOTHING, start),
        "mesh and certainty": lambda: predictor.people(picture, camera, boxes, scores, crops, proxy, fit),
        "predict, all but locate": lambda: predictor.predict(file, boxes=boxes),
    }
    return {name: timed(job, rounds) for name, job in jobs.items()}


def files(people: People, folder: Path, rounds: int) -> dict[str, Times]:
    """Times of writing one of the people in each format that can be written here, and the picture of the result; with
    the kilobytes of the file."""
    found = {}
    for name, format in FORMATS.items():
        try:
            format.ready()
        except InputError:
            continue
        if name != "smpl":  # which takes a model of the user's
            found[name] = _file(partial(_write, people[0], format), folder / f"person{format.ending}", rounds)
    found["png"] = _file(lambda path: people.summary().save(path, compress_level=3), folder / "summary.png", rounds)
    return found


def _write(person: Person, format: Format, path: Path) -> None:
    # Anew: persons remember their measurements.
    write_scene(Scene.of([replace(person)]), path, format)


def _file(write: Callable[[Path], None], path: Path, rounds: int) -> Times:
    return timed(lambda: write(path), rounds) | {"kilobytes": path.stat().st_size / 1000}


def timed(job: Callable[[], object], rounds: int) -> Times:
    """How long it takes, so many times after the first, or fewer if these take `LONGEST`; where it alone does, that."""
    took: list[float] = []
    while len(took) <= rounds and sum(took) < LONGEST:
        start = time.perf_counter()
        job()
        took.append(1000 * (time.perf_counter() - start))
    return summed_up(took[1:] or took)


def summed_up(milliseconds: list[float]) -> Times:
    """Median and worst."""
    return {"median_ms": statistics.median(milliseconds), "worst_ms": max(milliseconds)}
