"""Which method? (Omran et al. 2018, table 4.) All of them on the same people, by the same measures."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.data.human import HumanPhoto, coco_photos, lspet_photos
from nbf.data.shared import shared_dir
from nbf.evaluate.photos import Findings, Ruler
from nbf.evaluate.sheet import Entry, comparison_sheet
from nbf.experiments.experiment import Case, Lab, Scores
from nbf.experiments.measuring import (
    MEAN_POSE,
    SECONDS,
    measured,
    memory,
    method,
    networks,
    of,
    remembering,
    subjects,
    tracks,
)
from nbf.experiments.report import Column, Estimate, Report, Table, bars, beside
from nbf.geometry import Camera
from nbf.methods import BUNDLED
from nbf.networks import BODY
from nbf.predictor import Predictor
from nbf.synth.tracks import TRACKS, Track

COLUMNS = (
    Column("PA-MPJPE, mm", "pa_mpjpe"),
    Column("median, mm", "pa_mpjpe", "median"),
    Column("MPJPE, mm", "mpjpe"),
    Column("PVE, mm", "pve"),
    Column("shape, mm", "shape"),
    Column("PCKh, %", "pckh", factor=100),
    Column("seconds a person", SECONDS, digits=2),
)
PHOTO_COLUMNS = (
    Column("joints met, lspet, %", "lspet", factor=100),
    Column("joints met, coco, %", "coco", factor=100),
    Column("seconds a photo", SECONDS, digits=2),
)
PUBLISHED = {
    "Akhter & Black 2015 (lifting-akhter)": (181.1, 158.1),
    "Ramakrishna et al. 2012 (lifting-ramakrishna)": (157.3, 136.8),
    "Zhou et al. 2016 (lifting-zhou)": (106.7, 90.0),
    "SMPLify (smplify)": (82.3, 69.3),
    "SMPLify dense (smplify-dense)": (80.7, 70.0),
    "SelfSup (selfsup)": (98.4, None),
    "Pavlakos et al. 2018 (pavlakos)": (75.9, None),
    "HMR, trained on Human3.6M alone (hmr)": (77.6, 72.1),
    "HMR (hmr)": (56.8, None),
    "NBF, trained on Human3.6M alone (nbf-plain)": (59.9, 52.3),
}
"""Mean and median error per joint after Procrustes in mm on Human3.6M (Omran et al. 2018, table 4), and our method of
that kind."""
SHOWN = 6
"""People in the gallery."""


class Comparison:
    """The experiment."""

    name = "comparison"

    def cases(self, lab: Lab) -> Sequence[Case]:
        names = (MEAN_POSE, *BUNDLED)
        cases = [
            Case(f"{track}.{name}", lambda track=track, name=name: _bench(lab, track, name))
            for track in tracks(lab)
            for name in names
        ]
        cases.append(Case("shown", lambda: _shown(lab)))
        if (shared := shared_dir()) is not None:
            cases += [
                Case(f"photos.{name}", lambda shared=shared, name=name: _photos(lab, shared, name)) for name in names
            ]
        return cases

    def report(self, results: dict[str, Scores]) -> Report:
        tables = {
            track: Table.of(f"bench:{track}", COLUMNS, of(results, track)) for track in TRACKS if of(results, track)
        }
        findings = [each for track in tables for each in _compared(f"bench:{track}", of(results, track), COLUMNS[0])]
        if photos := of(results, "photos"):
            tables["photos"] = Table.of("Photos of the val split, against human labels", PHOTO_COLUMNS, photos)
            findings += [each for column in PHOTO_COLUMNS[:2] for each in _compared("photos", photos, column)]
        else:
            findings.append("Photos: left out, as there is no shared folder here.")
        seconds = Estimate.of(results["wild.smplify"][SECONDS])
        findings.append(f"smplify takes {seconds.value:.2f} s a person of bench:wild, with looking.")
        plots = {table.title: bars(table) for table in tables.values()}
        return Report(
            "Which method?",
            [*tables.values(), _published()],
            beside(plots, len(plots)),
            findings,
            {"gallery": lambda: _gallery(results)},
        )


def _bench(lab: Lab, track: Track, name: str) -> Scores:
    people = subjects(lab, track, lab.preset.bench)
    scores, found = measured(lab, method(lab, name), people, memory(lab, track))
    return scores | _stored(found[:SHOWN])


def _shown(lab: Lab) -> Scores:
    """The people of the gallery: not scores, but what it is drawn from."""
    first = subjects(lab, "wild", lab.preset.bench)[0]
    camera = first.camera
    pictures = (first.crops.image * 255).round().byte()
    return {"pictures": pictures[:SHOWN], "focal": camera.focal[:SHOWN], "center": camera.center[:SHOWN]} | _stored(
        first.true[:SHOWN]
    )


def _photos(lab: Lab, shared: Path, name: str) -> Scores:
    """Of each photo the share of labelled joints that the meshes meet, as `nbf.evaluate.photos` counts."""
    ready, saved = remembering(method(lab, name), memory(lab, "photos"))
    predictor, ruler = Predictor(networks(lab.device), ready), Ruler()
    scores: dict[str, list[float]] = {"lspet": [], "coco": [], SECONDS: []}
    sets: tuple[tuple[str, list[HumanPhoto], Callable[..., torch.Tensor]], ...] = (
        ("lspet", lspet_photos(shared), ruler.add_lspet),
        ("coco", coco_photos(shared), ruler.add_coco),
    )
    for kind, photos, add in sets:
        for photo in photos[: lab.preset.photos]:
            start, before = time.perf_counter(), saved()
            found = predictor.predict(photo.path)
            scores[SECONDS].append(time.perf_counter() - start + saved() - before)
            scores[kind].append(float(add(photo, Findings.of(found)).float().mean()))
    return {kind: torch.tensor(values) for kind, values in scores.items()}


def _stored(bodies: Bodies) -> Scores:
    return {"betas": bodies.betas, "rotations": bodies.rotations, "pelvis": bodies.pelvis}


def _compared(where: str, results: dict[str, Scores], column: Column) -> list[str]:
    """Which method is best by a column, whether it is nbf, and whether all of them are better than the floor."""
    # Of errors less is better, of shares more.
    sign = -1 if "%" in column.title else 1
    errors = {name: sign * column.factor * scores[column.score] for name, scores in results.items()}
    floor, what = errors.pop(MEAN_POSE), f"{where}, {column.title}"
    best = min(errors, key=lambda name: float(errors[name].nanmean()))
    other = min(errors.keys() - {"nbf"}, key=lambda name: float(errors[name].nanmean()))
    gap = Estimate.of(errors[other] - errors["nbf"])
    verdict = "better than" if gap.low > 0 else "worse than" if gap.high < 0 else "equal to"
    below = [name for name, error in errors.items() if Estimate.of(floor - error).value <= 0]
    return [
        f"{what}: best is {best} ({abs(float(errors[best].nanmean())):.1f}); nbf is {verdict} the best other, {other}, "
        f"by {gap.value:.1f} ({gap.low:.1f} to {gap.high:.1f}, paired).",
        f"{what}: "
        + (f"not better than the mean pose: {', '.join(below)}." if below else "every method beats the mean pose."),
    ]


def _published() -> Table:
    rows: dict[str, list[Estimate | str | None]] = {
        name: [None if value is None else Estimate(value, value, value) for value in row]
        for name, row in PUBLISHED.items()
    }
    title = (
        "As published, on Human3.6M: other people, other joints, another skeleton; not to be compared with the above"
    )
    return Table(title, ("mean, mm", "median, mm"), rows, (1, 1))


def _gallery(results: dict[str, Scores]) -> Image.Image:
    """The first people of bench:wild, and what each method finds in them; in the side view the truth is blue."""
    body, shown, wild = load_body(BODY), results["shown"], of(results, "wild")
    true = _restored(shown).posed(body).vertices
    found = {name: _restored(scores).posed(body).vertices for name, scores in wild.items()}
    rows = []
    for i, pixels in enumerate(shown["pictures"]):
        picture, camera = (
            Image.fromarray(pixels.permute(1, 2, 0).numpy()),
            Camera(shown["focal"][i], shown["center"][i]),
        )
        captions = {name: f"{float(scores['pa_mpjpe'][i]):.0f} mm" for name, scores in wild.items()}
        one = slice(i, i + 1)
        rows.append([Entry(picture, [], found[name][one], camera, captions[name], true[one]) for name in wild])
    return comparison_sheet(rows, list(wild), body.faces, "bench:wild, PA-MPJPE; from the side, the truth is blue")


def _restored(scores: Scores) -> Bodies:
    return Bodies(scores["betas"], scores["rotations"], scores["pelvis"])
