"""The protocols under which the field reports, by name: which pictures, which joints, how aligned, which numbers.

Frames, joints and alignments are those of the authors' own code, as far as it is public; docs/datasets says which and
what is remembered from papers only.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nbf.body.joints import LSP14
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import Frame, LabelledPicture, Lazy, Pictures
from nbf.data.recordings import Recordings
from nbf.errors import DataError


@dataclass(frozen=True)
class Protocol:
    """One way to measure bodies against labels.

    Attributes:
        name: as `nbf evaluate --protocol` takes it.
        source: whose it is.
        data: the data sets that it is for, with the split of each.
        joints: names of the joints that are compared.
        root: names of the joints whose mean is moved onto the truth's for `mpjpe`, `pck` and `auc`.
        scores: names of what is reported; `nbf.evaluate.field` has them.
        chosen: which pictures of a recording count; all if None.
        crop: side of the square that methods see, over the longer side of the labelled box.
        pck: millimetres up to which a joint is right.
        pck_joints: names of the joints that `pck` counts; all that are compared if None.
        auc: millimetres up to which thresholds of `auc` go, from 0 in steps of 5.
        people: fewest labelled 2D joints of a person who counts.
    """

    name: str
    source: str
    data: dict[str, str]
    joints: tuple[str, ...]
    root: tuple[str, ...]
    scores: tuple[str, ...]
    chosen: Callable[[Frame], bool] | None = None
    crop: float = 1.2
    pck: float = 150.0
    pck_joints: tuple[str, ...] | None = None
    auc: float = 150.0
    people: int = 0

    def pictures(self, pictures: Pictures) -> Pictures:
        """Those that count, in their order.

        Raises:
            DataError: a picture does not say where in a recording it is from, by which pictures are chosen.
        """
        if self.chosen is None:
            return pictures
        if isinstance(pictures, Recordings):
            return pictures.chosen(self.chosen)
        rows = [row for row in range(len(pictures)) if self.chosen(self._frame(pictures[row]))]
        return Lazy(len(rows), lambda i: pictures[rows[i]])

    def _frame(self, picture: LabelledPicture) -> Frame:
        if picture.frame is None:
            raise DataError(f"{picture.name}: {self.name} chooses pictures by take and frame, which this does not tell")
        return picture.frame


TESTED = ("S9", "S11")
"""Subjects of Human3.6M on whom everybody tests."""
FRONTAL = "60457274"
"""The camera of the second protocol of HMR, SMPLify and NBF."""
_HIPS = ("left_hip", "right_hip")
_H36M = {"human36m": "test", "videopose3d": "test"}
_SPIN1, _SPIN2 = (_H36M | {"spin": f"h36m_valid_protocol{number}"} for number in (1, 2))
_ERRORS = ("mpjpe", "pa_mpjpe")
# 1-based frames of HumanEva-I between which VideoPose3D and the toolbox validate, trial 1: sequence -> last.
_EVA_LAST = {
    ("S1", "Walking"): 590,
    ("S1", "Box"): 385,
    ("S2", "Walking"): 438,
    ("S2", "Box"): 382,
    ("S3", "Walking"): 448,
    ("S3", "Box"): 512,
}


def _tested(frame: Frame) -> bool:
    return frame.subject in TESTED


def _hmr1(frame: Frame) -> bool:
    # 50 to 10 frames a second.
    return _tested(frame) and frame.index % 5 == 0


def _hmr2(frame: Frame) -> bool:
    return _hmr1(frame) and frame.camera == FRONTAL and frame.trial == 1


def _spin2(frame: Frame) -> bool:
    return _hmr1(frame) and frame.camera == FRONTAL


def _humaneva(frame: Frame) -> bool:
    last = _EVA_LAST.get((frame.subject, frame.action), 0)
    # The first five pictures are copies of the sixth.
    return frame.trial == 1 and frame.camera == "C1" and 6 <= frame.index + 1 <= last


_HMR = Protocol(
    "hmr-p1",
    "Kanazawa et al. 2018, src/benchmark",
    _SPIN1,
    ORDERS["common14"],
    _HIPS,
    _ERRORS,
    _hmr1,
)
_PW3D = Protocol(
    "3dpw-14",
    "Kolotouros et al. 2019 (SPIN), eval.py",
    {"3dpw": "test", "spin": "3dpw_test"},
    ORDERS["common14"],
    ("pelvis",),
    ("mpjpe", "pa_mpjpe", "pve"),
)
PROTOCOLS: dict[str, Protocol] = {
    each.name: each
    for each in (
        _HMR,
        replace(_HMR, name="hmr-p2", data=_H36M, chosen=_hmr2),
        replace(_HMR, name="nbf-h36m", source="Omran et al. 2018, table 4", data=_SPIN2, chosen=_spin2),
        replace(_HMR, name="spin-p1", source=_PW3D.source, root=("pelvis",), crop=0.9),
        replace(_HMR, name="spin-p2", source=_PW3D.source, data=_SPIN2, root=("pelvis",), crop=0.9, chosen=_spin2),
        Protocol(
            "skeleton-17",
            "Martinez et al. 2017 and after: protocol 1 is mpjpe, 2 pa_mpjpe",
            _H36M,
            ORDERS["human36m17"],
            ("pelvis",),
            _ERRORS,
            _tested,
        ),
        Protocol(
            "skeleton-17-64",
            "the same, every 64th picture",
            _H36M,
            ORDERS["human36m17"],
            ("pelvis",),
            _ERRORS,
            lambda frame: _tested(frame) and frame.index % 64 == 0,
        ),
        Protocol(
            "humaneva",
            "Bogo et al. 2016; Omran et al. 2018: Walking and Box, camera C1",
            {"humaneva": "validate"},
            ORDERS["humaneva15"],
            ("pelvis",),
            _ERRORS,
            _humaneva,
        ),
        _PW3D,
        replace(
            _PW3D,
            name="3dpw-challenge",
            source="3DPW challenge 2020, aymenmir1/3dpw-eval",
            data={"3dpw": "test"},
            joints=ORDERS["smpl24"],
            root=("smpl_pelvis",),
            scores=("mpjpe", "pa_mpjpe", "pck", "auc", "mpjae"),
            pck=50.0,
            pck_joints=LSP14[:12],
            auc=200.0,
        ),
        Protocol(
            "3dhp",
            "Mehta et al. 2017, the data set's own evaluation",
            {"mpi_inf_3dhp": "test"},
            ORDERS["mpi_inf_3dhp17"],
            ("pelvis",),
            ("mpjpe", "pa_mpjpe", "pck", "auc"),
        ),
        Protocol(
            "emdb1",
            "Kaufmann et al. 2023, evaluation_engine.py",
            {"emdb": "emdb1"},
            ORDERS["smpl24"],
            _HIPS,
            ("mpjpe", "pa_mpjpe", "pve", "mpjae"),
        ),
        Protocol(
            "up3d-joints",
            "Omran et al. 2018, table 3",
            {"up3d": "test"},
            ORDERS["smpl24"],
            ("smpl_pelvis",),
            ("pa_mpjpe", "quaternion"),
        ),
        Protocol(
            "up3d-pve",
            "Pavlakos et al. 2018; Kolotouros et al. 2019 (GraphCMR)",
            {"up3d": "lsp"},
            ORDERS["smpl24"],
            ("smpl_pelvis",),
            ("pve",),
        ),
        Protocol("pckh", "Andriluka et al. 2014", {"mpii-json": "valid"}, ORDERS["lsp14"], (), ("pckh",)),
        Protocol("lsp-pckh", "Johnson & Everingham 2010", {"lsp": "test"}, ORDERS["lsp14"], (), ("pckh",)),
        Protocol("lsp-pck", "Yang & Ramanan 2013", {"lsp": "test"}, ORDERS["coco17"], (), ("pck_torso",)),
        Protocol(
            "coco-pck", "Sapp & Taskar 2013", {"coco": "val", "coco2014": "val"}, ORDERS["coco17"], (), ("pck_torso",)
        ),
    )
}
"""By their names."""


def protocol(name: str) -> Protocol:
    """The protocol of a name. Raises DataError where there is none."""
    if name not in PROTOCOLS:
        raise DataError(f"--protocol: expected one of {', '.join(PROTOCOLS)}, got {name!r}")
    return PROTOCOLS[name]
