"""A process that starts as `nbf predict` does, and says as JSON how long each step took, in seconds.

python -m nbf.cli._cold PHOTO FOLDER
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbf.cli._output import say
from nbf.cli._uncollected import uncollected

NETWORKS = "locator", "segmenter", "fitter", "doubt"
"""What the method `nbf` reads."""


def main(photo: str, folder: str) -> None:
    """Predict a photo with somebody in it, and write them into a folder."""
    took: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        took[name] = time.perf_counter() - start

    with uncollected():
        with step("import the command line"):
            import nbf.cli.predict  # noqa: F401  what the command imports first
        with step("import torch"):
            import torch  # noqa: F401
        with step("import nbf"):
            from nbf import predictor as loading
            from nbf.methods import method
            from nbf.networks import Networks
        with step("read the body model"):
            networks = Networks.load()
        for name in NETWORKS:
            with step(f"read {name}"):
                getattr(networks, name)
        with step("make them ready"):
            predictor = loading.Predictor(networks, method("nbf", networks))
    with step("decode the photo"):
        from nbf.pictures import read_picture

        picture = read_picture(photo)
    with step("predict it"):
        people = predictor.predict(picture)
    with step("predict it again"):
        predictor.predict(picture)
    with step("write a .glb"):
        from nbf.export.formats import write

        write(people, Path(folder) / "cold.glb")
    say(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
    # As `nbf.cli.run` ends.
    os._exit(0)
