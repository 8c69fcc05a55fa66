"""Bodies that can be turned, in HTML that fetches nothing: a page that opens by a double click, cells of notebooks.

What turns them is tools/viewer/viewer.ts, built with three.js into assets/viewer.min.js. It travels compressed inside
of every page and cell, so that each works alone: moved to another notebook, sent by mail, offline, and where each cell
is a document of its own.
"""

import gzip
import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from html import escape
from math import isnan
from pathlib import Path

import numpy as np
import torch

from nbf.body.files import ASSETS, BUNDLED, load_body
from nbf.body.measure import MEASUREMENTS
from nbf.body.model import BodyModel
from nbf.files import replacing
from nbf.people import People, Person
from nbf.render.mesh import gathered

STILL = 480
"""Longer side of the still of a cell, pixels."""
_QUALITY = 85
_LARGEST_STEP = 65535
# Nothing is fetched and nothing sent, whatever is in the page: the browser sees to it.
_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
_STUDIO = "background:linear-gradient(#f6f7f9,#dee1e6);color:#5a5a60"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ display: flex; height: 100vh; margin: 0; font: 14px system-ui, sans-serif; color: #28282e }}
main {{ flex: 1; min-width: 0; min-height: 0 }}
aside {{ padding: 1em; overflow: auto; align-self: center; max-width: 40%; max-height: 100%; box-sizing: border-box }}
th, td {{ padding: .1em .5em; text-align: right }}
@media (max-aspect-ratio: 1) {{ body {{ flex-direction: column }} aside {{ max-width: 100%; max-height: 40% }} }}
</style>
<main>{view}</main>
<aside>{table}</aside>
</html>
"""
# Of a notebook: a still, the view and the numbers, next to each other where there is room.
_CELL = """<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:center">
<img src="data:image/jpeg;base64,{still}" alt="{title}" style="height:320px;max-width:100%;object-fit:contain">
{view}
<div style="overflow-x:auto">{table}</div>
</div>"""
_VIEW = """<div style="height:100%"><div data-nbf-view style="{style};{studio}">{instead}</div><script>(() => {{
const host = document.currentScript.parentElement.querySelector("[data-nbf-view]");
const bytes = Uint8Array.from(atob("{library}"), (character) => character.charCodeAt(0));
const library = globalThis["nbfViewer{key}"] ??= new Response(
  new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
).text().then((text) => new Function(text + ";return nbfViewer")());
library.then(async (viewer) => viewer.view(host, await viewer.unpack("{bodies}"), {scrolls}))
  .catch((error) => {{ host.textContent = error; }});
}})()</script></div>"""


def write_html(path: str | Path, persons: Sequence[Person]) -> None:
    """Write people as one page to be looked at from all sides, with their measurements."""
    page = _PAGE.format(
        policy=_POLICY,
        title=escape(persons[0].picture.name),
        view=_view(persons, "height:100%", scrolls=False),
        table=_table(persons),
    )
    with replacing(path) as draft:
        draft.write_text(page, encoding="utf-8")


def cell(people: People) -> str:
    """People as the output of a notebook's cell: a still, a small view of coarse bodies, and their measurements."""
    still = io.BytesIO()
    people.overlay(STILL).save(still, "jpeg", quality=_QUALITY)
    view = _view([_coarse(person) for person in people], "width:320px;height:320px", scrolls=True) if people else ""
    return _CELL.format(
        still=b64encode(still.getvalue()).decode(),
        title=escape(people.picture.name),
        view=view,
        table=_table(people) if people else "nobody found",
    )


def _view(persons: Sequence[Person], style: str, *, scrolls: bool) -> str:
    library, key = _library()
    return _VIEW.format(
        style=style,
        studio=_STUDIO,
        instead="To turn the bodies, let this document run scripts.",
        library=library,
        key=key,
        bodies=_packed(persons),
        scrolls=str(scrolls).lower(),
    )


@lru_cache(maxsize=1)
def _library() -> tuple[str, str]:
    """The viewer, and a name for it: cells of one document that have the same viewer run it once."""
    script = (ASSETS / "viewer.min.js").read_bytes()
    return _compressed(script), sha256(script).hexdigest()[:8]


def _packed(persons: Sequence[Person]) -> str:
    """Bodies as `unpack` of viewer.ts reads them, which says how; y up, 1/65535 of a body's extent exact, people far
    from one another drawn together."""
    faces = persons[0].faces.numpy().astype("<u4")
    vertices = torch.stack([person.vertices for person in persons]) * torch.tensor([1.0, -1.0, -1.0])
    low, high = vertices.amin(1), vertices.amax(1)
    steps = ((vertices - low[:, None]) / (high - low)[:, None] * _LARGEST_STEP).round()
    boxes = torch.cat([low + gathered(low, high), high - low], dim=1)
    guessed = torch.stack([person.guessed_faces for person in persons]).numpy()
    return _compressed(
        np.array([*vertices.shape[:2], len(faces)], "<u4").tobytes()
        + boxes.numpy().astype("<f4").tobytes()
        + faces.tobytes()
        + steps.numpy().astype("<u2").tobytes()
        + guessed.astype("u1").tobytes()
    )


def _compressed(data: bytes) -> str:
    return b64encode(gzip.compress(data, mtime=0)).decode()


def _coarse(person: Person) -> Person:
    """The same person at the small level of detail, where the body model has one."""
    if person.body_name not in BUNDLED:
        return person
    body = _small(person.body_name)
    return replace(person, body=body, posed=body(person.betas, person.rotations, person.translation))


@lru_cache(maxsize=1)
def _small(name: str) -> BodyModel:
    return load_body(name, "small")


def _table(persons: Sequence[Person]) -> str:
    """Measurements with their standard deviations, a column a person; how far joints are off on average; the legend."""
    head = "".join(f"<th>person {index}</th>" for index in range(len(persons)))
    rows = [f"<tr><th></th>{head}</tr>"]
    for name in MEASUREMENTS:
        quantity, unit = name.rsplit("_", 1)
        rows.append(_row(quantity, [_quantity(*person.measurements[name], unit) for person in persons]))
    errors = [1000 * float(person.certainty.joint_error.mean()) for person in persons]
    rows.append(_row("joints off by", ["unknown" if isnan(error) else f"{error:.0f} mm" for error in errors]))
    guesses = any(bool(person.certainty.guessed.any()) for person in persons)
    return (
        f"<table style='white-space:nowrap'>{''.join(rows)}</table>"
        + "<small>pale: where a part is, is a guess</small>" * guesses
    )


def _row(name: str, values: Sequence[str]) -> str:
    return f"<tr><th>{name}</th>{''.join(f'<td>{value}</td>' for value in values)}</tr>"


def _quantity(value: float, deviation: float, unit: str) -> str:
    digits = 0 if unit == "kg" else 2
    return f"{value:.{digits}f}" + ("" if isnan(deviation) else f" ± {deviation:.{digits}f}") + f" {unit}"
