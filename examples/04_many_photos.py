"""Many photos, each with any number of people: one loop, in which a broken file stops nothing (docs/many.md).

python examples/04_many_photos.py [PHOTO, FOLDER OR PATTERN ...]
"""

import sys
from pathlib import Path

import nbf

sources = sys.argv[1:] or [Path(__file__).parent]  # files, folders and patterns such as "album/*.jpg"

# Loading takes longer than a photo: load once. Several photos are on their way at once, but never more than 18, so that
# memory does not grow with the album.
predictor = nbf.load()
for path, people in predictor.predict_many(sources, min_score=0.5):
    if isinstance(people, nbf.NbfError):
        print(f"{path.name}: skipped, {people}")
        continue
    print(f"{path.name}: {len(people)} people")  # the surest first; nobody is no error

    for index, person in enumerate(people):
        x0, y0, x1, y1 = (round(side) for side in person.box.tolist())
        away = float(person.joints_3d()[0].norm())
        print(f"  person {index}: score {person.score:.2f}, pixels {x0}..{x1} x {y0}..{y1}, {away:.1f} m away")

    # All bodies of a photo stand in one space, that of its camera, so that distances between people are metres.
    if len(people) > 1:
        first, second = (person.joints_3d()[0] for person in people[:2])
        print(f"  the first two are {float((first - second).norm()):.1f} m apart")
