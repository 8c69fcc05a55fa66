"""What you know makes bodies better, and every body says how sure it is.

python examples/02_known_facts.py [PHOTO] [HEIGHT IN METRES]
"""

import sys
from pathlib import Path

import nbf
from nbf.body.joints import SMPL24

photo = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.jpg")
height = float(sys.argv[2]) if len(sys.argv) > 2 else 1.75

predictor = nbf.load()
guessed = predictor.predict(photo)
known = predictor.predict(photo, known=nbf.Known(height=height))

for number, (before, after) in enumerate(zip(guessed, known, strict=True)):
    print(f"person {number}")
    for name, (value, sigma) in before.measurements.items():
        better, left = after.measurements[name]
        print(f"  {name:<10} guessed {value:6.2f} +- {sigma:.2f}   at {height:g} m tall {better:6.2f} +- {left:.2f}")
    distances = [float(person.joints_3d()[0].norm()) for person in (before, after)]
    print(f"  distance of the pelvis: guessed {distances[0]:.2f} m, at {height:g} m tall {distances[1]:.2f} m")
    worst = int(after.certainty.joint_error.argmax())
    print(f"  least sure joint: {SMPL24[worst]}, {1000 * float(after.certainty.joint_error[worst]):.0f} mm")
