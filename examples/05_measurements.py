"""How tall, how heavy, and how sure: what a body measures, and which of it the picture does not show.

python examples/05_measurements.py [PHOTO] [FOLDER]
"""

import sys
from pathlib import Path

from PIL import Image

import nbf
from nbf.body.joints import SMPL24
from nbf.certainty import PARTS14

photo = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.jpg")
folder = Path(sys.argv[2] if len(sys.argv) > 2 else "nbf-results")

# The upper half alone, to see what becomes of legs that nobody photographed.
picture = Image.open(photo).convert("RGB")
half = picture.crop((0, 0, picture.width, picture.height // 2))
people = nbf.load().predict(half)

for index, person in enumerate(people):
    print(f"person {index}")

    # One photo does not tell size from distance: every value comes with its standard deviation. Example 2 says how to
    # make them smaller.
    for name, (value, sigma) in person.measurements.items():
        quantity, unit = name.rsplit("_", 1)
        print(f"  {quantity:<8} {value:6.2f} +- {sigma:.2f} {unit}")

    # Parts whose place is a guess: cut off by the edge, or hidden.
    guessed = [name for name, guess in zip(PARTS14, person.certainty.guessed) if guess]
    print(f"  guessed: {', '.join(guessed) or 'nothing'}")

    # By how much each joint may be off, relative to the pelvis.
    errors = person.certainty.joint_error
    best, worst = int(errors[1:].argmin()) + 1, int(errors.argmax())
    for word, joint in (("surest", best), ("least sure", worst)):
        print(f"  {word}: {SMPL24[joint]}, off by {1000 * errors[joint]:.0f} mm")

folder.mkdir(parents=True, exist_ok=True)
people.overlay().save(folder / "guessed.png")  # guessed parts are hatched
