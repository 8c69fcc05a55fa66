"""A small shared folder of drawn people whose labels are known: a disc of the matching part around some keypoints."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 120, 200
# Keypoint -> (position, part): hands and feet of both sides, and the face halves under the eyes.
MARKED = {
    9: ((88, 100), 11),
    10: ((32, 100), 12),
    15: ((75, 170), 23),
    16: ((45, 170), 24),
    1: ((66, 30), 1),
    2: ((54, 30), 2),
}
RADIUS = 9


def draw_labels() -> np.ndarray:
    """A standing person: torso box, and a disc of its part around each marked keypoint."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[45:165, 45:76] = 13
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for (px, py), part in MARKED.values():
        disc = (x - px) ** 2 + (y - py) ** 2 <= RADIUS**2
        own_half = x >= 60 if part == 1 else x < 60 if part == 2 else True
        labels[disc & own_half] = part
    return labels


def write_street_photos(shared: Path) -> Path:
    """Five photos: four of one person, the last of two; one with an unlabelled person, one of the val split."""
    real = shared / "real"
    labels = draw_labels()
    rows = []
    for i in range(5):
        name, split = f"{i:04d}", "val" if i == 4 else "train"
        double = i == 3
        parts = np.concatenate([labels, labels], axis=1) if double else labels
        colors = np.random.default_rng(i).integers(0, 255, (26, 3), dtype=np.uint8)
        mask = (parts > 0).astype(np.uint8)
        mask[:5, :5] = 2
        parts = np.where(parts == 13, 25, parts) if i == 2 else parts
        for folder, array in (("images", colors[parts]), ("parts", parts), ("masks", mask)):
            path = real / folder / "ccp" / f"{name}.{'jpg' if folder == 'images' else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
        for person in range(1 + double):
            shift = WIDTH * person
            keypoints = [[60 + shift, 100, 0.1]] * 17
            for joint, ((x, y), _) in MARKED.items():
                keypoints[joint] = [x + shift, y, 0.9]
            rows.append(
                {
                    "set": "ccp", "id": name, "person": person, "persons": 1 + double,
                    "split": split, "width": parts.shape[1], "height": HEIGHT, "box": [20 + shift, 18, 80, 164],
                    "keypoints": keypoints, "lr_flags": [9] if i == 1 else [], "mask_source": "annotation",
                    "unlabelled_people": i == 0,
                }
            )  # fmt: skip
    (real / "annotations.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for i in range(12):
        path = real / "backgrounds" / f"field_{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (90, 130, 3), dtype=np.uint8)).save(path)
    return shared
