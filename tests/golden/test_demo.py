"""The bundled networks on the bundled picture: what users see first must not change unnoticed.

`python tests/golden/test_demo.py` writes demo.json anew: after new weights or a new picture, look at the result first.
"""

import json
from pathlib import Path

import torch

import nbf

PICTURE = Path(__file__).parents[2] / "examples" / "demo.jpg"
GOLDEN = Path(__file__).with_suffix("").with_name("demo.json")
# Processors that multiply bfloat16 differ a little from those that do not.
PIXELS = 5.0


def measure() -> dict:
    """Everybody's box and LSP joints, from left to right, in pixels."""
    people = sorted(nbf.load().predict(PICTURE), key=lambda person: float(person.box[0]))
    return {
        "boxes": [person.box.tolist() for person in people],
        "joints": [person.joints_2d("lsp14").tolist() for person in people],
    }


def test_demo_picture() -> None:
    expected, found = json.loads(GOLDEN.read_text()), measure()
    assert len(found["boxes"]) == len(expected["boxes"]) == 2
    for name in ("boxes", "joints"):
        difference = torch.tensor(found[name]) - torch.tensor(expected[name])
        assert difference.abs().mean() < PIXELS, name


def test_nobody_changes_somebody_else() -> None:
    """People of one picture come out as they would alone, refinement included."""
    predictor = nbf.load()
    predictor._bfloat16 = False  # its rounding depends on the batch
    together = predictor.predict(PICTURE)
    for person in together:
        (alone,) = predictor.predict(PICTURE, boxes=[person.box.tolist()])
        torch.testing.assert_close(alone.vertices, person.vertices, atol=1e-4, rtol=1e-4)


if __name__ == "__main__":
    rounded = json.loads(json.dumps(measure()), parse_float=lambda number: round(float(number), 1))
    GOLDEN.write_text(json.dumps(rounded) + "\n")
