"""What the verbs `predict` and `refine` let a user tell about the people in pictures, and how the library hears it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro

from nbf.cli._uncollected import uncollected
from nbf.cli._usage import UsageError, understanding
from nbf.errors import NbfError
from nbf.limits import check_age_group, checked_fact, parse_center, parse_focal

if TYPE_CHECKING:
    from nbf.known import Facts, Known
    from nbf.people import People
    from nbf.pictures import Picture
    from nbf.predictor import Predictor

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class KnownOptions:
    """Options that say what is known."""

    focal: Annotated[str | None, tyro.conf.arg(metavar="28mm", help_behavior_hint="(default: EXIF, else a guess)")] = (
        None
    )
    """Focal length: 28mm (as on 35 mm film; of uncropped photos), 1200px, or exif: only what the camera wrote."""
    center: Annotated[str | None, tyro.conf.arg(metavar="X,Y", help_behavior_hint="(default: the middle)")] = None
    """For cropped or padded photos: where the middle of the whole one is, pixels. Give --focal in pixels beside it."""
    height: Annotated[float | None, tyro.conf.arg(metavar="METRES", help_behavior_hint="(default: unknown)")] = None
    """How tall the people are. With the focal length this gives true distances."""
    sex: Annotated[str | None, tyro.conf.arg(metavar="SEX", help_behavior_hint="(default: unknown)")] = None
    """female, male, or a number from 0 (male) to 1."""
    age: Annotated[float | None, tyro.conf.arg(metavar="YEARS", help_behavior_hint="(default: unknown)")] = None
    """How old the people are."""
    age_group: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: unknown)")] = None
    """infant, child, teen, adult or elder, if the age is not known."""
    weight: Annotated[float | None, tyro.conf.arg(metavar="KG", help_behavior_hint="(default: unknown)")] = None
    """How heavy the people are."""
    facts: Annotated[Path | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """The same of each person, in place of all that: a list of sex, age, height, weight and box (for one picture)."""
    same_person: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """All pictures show one person, whose shape is found from all of them."""
    keypoints: Annotated[Path | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """2D joints that you know better: OpenPose, COCO or nbf's own JSON (for one picture)."""
    parts: Annotated[Path | None, tyro.conf.arg(metavar="PNG", help_behavior_hint="")] = None
    """A part map to believe instead of the predicted one, such as a repainted walk_parts.png (for one picture)."""

    @property
    def told(self) -> dict[str, Any]:
        """What is said of everybody, by the names of `Known`."""
        values = {name: getattr(self, name) for name in ("height", "sex", "age", "age_group", "weight")}
        return {name: value for name, value in values.items() if value is not None}

    def known(self) -> "Known | list[Facts]":
        """What holds for everybody, or for each of some people. Raises InputError where a value is impossible."""
        from nbf.fact_files import read_facts
        from nbf.known import Known

        return Known(**self.told) if self.facts is None else read_facts(self.facts)

    def evidence(self, picture: "Picture") -> dict[str, Any]:
        """Arguments of `Predictor.predict` that depend on the picture. Raises InputError where a file is none."""
        from nbf.proxy.keypoint_files import read_keypoints
        from nbf.proxy.part_files import read_part_map

        size = picture.width, picture.height
        return {
            "focal": self.focal,
            "center": None if self.center is None else parse_center(self.center),
            "keypoints": None if self.keypoints is None else read_keypoints(self.keypoints, *size),
            "parts": None if self.parts is None else read_part_map(self.parts, *size),
        }

    def answers(
        self,
        items: Iterable[T],
        read: Callable[[T], R],
        load: "Callable[[], Predictor]",
        ask: "Callable[[Predictor, T, R], People]",
    ) -> "Iterator[People | NbfError]":
        """The people of each item, or why there are none: one bad file stops nobody. With `same_person` they share
        a shape.

        Networks are loaded once something was read: mistakes in names answer at once. Raises what `load` raises.
        """
        loaded: list[Predictor] = []

        def one(item: T) -> "People | NbfError":
            try:
                value = read(item)
            except NbfError as error:
                return error
            if not loaded:
                with uncollected():
                    loaded.append(load())
            try:
                return ask(loaded[0], item, value)
            except NbfError as error:
                return error

        if not self.same_person:
            yield from map(one, items)
            return
        alone = [one(item) for item in items]
        people = [some for some in alone if not isinstance(some, NbfError)]
        shared = iter(loaded[0].share_shape(people, self.known()) if loaded else ())
        yield from (some if isinstance(some, NbfError) else next(shared) for some in alone)

    def check_values(self) -> None:
        """Raises UsageError where a value is impossible."""
        with understanding():
            for name, value in self.told.items():
                if name == "age_group":
                    check_age_group(value)
                else:
                    checked_fact(name, value)
            if self.facts is not None and self.told:
                raise UsageError(f"--facts: expected none of --{', --'.join(self.told)} beside it, which it has itself")
            if self.focal is not None:
                parse_focal(self.focal)
            if self.center is not None:
                parse_center(self.center)

    def check_files(self, pictures: int) -> None:
        """Raises UsageError where a file is none, or is beside several pictures."""
        from nbf.pictures import check_file

        files = {"--keypoints": self.keypoints, "--parts": self.parts, "--facts": self.facts}
        for option, value in files.items():
            if value is not None and pictures != 1:
                raise UsageError(f"{option}: expected one picture beside it, got {pictures}; run them one by one")
            if value is not None:
                with understanding():
                    check_file(value)
