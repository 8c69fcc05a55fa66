"""MediaPipe's landmarks for benchmarks/peers.py, in a Python of their own: the wheel needs another NumPy than ours.

Reads names of photos from the standard input, one a line, and answers with one line of JSON each: `points`, the 33
landmarks in pixels, or null where it found nobody; `wall` and `cpu`, milliseconds that passed and that were worked.
"""

import json
import sys
import time

import cv2  # pyright: ignore[reportMissingImports]
import mediapipe  # pyright: ignore[reportMissingImports]


def main() -> None:
    """Of each photo the one person that MediaPipe looks for; nothing is carried over from the photo before."""
    with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
        for photo in sys.stdin.read().splitlines():
            image = cv2.cvtColor(cv2.imread(photo), cv2.COLOR_BGR2RGB)
            wall, cpu = time.perf_counter(), time.process_time()
            found = pose.process(image).pose_landmarks
            wall, cpu = 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)
            height, width = image.shape[:2]
            points = None if found is None else [(each.x * width, each.y * height) for each in found.landmark]
            print(json.dumps({"points": points, "wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    main()
