"""One photo in, every person's body out: parameters, joints, mesh files, pictures.

python examples/01_predict.py [PHOTO] [FOLDER]
"""

import sys
from pathlib import Path

import nbf

photo = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent / "demo.jpg")
folder = Path(sys.argv[2] if len(sys.argv) > 2 else "nbf-results")

people = nbf.load().predict(photo)
print(people)

for index, person in enumerate(people):
    print(f"person {index}: score {person.score:.2f}, box {[round(v) for v in person.box.tolist()]} px")
    print(f"  {person.vertices.shape[0]} vertices, {person.joints_3d()[0, 2]:.1f} m away")
    print(f"  nose at {[round(v) for v in person.joints_2d('coco17')[0].tolist()]} px")
    person.export(folder / f"person_{index}.glb")  # rigged: opens posed in Blender, and can be posed anew
    person.export(folder / f"person_{index}.npz")  # SMPL's and AMASS's names

if people:
    people.export(folder / "everybody.obj")
    people.overlay().save(folder / "overlay.png")
