"""A small Human3.6M, written in its layout by others' writers (cdflib, h5py, ElementTree) and projected by scipy."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
from cdflib.cdfwrite import CDF
from films import write_film
from scipy.spatial.transform import Rotation

SERIALS = ("54138969", "55011271", "58860488", "60457274")
# Action and sub-action; what files of S1 and of the other subjects are called.
TAKES = {
    (1, 1): ("_ALL 1", "_ALL 1"),
    (1, 2): ("_ALL", "_ALL"),
    (2, 1): ("Directions 1", "Directions 1"),
    (2, 2): ("Directions", "Directions"),
    (10, 1): ("SittingDown 2", "SittingDown"),
    (10, 2): ("SittingDown", "SittingDown 1"),
    (12, 1): ("TakingPhoto 1", "Photo 1"),
    (12, 2): ("TakingPhoto", "Photo"),
}
NAMES = (
    *("_ALL", "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting"),
    *("SittingDown", "Smoking", "TakingPhoto", "Waiting", "Walking", "WalkingDog", "WalkTogether"),
)
FRAMES = 5
LENS = np.array([290.0, 289.0, 128.5, 127.0, -0.2, 0.24, -0.01, -0.001, -0.002])  # fx fy cx cy k1 k2 k3 p1 p2


def look_at(position: np.ndarray) -> np.ndarray:
    """The camera's axes, by rows, of a camera that looks at a point a metre above the ground; z is up in the world."""
    forward = np.array([0, 0, 900.0]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


@dataclass
class Studio:
    """What was written: joints in mm in the world, by subject and take's name."""

    folder: Path
    poses: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    angles: np.ndarray = field(default_factory=lambda: np.zeros((4, 11, 3)))
    positions: np.ndarray = field(default_factory=lambda: np.zeros((4, 11, 3)))

    def in_camera(self, subject: str, take: str, serial: str) -> np.ndarray:
        """mm in the camera's frame, (n, 32, 3)."""
        camera, person = SERIALS.index(serial), int(subject[1:]) - 1
        turn = Rotation.from_euler("XYZ", self.angles[camera, person])
        shifted = self.poses[subject, take] - self.positions[camera, person]
        return turn.apply(shifted.reshape(-1, 3)).reshape(-1, 32, 3)

    def in_picture(self, subject: str, take: str, serial: str) -> np.ndarray:
        """Pixels, (n, 32, 2)."""
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = LENS
        x, y, z = np.moveaxis(self.in_camera(subject, take, serial), -1, 0)
        x, y = x / z, y / z
        r = np.sqrt(x**2 + y**2)
        grown = 1 + k1 * r**2 + k2 * r**4 + k3 * r**6
        u = x * grown + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2)
        v = y * grown + 2 * p2 * x * y + p1 * (r**2 + 2 * y**2)
        return np.stack([fx * u + cx, fy * v + cy], axis=-1)


def write_cdf(path: Path, poses: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = CDF(str(path), cdf_spec={"rDim_sizes": []}, delete=True)
    flat = poses.reshape(1, len(poses), -1).astype(np.float32)
    about = {"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": flat.shape[1:]}
    file.write_var(about, var_data=flat)
    file.close()


def write_masks(path: Path, boxes: list[tuple[int, int, int, int] | None], side: int = 250) -> None:
    """Rectangles (x0, y0, x1, y1) in pictures a little higher than wide; columns first, as Matlab stores them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("#refs#")
        refs = []
        for k, box in enumerate(boxes):
            mask = np.zeros((side, side + 4), np.uint8)
            if box is not None:
                mask[box[0] : box[2], box[1] : box[3]] = 1
            refs.append(group.create_dataset(f"m{k}", data=mask, compression="gzip").ref)
        file.create_dataset("Masks", data=np.array(refs, h5py.ref_dtype)[:, None])


def write_metadata(path: Path, studio: Studio) -> None:
    root = ElementTree.Element("metadata")
    table = ElementTree.SubElement(root, "mapping")
    subjects = [f"S{number}" for number in range(1, 12)]
    rows = [["", "", *subjects]]
    rows += [
        [str(a), str(b), *(one if s == "S1" else other for s in subjects)] for (a, b), (one, other) in TAKES.items()
    ]
    rows.append(["Calibration", "", *subjects])
    for row in rows:
        line = ElementTree.SubElement(table, "tr")
        for cell in row:
            ElementTree.SubElement(line, "td").text = cell
    names = ElementTree.SubElement(root, "actionnames")
    for name in NAMES:
        ElementTree.SubElement(names, "td").text = name
    numbers = [*np.concatenate([studio.angles, studio.positions], axis=-1).ravel(), *np.tile(LENS, 4)]
    ElementTree.SubElement(root, "w0").text = f"[{' '.join(map(repr, map(float, numbers)))}]"
    ElementTree.ElementTree(root).write(path)


def write_studio(folder: Path, subjects: tuple[str, ...], films: bool = False, frames: int = FRAMES) -> Studio:
    """metadata.xml, joints in the world and, if wanted, films."""
    studio = Studio(folder)
    generator = np.random.default_rng(0)
    for camera in range(4):
        for person in range(11):
            around = np.pi / 4 + camera * np.pi / 2 + person / 20
            position = np.array([4000 * np.cos(around), 4500 * np.sin(around), 1500 + 10 * person])
            studio.positions[camera, person] = position
            studio.angles[camera, person] = Rotation.from_matrix(look_at(position)).as_euler("XYZ")
    folder.mkdir(parents=True, exist_ok=True)
    write_metadata(folder / "metadata.xml", studio)
    for subject in subjects:
        for (action, _), (one, other) in TAKES.items():
            if action == 1:
                continue
            take = one if subject == "S1" else other
            poses = generator.uniform((-400, -400, 50), (400, 400, 1800), (frames, 32, 3)).astype(np.float32)
            studio.poses[subject, take] = poses.astype(np.float64)
            write_cdf(folder / subject / "MyPoseFeatures" / "D3_Positions" / f"{take}.cdf", poses)
            if films:
                for serial in SERIALS:
                    write_film(folder / subject / "Videos" / f"{take}.{serial}.mp4", frames)
    return studio
