"""The whole line: picture -> people. `Predictor.predict` reads top to bottom like the diagram in docs/design."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel, BodyOutput
from nbf.errors import InputError, ModelFileError, NbfError
from nbf.geometry import Camera, Crop
from nbf.nets.blocks import for_inference, multiplies_bfloat16
from nbf.nets.fitter import Fitter, FitterOutput, Proxy, body_translation
from nbf.nets.locator import Locator, decode
from nbf.nets.mirror import fit_both_ways, segment_both_ways
from nbf.nets.segmenter import INPUT_SIZE, Segmenter
from nbf.nets.weights import load_network
from nbf.people import PartMap, People, Person
from nbf.sources import Picture, PictureLike, find_photos, read_picture

log = logging.getLogger(__name__)

BODY = "anny24"
"""The body model that the bundled fitter was trained for."""

_BATCH = 16
"""People put through the networks at once; bounds memory on pictures of crowds."""


def load(device: str | torch.device = "cpu") -> "Predictor":
    """The bundled networks and body model, ready to predict.

    Args:
        device: where the networks run; the body model and all results stay on the CPU.

    Raises:
        ModelFileError: a bundled file is missing or damaged.
        InputError: there is no such device.
    """
    locator, segmenter, fitter = (
        _network("locator", Locator),
        _network("segmenter", Segmenter),
        _network("fitter", Fitter),
    )
    return Predictor(locator, segmenter, fitter, load_body(BODY), BODY, device=device)


class Predictor:
    """Finds the people in a picture and fits a body to each. The stages are public, to be timed and used alone."""

    def __init__(
        self,
        locator: Locator,
        segmenter: Segmenter,
        fitter: Fitter,
        body: BodyModel,
        body_name: str,
        *,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = _checked_device(device)
        self.locator = for_inference(locator).to(self.device)
        self.segmenter = for_inference(segmenter).to(self.device)
        self.fitter = for_inference(fitter).to(self.device)
        self.body, self.body_name = body.eval().cpu(), body_name
        # Half the time on CPUs that multiply bfloat16. The fitter stays exact: its rotations show errors, maps do not.
        self._bfloat16 = self.device.type == "cpu" and multiplies_bfloat16(self.device)

    @torch.no_grad()
    def predict(
        self,
        picture: PictureLike,
        *,
        boxes: Any = None,
        max_people: int | None = None,
        focal: float | None = None,
    ) -> People:
        """Everybody in a picture.

        Args:
            picture: a path, a numpy array (height, width, 3) of uint8, a PIL image or a torch tensor (3, height, width)
                in [0, 1]; see `nbf.sources.read_picture`.
            boxes: (n, 4) x0, y0, x1, y1 in pixels of the upright picture, if you know where the people are.
            max_people: keep only so many, the surest first.
            focal: focal length in pixels. Otherwise from EXIF, else the picture's diagonal.

        Raises:
            InputError: the picture or an argument cannot be used; says why and what to do.
        """
        if max_people is not None and max_people < 1:
            raise InputError(f"max_people: expected 1 or more, or None for everybody, got {max_people}")
        picture = read_picture(picture)
        camera = _camera(picture, focal)
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        if boxes is None:
            found, scores = self.locate(image)
        else:
            found = _checked_boxes(boxes, picture)
            scores = torch.ones(len(found))
        found, scores = found[:max_people], scores[:max_people]
        persons: list[Person] = []
        for some, surely in zip(found.split(_BATCH), scores.split(_BATCH), strict=True):
            crops = Crop.from_boxes(some, INPUT_SIZE)
            proxy = self.segment(image, crops)
            fit = self.fit(proxy)
            translation, posed = self.mesh(fit, crops, camera)
            persons += [
                Person(
                    betas=fit.betas[i],
                    rotations=fit.rotations[i],
                    translation=translation[i],
                    camera=camera,
                    box=some[i],
                    score=float(surely[i]),
                    parts=PartMap(proxy.parts[i], Crop(crops.center[i], crops.size[i], crops.resolution)),
                    body=self.body,
                    body_name=self.body_name,
                    posed=BodyOutput(posed.vertices[i], posed.joints[i], posed.transforms[i]),
                    picture=picture,
                )
                for i in range(len(some))
            ]
        log.info("%s: %d people", picture.name, len(persons))
        return People(tuple(persons), picture, camera)

    def predict_many(
        self, pictures: Iterable[str | Path], *, max_people: int | None = None, focal: float | None = None
    ) -> Iterator[tuple[Path, People | NbfError]]:
        """Each picture file with its people, or with the error that says why there are none; one bad file stops nobody.

        Args:
            pictures: files, folders and globs.
            max_people, focal: as in `predict`.
        """
        for path in find_photos(pictures):
            try:
                yield path, self.predict(path, max_people=max_people, focal=focal)
            except NbfError as error:
                yield path, error

    @torch.no_grad()
    def locate(self, image: Tensor) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
        """Boxes (pixels, inside of the picture) and scores, surest first, in a picture (3, h, w) of uint8 or [0, 1]."""
        height, width = image.shape[-2:]
        side = float(max(height, width))
        # The whole picture as one crop: centred in a square, black around.
        whole = Crop(torch.tensor([[width / 2, height / 2]]), torch.tensor([side]), INPUT_SIZE)
        square = self._to_network(whole.sample(image))
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            output = self.locator(square)
        boxes, scores = decode(output)[0]
        corners = whole.to_image(boxes.cpu().reshape(1, -1, 2) * INPUT_SIZE).reshape(-1, 4)
        limit = torch.tensor([width, height, width, height], dtype=torch.float32)
        corners = torch.minimum(corners.clamp_min(0), limit)
        # What lies in the black border only is nobody, and a crop needs an extent.
        real = (corners[:, 2:] - corners[:, :2]).amin(dim=-1) >= 1
        return corners[real], scores.cpu()[real]

    @torch.no_grad()
    def segment(self, image: Tensor, crops: Crop) -> Proxy:
        """Part probabilities and keypoints in each of n crops of a picture (3, h, w), uint8 or [0, 1]."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            proxy = segment_both_ways(self.segmenter, self._to_network(crops.sample(image)))
        return Proxy(*(value.float().cpu() for value in proxy))

    @torch.no_grad()
    def fit(self, proxy: Proxy) -> FitterOutput:
        """Body parameters and crop camera of n people."""
        proxy = Proxy(self._to_network(proxy.parts), proxy.keypoints.to(self.device))
        return FitterOutput(*(value.cpu() for value in fit_both_ways(self.fitter, proxy)))

    @torch.no_grad()
    def mesh(self, fit: FitterOutput, crops: Crop, camera: Camera) -> tuple[Float[Tensor, "n 3"], BodyOutput]:
        """Translations (metres, the picture's camera frame) and posed bodies."""
        translation = body_translation(self.body, fit, crops.camera(camera), crops.resolution)
        return translation, self.body(fit.betas, fit.rotations, translation)

    def _to_network(self, images: Tensor) -> Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)


N = TypeVar("N", Locator, Segmenter, Fitter)


def _network(name: str, kind: type[N]) -> N:
    network = load_network(name)
    if not isinstance(network, kind):
        raise ModelFileError(
            f"{name}: expected a {kind.__name__} in this file, got a {type(network).__name__}; reinstall nbf"
        )
    return network


def _camera(picture: Picture, focal: float | None) -> Camera:
    if focal is not None and not (np.isfinite(focal) and focal > 0):
        raise InputError(f"focal: expected a positive number of pixels, got {focal}")
    default = Camera.default(picture.width, picture.height)
    known = picture.focal if focal is None else focal
    return default if known is None else Camera(torch.tensor(float(known)), default.center)


def _checked_boxes(boxes: Any, picture: Picture) -> Float[Tensor, "n 4"]:
    try:
        values = torch.as_tensor(np.asarray(boxes, dtype=np.float32)).reshape(-1, 4)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"boxes: expected n rows of x0, y0, x1, y1 in pixels, got {boxes!r}") from error
    x0, y0, x1, y1 = values.unbind(-1)
    good = values.isfinite().all(-1) & (x1 > x0) & (y1 > y0)
    good &= (x1 > 0) & (y1 > 0) & (x0 < picture.width) & (y0 < picture.height)
    if not good.all():
        wrong = values[~good][0].tolist()
        raise InputError(
            f"boxes: expected x0 < x1, y0 < y1 in pixels of the picture ({picture.width} x {picture.height}), "
            f"got {wrong}; a box given as x, y, width, height is x, y, x + width, y + height"
        )
    return values


def _checked_device(device: str | torch.device) -> torch.device:
    try:
        checked = torch.device(device)
        torch.empty(0, device=checked)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}); use 'cpu'") from error
    return checked
