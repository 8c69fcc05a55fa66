"""What requests and answers look like; OpenAPI shows it, with examples. Lengths in pixels are of the upright photo."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

AgeGroup = Literal["infant", "child", "teen", "adult", "elder"]
Pixel = Annotated[list[float], Field(min_length=2, max_length=2, examples=[[348.9, 328.2]])]
Box = Annotated[list[float], Field(min_length=4, max_length=4, examples=[[315.3, 208.6, 600.4, 802.3]])]
Rows = list[list[float]]


class Facts(BaseModel):
    """What is known of one person; what is left out is unknown."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    height: Annotated[float | None, Field(examples=[1.78])] = None
    """Metres."""
    sex: Annotated[str | float | None, Field(examples=["female"])] = None
    """female, male, or a number from 0 (male) to 1."""
    age: Annotated[float | None, Field(examples=[34])] = None
    """Years."""
    age_group: AgeGroup | None = None
    """If the age is not known."""
    weight: Annotated[float | None, Field(examples=[70])] = None
    """Kilograms."""


class PersonToRefit(Facts):
    """One person of a result, or one who was missed, what is known of them, and what was seen wrongly."""

    person: Annotated[int | None, Field(ge=0, examples=[0])] = None
    """Their place in the result, from 0. Either this or a box."""
    box: Box | None = None
    """Where somebody is who was missed: x0, y0, x1, y1."""
    joints: dict[str, Pixel | None] = Field(default_factory=dict)
    """By COCO's names: where the body's joint has to be; null where the joint that was seen is not to be believed."""
    paint: Annotated[
        list[tuple[int, int]] | None, Field(max_length=65536, examples=[[[255, 30000], [9, 536], [255, 35000]]])
    ] = None
    """A repainted part map: the window of the person (`window.png`) as 256 rows of 256 labels, in runs of label and
    count. 255 is untouched, 0 background, 1 to 24 are parts."""
    swap: list[Literal["arms", "legs", "face"]] = Field(default_factory=list, max_length=3)
    """What is left and was seen right."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "PersonToRefit":
        if (self.person is None) == (self.box is None):
            raise ValueError("expected either person or box")
        return self


class RefitRequest(BaseModel):
    """People of an earlier result, fitted anew to what was seen then and what is known now; others are left out."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "5f0c0e4dbb7a5c1d0e3f9a62",
                    "people": [{"person": 0, "height": 1.84, "joints": {"right_wrist": [349, 250], "nose": None}}],
                    "focal": "28mm",
                }
            ]
        },
    )

    id: Annotated[str, Field(max_length=64)]
    """Of the result."""
    people: list[PersonToRefit]
    """Who is to be in the new one, in this order."""
    focal: Annotated[str | float | None, Field(examples=["28mm"])] = None
    """28mm (as on 35 mm film), 1200px or a number of pixels; the lens of the result if left out."""
    center: Pixel | None = None
    """Of cropped photos: where the middle of the whole one is."""


class Answer(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Lens(Answer):
    """The photo's camera."""

    focal: float
    """Pixels."""
    center: Pixel
    lens: str | None
    """Where the focal length is from: given, EXIF or guess."""


class JointSet(Answer):
    """Joints of the body."""

    in_space: Annotated[Rows, Field(alias="3d")]
    """Metres, in the camera's frame: x right, y down, z forward."""
    in_photo: Annotated[Rows, Field(alias="2d")]
    """Pixels."""


class Measurement(Answer):
    """In metres or kilograms, as the name's ending says."""

    value: float
    sigma: float | None
    """Standard deviation; null where the method does not say."""


class Certainty(Answer):
    """How far the body can be believed."""

    joint_error_mm: dict[str, float | None]
    """By which each joint is off on average."""
    keypoint_error_px: dict[str, float | None]
    """By which COCO's joints of the body are off in the photo on average."""
    parts: dict[str, dict[str, Any]]
    """Of each of 14 parts, how much of it is seen; `guessed` where its place is a guess."""


class Window(Answer):
    """The square that the person's part map covers."""

    center: Pixel
    size: float
    """Pixels a side."""


class PersonFound(Answer):
    """One person."""

    box: Box
    score: float
    """How sure it is that somebody is here, 0 to 1."""
    body_model: str
    betas: list[float]
    """Shape."""
    poses: list[float]
    """24 rotation vectors, as SMPL's."""
    trans: list[float]
    """Metres."""
    joints: dict[str, JointSet]
    """By the name of the set: smpl24, coco17, lsp14."""
    measurements: dict[str, Measurement]
    certainty: Certainty
    keypoints: Rows
    """COCO's 17 joints as seen in the photo: x, y, score."""
    window: Window


class PeopleFound(Answer):
    """Everybody in a photo, the surest first."""

    id: Annotated[str, Field(examples=["5f0c0e4dbb7a5c1d0e3f9a62"])]
    """Of this result, for as long as it is kept."""
    keep_seconds: float
    """For how long that is after it was last asked for."""
    width: int
    height: int
    camera: Lens
    people: list[PersonFound]


class BodyModel(Answer):
    """What all results' bodies have in common."""

    joints: dict[str, list[str]]
    """Names, by set."""
    parents: list[int]
    """Of each of the 24 joints, the one above it; -1 of the root."""
    parts: list[str]
    """Names of the labels of part maps, background first."""
    colors: list[list[int]]
    """RGB of these labels in pictures."""
    merged_parts: list[str]
    """Names of the 14 parts of certainties and of faces."""
    vertices: int
    faces: int
    files: list[str]
    """Endings of `body.*`."""
    files_of_one: list[str]
    """Of these, those that hold one person."""


class Health(Answer):
    """That the server is there."""

    status: Literal["ok"]
    version: str
    waiting: int
    """Requests in line."""
