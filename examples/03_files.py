"""Results as files: for Blender and games, for tables and other people's programs, and to be read back later.

python examples/03_files.py [PHOTO] [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import nbf

photo = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.jpg")
folder = Path(sys.argv[2] if len(sys.argv) > 2 else "nbf-results")

people = nbf.load().predict(photo)

# The suffix says what is written. Metres everywhere; GLB, OBJ and PLY are y up, as their readers expect.
people.export(folder / "scene.glb")  # Blender: File > Import > glTF, Bone Dir: Temperance; rigged bodies and a camera
people.export(folder / "stage.glb", ground=True, rig="mixamo", skin="photo")  # standing at y = 0, dressed as they are
people.export(folder / "scene.obj")  # the meshes as they stand, with texture coordinates
people.export(folder / "scene.npz")  # all parameters, under the names that SMPL and AMASS use
(folder / "scene.json").write_text(people.to_json())  # what a web page needs: joints, boxes, measurements

# Of one person: BVH for motion tools, joints called as Unreal calls them, feet on the ground; a table for R or Excel;
# the layout of AMASS. USD (pip install 'neural-body-fitting[usd]') and FBX (Blender) go the same way. So does
# `nbf export` from the files of an earlier run.
for index, person in enumerate(people):
    person.export(folder / f"person_{index}.bvh", rig="unreal", ground=True)
    person.export(folder / f"person_{index}.csv")
    person.export(folder / f"person_{index}.amass.npz")

# Any program that reads NumPy archives reads ours; one row a person. docs/files.md names every key.
with np.load(folder / "scene.npz") as file:
    for index, (betas, poses, translation) in enumerate(zip(file["betas"], file["poses"], file["trans"])):
        print(f"person {index}: {len(betas)} betas, {len(poses) // 3} joints, pelvis moved by {translation.round(2)} m")

# So does nbf: the same people without the networks, to be drawn, measured or exported once more. The file does not hold
# the photo; without it the pictures are drawn on white.
again = nbf.load_people(folder / "scene.npz", photo)
again.overlay().save(folder / "overlay.png")
shift = max(float((a.vertices - b.vertices).abs().max()) for a, b in zip(people, again))
print(f"vertices read back are the same to {1000 * shift:.3f} mm")
