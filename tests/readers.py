"""Everything of ours that reads files: valid files of each kind, and a reader that uses what it has read."""

import json
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import photos
import street
import torch
from motions import motion
from mutated import mutated
from packs import random_pack, random_people
from PIL import Image
from smpl import python2_pickle, tiny_smpl

from nbf.body.files import ASSETS, load_body
from nbf.certainty import Certainty
from nbf.data.backgrounds import BackgroundPack, pack_backgrounds
from nbf.data.bodies import SetBodies
from nbf.data.fits import RealFits
from nbf.data.human import coco_photos, lspet_photos
from nbf.data.pack import PhotoPack, pack_photos
from nbf.data.sets.street import street_photos
from nbf.data.sets.varied import varied_photos
from nbf.errors import NbfError
from nbf.evaluate import bench
from nbf.experiments import experiment
from nbf.export import write as export
from nbf.export.amass import read_amass
from nbf.export.bvh import read_bvh
from nbf.export.glb import read_glb, write_glb
from nbf.export.npz import load_people
from nbf.export.obj import read_obj
from nbf.export.ply import read_ply
from nbf.export.table import read_csv
from nbf.export.usd import read_usd
from nbf.fact_files import read_facts
from nbf.files import Record
from nbf.geometry import Camera, Crop, matrix_from_axis_angle
from nbf.motion import Motion
from nbf.nets.fitter import Fitter
from nbf.nets.regressor import Regressor
from nbf.nets.weights import load_network, save_network
from nbf.people import PartMap, People, Person
from nbf.pictures import Picture, read_picture
from nbf.proxy.keypoint_files import match_boxes, read_keypoints
from nbf.proxy.part_files import read_part_map, write_part_map
from nbf.train.loop import load_checkpoint, save_checkpoint
from nbf.train.packs import expand, load_packs, save_pack

WIDTH, HEIGHT = 96, 128


@dataclass(frozen=True)
class Reader:
    """One kind of file, or of files that belong together, in a folder."""

    files: dict[str, str]
    """Names, and kinds as `mutated` calls them, of those that are changed."""
    make: Callable[[Path], object]
    """Writes valid ones into a folder."""
    read: Callable[[Path], Any]
    """Reads those in a folder, and fails where they were read but cannot be used."""


@cache
def valid(name: str) -> dict[str, bytes]:
    """All files of a reader, by their path in its folder."""
    with TemporaryDirectory() as folder:
        READERS[name].make(Path(folder))
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write(name: str, folder: Path, seed: int | None) -> None:
    """The files of a reader in an empty folder, one of them changed; all valid where there is no seed."""
    files = dict(valid(name))
    if seed is not None:
        rng = Random(f"{name} {seed}")
        chosen = rng.choice(sorted(READERS[name].files))
        files[chosen] = mutated(files[chosen], READERS[name].files[chosen], rng)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def verdict(name: str, folder: Path) -> tuple[str, str]:
    """clean, clean error, memory or other, and what was raised."""
    try:
        READERS[name].read(folder)
    except NbfError as error:
        return ("memory" if _of_memory(error) else "clean error"), str(error)
    except Exception as error:
        return ("memory" if _of_memory(error) else "other"), f"{type(error).__name__}: {error}"
    return "clean", ""


def _of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or "allocate" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _must(good: Any, what: str) -> None:
    if not bool(good):
        raise AssertionError(f"was read, but {what}")


def _finite(tensor: torch.Tensor, what: str) -> None:
    _must(tensor.isfinite().all(), f"{what} is not finite")


@cache
def people(count: int = 2) -> People:
    """Side by side, 4 m away, facing the camera."""
    body = load_body("anny24", "small")
    draw = torch.Generator().manual_seed(0)
    picture, camera = Picture(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), "made-up"), Camera.default(WIDTH, HEIGHT)
    parts = torch.full((25, 64, 64), 0.001)
    parts[0], parts[13, 16:48, 24:40] = 0.9, 50.0
    persons = []
    for i in range(count):
        betas = 0.5 * torch.randn(body.shape_count, generator=draw)
        rotations = torch.eye(3).repeat(24, 1, 1)
        rotations[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        posed = body(betas, rotations, torch.tensor([i - 0.5, 0.0, 4.0]))
        pixels = camera.project(posed.vertices)
        box = torch.cat([pixels.amin(dim=0), pixels.amax(dim=0)])
        seen = torch.full((14,), 0.9)
        certainty = Certainty(
            *(torch.full((24,), 0.1), 50 * seen, seen, 0 * seen, seen, seen < 0, 0.04 * torch.eye(len(betas))),
            torch.eye(2).expand(17, 2, 2),
        )
        joints = torch.cat([camera.project(body.keypoints(posed, "coco17")), torch.ones(17, 1)], 1)
        part_map = PartMap(parts / parts.sum(0), Crop.from_boxes(box, 256))
        translation = torch.tensor([i - 0.5, 0.0, 4.0])
        persons.append(
            Person(
                *(betas, rotations, translation, camera, box, 0.9, part_map, joints, body, "anny24", posed, certainty),
                picture,
            )
        )
    return People(tuple(persons), picture, camera)


def _read_people(folder: Path) -> People:
    """As `nbf refine` uses them, up to the networks."""
    found = load_people(folder / "people.npz")
    for person, arrays in zip(found, found.numpy()):
        for name, array in arrays.items():
            may = name.startswith(("certainty", "measurements"))
            _must(may or np.isfinite(array).all(), f"{name} is not finite")
        covariance = person.certainty.shape_covariance
        if not covariance.isnan().all():
            _finite(torch.linalg.inv(covariance), "the precision of the shape")
    json.loads(found.to_json(), parse_constant=_refuse)
    return found


def _refuse(word: str) -> None:
    raise AssertionError(f"was read, but gives {word}")


def _make_glb(folder: Path) -> None:
    one, other = (Motion.of(person, f"person_{i}") for i, person in enumerate(people()))
    film = replace(one, rotations=one.rotations.repeat(3, 1, 1, 1), translation=one.translation.repeat(3, 1))
    write_glb(folder / "people.glb", [replace(film, frame_rate=25.0), other])


def _keypoints(document: Any) -> Reader:
    def read(folder: Path) -> None:
        points = read_keypoints(folder / "keypoints.json", WIDTH, HEIGHT)
        _finite(points, "a keypoint")
        match_boxes(points, torch.tensor([[10.0, 10, 80, 120]]))

    return Reader(
        {"keypoints.json": "json"}, lambda folder: _put(folder / "keypoints.json", json.dumps(document)), read
    )


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _picture(name: str, **options: Any) -> Reader:
    def make(folder: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
        Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(folder / name, **options)

    def read(folder: Path) -> None:
        _must(read_picture(folder / name).pixels.dtype == np.uint8, "is no picture")

    return Reader({name: "picture"}, make, read)


def _make_parts(folder: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[20:90, 30:60], labels[90:, 35:50] = 13, 15
    write_part_map(labels, folder / "parts.png")


def _read_parts(folder: Path) -> None:
    _must(read_part_map(folder / "parts.png", WIDTH, HEIGHT).max() <= 24, "has labels above 24")


def _body(name: str, kind: str, make: Callable[[Path], object]) -> Reader:
    def read(folder: Path) -> None:
        body = load_body(folder / name)
        posed = body(torch.full((body.shape_count,), 0.5), torch.eye(3).repeat(24, 1, 1), torch.zeros(3))
        _finite(posed.vertices, "a vertex")
        _must(len(body.faces), "has no faces")

    return Reader({name: kind}, make, read)


def _make_weights(folder: Path) -> None:
    torch.manual_seed(0)
    save_network(Fitter(5, width=8, features=4, lifter=16, blocks=1), folder / "fitter", {"seed": 1})
    save_network(Regressor(18, 5, width=8), folder / "regressor", {"seed": 1}, small=True)


def _read_weights(folder: Path) -> None:
    for name in ("fitter", "regressor"):
        network = load_network(folder / f"{name}.safetensors")
        for tensor in network.state_dict().values():
            _must(tensor.device.type == "cpu" and tensor.isfinite().all(), "has weights that are not finite")


def _pack(make: Callable[[], dict[str, torch.Tensor]]) -> Reader:
    def read(folder: Path) -> None:
        pack = load_packs([folder / "0.npz"])
        for name in {"parts", "seen_parts"} & pack.keys():
            _finite(expand(pack[name]), name)
        _finite(pack["betas"].float() if "betas" in pack else torch.zeros(1), "a beta")

    return Reader({"0.npz": "npz"}, lambda folder: (save_pack(make(), folder / "0.npz"), None)[1], read)


def _drawn() -> dict[str, torch.Tensor]:
    pictures = {"image": torch.full((2, 3, 128, 128), 9, dtype=torch.uint8), "has_body": torch.tensor([True, False])}
    return random_pack(2, 0) | pictures | {"surface": torch.full((2, 3, 64, 64), 9, dtype=torch.uint8)}


def _make_photo_pack(folder: Path) -> None:
    with TemporaryDirectory() as shared:
        pack_photos(street_photos(street.write_street_photos(Path(shared)), "train"), side=64).save(folder / "pack.npz")


def _make_backgrounds(folder: Path) -> None:
    with TemporaryDirectory() as shared:
        pack_backgrounds(street.write_street_photos(Path(shared)), side=48).save(folder / "pack.npz")


def _read_backgrounds(folder: Path) -> None:
    pack = BackgroundPack.load(folder / "pack.npz")
    for split in ("train", "test"):
        pack.squares(split, 32)


def _make_fits(folder: Path) -> None:
    n, draw = 3, torch.Generator().manual_seed(0)
    one = torch.ones(n)
    RealFits(
        *(torch.arange(n), torch.rand(n, 4, generator=draw), torch.zeros(n, 11), torch.rand(n, 24, 3, generator=draw)),
        *(torch.ones(n, 3), 300 * one, 100 * torch.ones(n, 2), one > 0, one, one, one, one),
    ).save(folder / "fits.npz")


def _read_fits(folder: Path) -> None:
    _finite(RealFits.load(folder / "fits.npz").rotations, "a rotation")


def _make_set_bodies(folder: Path) -> None:
    n, draw = 3, np.random.default_rng(0)
    betas, pose, translation = (draw.random((n, *shape), np.float32) for shape in ((11,), (24, 3), (3,)))
    pose[1] = np.nan  # of a fit that ran away
    error, kept = np.array([0.01, np.nan, 0.02], np.float32), np.array([True, False, True])
    names, person = np.array(["walk/a.png", "walk/b.png", "b"]), np.arange(n)
    SetBodies("lsp", "anny24", names, person, betas, pose, translation, error, kept).save(folder / "bodies.npz")


def _read_set_bodies(folder: Path) -> None:
    """As training uses them."""
    bodies = SetBodies.load(folder / "bodies.npz")
    bodies = SetBodies.joined([bodies, bodies])
    for row in bodies.rows.values():
        _finite(matrix_from_axis_angle(torch.from_numpy(bodies.pose[row])), "a rotation")
        for array in (bodies.betas, bodies.translation, bodies.error):
            _must(np.isfinite(array[row]).all(), "a body is not finite")


def _make_scores(folder: Path) -> None:
    experiment.save({"mpjpe": torch.rand(9), experiment.SECONDS: torch.ones(1)}, folder / "case.npz")


def _read_scores(folder: Path) -> None:
    scores = experiment.load(folder / "case.npz")
    float(scores[experiment.SECONDS])


def _make_bench(folder: Path) -> None:
    labels = torch.zeros(2, 256, 256, dtype=torch.uint8)
    labels[:, 60:200, 100:150] = 13
    batch = {name: value for name, value in random_people(2, 0).items() if name != "keypoints"}
    batch["betas"] = torch.zeros(2, load_body("anny24", "full").shape_count)
    bench.save(
        [batch | {"image": torch.full((2, 3, 256, 256), 0.5), "labels": labels, "joints_3d": torch.rand(2, 24, 3)}],
        folder / "studio",
    )


def _read_bench(folder: Path) -> None:
    people = bench.Benchmark.load("studio", folder)
    for group in people.groups(len(people)):
        _finite(group.batch["rotations"], "a rotation")


def _make_annotations(folder: Path) -> None:
    people = [photos.sportsman(), {"box": [0.0, 0, 30, 40], "score": 0.3}]
    human = [{"box": [1.0, 2, 30, 40], "coco17": [[x, y, 1] for x, y, _ in photos.joints(photos.COCO17)]}]
    with TemporaryDirectory() as name:
        shared = street.write_street_photos(Path(name))
        lines = [
            photos.write_photo(shared, "lspet/a", people, "val"),
            photos.write_photo(shared, "coco/b", [photos.standing()], "val", human=human),
            photos.write_photo(shared, "coco/c", [photos.standing()], "train", others_unlabelled=True),
        ]
        photos.write_photos(shared, lines)
        for kind in ("real", "photos"):  # the pictures are read by others
            (folder / kind).mkdir()
            (folder / kind / "annotations.jsonl").write_bytes((shared / kind / "annotations.jsonl").read_bytes())


def _read_annotations(folder: Path) -> None:
    for split in ("train", "val"):
        for photo in (*street_photos(folder, split), *varied_photos(folder, split)):
            for person in photo.people:
                _must(np.isfinite(person.keypoints()).all(), "has keypoints that are not finite")
    for photo in (*lspet_photos(folder), *coco_photos(folder)):
        _finite(photo.joints, "a joint")


def _make_record(folder: Path) -> None:
    Record("walk.jpg", "ab", {"verb": "predict"}, {"walk.png": ["cd"], "walk_0.npz": ["ef"]}, None).write(
        folder / "walk.json"
    )


def _make_facts(folder: Path) -> None:
    rows = [{"box": [1.5, 2, 30, 40], "sex": "female", "age": 34, "height": 1.7}, {"box": [9, 9, 20, 20], "weight": 60}]
    (folder / "facts.json").write_text(json.dumps(rows))


def _read_facts(folder: Path) -> None:
    for facts in read_facts(folder / "facts.json"):
        known = facts.known()
        for name in ("age", "height", "weight"):
            _must(getattr(known, name) is None or math.isfinite(getattr(known, name)), f"has a strange {name}")


def _make_checkpoint(folder: Path) -> None:
    network = torch.nn.Linear(3, 2)
    state = {"network": network.state_dict(), "optimizer": torch.optim.AdamW(network.parameters()).state_dict()}
    schedule = {"phase_step": 1, "seconds": 2.0, "finished": False}
    average = {"network": network.state_dict(), "updates": 1}
    save_checkpoint(folder / "checkpoint.pt", state | {"schedule": schedule, "average": average, "step": 1})


def _read_mesh(vertices: np.ndarray, faces: np.ndarray) -> None:
    _must(np.isfinite(vertices[faces]).all(), "a corner is not finite")


def _read_obj(folder: Path) -> None:
    for mesh in read_obj(folder / "people.obj").values():
        _read_mesh(mesh.vertices, mesh.faces)


def _read_ply(folder: Path) -> None:
    mesh = read_ply(folder / "people.ply")
    _read_mesh(mesh.vertices, mesh.faces)


def _read_motions(motions: Sequence[Motion]) -> None:
    """As they are exported."""
    for each in motions:
        _finite(each.posed(slice(0, 1)).vertices, "a vertex")
        _finite(each.joints(), "a joint")
        _must(each.frame_rate is None or 0 < each.frame_rate < math.inf, "has a strange rate")


def _smpl_npz(path: Path) -> None:
    np.savez_compressed(path, **tiny_smpl())  # pyright: ignore[reportArgumentType]


_FLAT = {n: [v for i in range(n) for v in (20.0 + i, 30.0 + 2 * i, 0.8)] for n in (17, 18, 25)}

READERS: dict[str, Reader] = {
    "picture, JPEG": _picture("photo.jpg"),
    "picture, PNG": _picture("photo.png"),
    "picture, WebP": _picture("photo.webp"),
    "picture, GIF": _picture("photo.gif"),
    "picture, BMP": _picture("photo.bmp"),
    "picture, TIFF": _picture("photo.tif", compression="tiff_lzw"),
    "part map": Reader({"parts.png": "picture"}, _make_parts, _read_parts),
    "keypoints, OpenPose 25": _keypoints({"version": 1.3, "people": [{"pose_keypoints_2d": _FLAT[25]}]}),
    "keypoints, OpenPose 18": _keypoints({"version": 1.2, "people": [{"pose_keypoints_2d": _FLAT[18]}]}),
    "keypoints, COCO results": _keypoints(
        [
            {"image_id": 1, "category_id": 1, "keypoints": _FLAT[17], "score": 0.9},
            {"image_id": 1, "keypoints": _FLAT[17]},
        ]
    ),
    "keypoints, COCO annotations": _keypoints(
        {"images": [{"id": 1}], "annotations": [{"image_id": 1, "keypoints": _FLAT[17], "num_keypoints": 17}]}
    ),
    "keypoints, nbf": Reader(
        {"keypoints.json": "json"},
        lambda folder: _put(folder / "keypoints.json", people().to_json()),
        lambda folder: _finite(read_keypoints(folder / "keypoints.json", WIDTH, HEIGHT), "a keypoint"),
    ),
    "results, NPZ": Reader({"people.npz": "npz"}, lambda folder: people().export(folder / "people.npz"), _read_people),
    "results, OBJ": Reader({"people.obj": "obj"}, lambda folder: people(1).export(folder / "people.obj"), _read_obj),
    "results, PLY": Reader({"people.ply": "ply"}, lambda folder: people().export(folder / "people.ply"), _read_ply),
    "results, CSV": Reader(
        {"people.csv": "csv"},
        lambda folder: people().export(folder / "people.csv"),
        lambda folder: _must(read_csv(folder / "people.csv"), "has no rows"),
    ),
    "motion, BVH": Reader(
        {"walk.bvh": "bvh"},
        lambda folder: export([motion()], folder / "walk.bvh"),
        lambda folder: _must(np.isfinite(read_bvh(folder / "walk.bvh").joints()).all(), "a joint is not finite"),
    ),
    "motion, AMASS": Reader(
        {"walk.amass.npz": "npz"},
        lambda folder: export([motion()], folder / "walk.amass.npz"),
        lambda folder: _read_motions([read_amass(folder / "walk.amass.npz")]),
    ),
    "people, GLB": Reader(
        {"people.glb": "glb"}, _make_glb, lambda folder: _read_motions(read_glb(folder / "people.glb"))
    ),
    "SMPL, pickle": _body(
        "smpl.pkl", "pickle", lambda folder: (folder / "smpl.pkl").write_bytes(pickle.dumps(tiny_smpl()))
    ),
    "SMPL, pickle of Python 2": _body(
        "smpl.pkl", "pickle", lambda folder: (folder / "smpl.pkl").write_bytes(python2_pickle(tiny_smpl(), 2))
    ),
    "SMPL, NPZ": _body("smpl.npz", "npz", lambda folder: _smpl_npz(folder / "smpl.npz")),
    "body, safetensors": _body(
        "body.safetensors",
        "safetensors",
        lambda folder: (folder / "body.safetensors").write_bytes((ASSETS / "anny24_small.safetensors").read_bytes()),
    ),
    "weights": Reader(
        {
            **{f"{name}.safetensors": "safetensors" for name in ("fitter", "regressor")},
            **{f"{name}.json": "json" for name in ("fitter", "regressor")},
        },
        _make_weights,
        _read_weights,
    ),
    "pack, dressed": _pack(_drawn),
    "pack, skeletons": _pack(lambda: random_people(3, 0)),
    "pack, photos": Reader(
        {"pack.npz": "npz"}, _make_photo_pack, lambda folder: PhotoPack.load(folder / "pack.npz").decode(64)
    ),
    "pack, backgrounds": Reader({"pack.npz": "npz"}, _make_backgrounds, _read_backgrounds),
    "fits": Reader({"fits.npz": "npz"}, _make_fits, _read_fits),
    "bodies of data sets": Reader({"bodies.npz": "npz"}, _make_set_bodies, _read_set_bodies),
    "scores of experiments": Reader({"case.npz": "npz"}, _make_scores, _read_scores),
    "nbf-bench": Reader({"studio/people.npz": "npz", "studio/pictures.zip": "zip"}, _make_bench, _read_bench),
    "annotations": Reader(
        {"real/annotations.jsonl": "jsonl", "photos/annotations.jsonl": "jsonl"}, _make_annotations, _read_annotations
    ),
    "facts": Reader({"facts.json": "json"}, _make_facts, _read_facts),
    "records": Reader({"walk.json": "json"}, _make_record, lambda folder: Record.read(folder / "walk.json")),
    "checkpoints": Reader(
        {"checkpoint.pt": "zip"},
        _make_checkpoint,
        lambda folder: load_checkpoint(folder / "checkpoint.pt", torch.device("cpu")),
    ),
}
if find_spec("pxr") is not None:

    def _write_usd(folder: Path) -> None:
        for name in ("walk.usd", "walk.usda"):
            export([motion()], folder / name)

    def _read_usd(folder: Path) -> None:
        for name in ("walk.usd", "walk.usda"):
            _read_motions(read_usd(folder / name))

    READERS["motion, USD"] = Reader({"walk.usd": "usd", "walk.usda": "usda"}, _write_usd, _read_usd)
