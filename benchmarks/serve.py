"""A server under load: how fast corrections are, and whether 64 uploads at once are all answered in bounded memory.

python benchmarks/serve.py [URL]          (of a server that runs: nbf serve --threads 2)
"""

import io
import json
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from PIL import Image

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.jpg"
STROKES, UPLOADS = 21, 64


def main(server: str) -> None:
    photo = DEMO.read_bytes()
    found = ask(f"{server}v1/people", photo)
    strokes = [refit(server, found["id"], turn) for turn in range(STROKES)]
    print(
        f"refit after a brush stroke: median {statistics.median(strokes):.0f} ms of {STROKES}, worst {max(strokes):.0f}"
    )
    start = time.perf_counter()
    with urlopen(server) as page:
        page.read()
    print(f"page: {1000 * (time.perf_counter() - start):.0f} ms")
    before = memory(server)
    start = time.perf_counter()
    with ThreadPoolExecutor(UPLOADS) as threads:
        answers = list(threads.map(lambda turn: upload(server, turn), range(UPLOADS)))
    seconds = time.perf_counter() - start
    print(
        f"{UPLOADS} uploads at once: {dict(Counter(answers))} in {seconds:.1f} s; results {before} -> {memory(server)}"
    )


def refit(server: str, id: str, turn: int) -> float:
    """Milliseconds until the new body's vertices are there, as the page asks for them."""
    row = 100 + turn
    runs = [[255, 256 * row + 60], [9, 24], [255, 65536 - 256 * row - 84]]
    told = {"id": id, "people": [{"person": 0, "paint": runs}, {"person": 1}]}
    start = time.perf_counter()
    better = ask(f"{server}v1/refit", json.dumps(told).encode(), "application/json")
    with urlopen(f"{server}v1/people/{better['id']}/vertices.bin") as vertices:
        vertices.read()
    return 1000 * (time.perf_counter() - start)


def upload(server: str, turn: int) -> str:
    """Uploads a photo that no other has; whether its two people came back, or what was said instead."""
    image = Image.open(DEMO).convert("RGB")
    image.putpixel((0, 0), (turn, 0, 0))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=92)
    try:
        answer = ask(f"{server}v1/people", data.getvalue())
    except HTTPError as error:
        return f"{error.code} {json.load(error)['error']['code']}"
    except OSError as error:
        return f"lost ({error})"
    return "right" if len(answer["people"]) == 2 and answer["width"] == 720 else "wrong"


def memory(server: str) -> str:
    """Of the results that the server keeps."""
    with urlopen(f"{server}metrics") as metrics:
        lines = dict(line.split() for line in metrics.read().decode().splitlines() if line.startswith("nbf_result"))
    return f"{float(lines['nbf_results']):.0f} of {float(lines['nbf_result_bytes']) / 2**20:.0f} MiB"


def ask(url: str, body: bytes, kind: str = "application/octet-stream") -> Any:
    with urlopen(Request(url, body, {"Content-Type": kind})) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765/")
