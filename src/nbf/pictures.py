"""Everything a user may call a picture -> one upright RGB array.

Files, folders and globs, numpy arrays, PIL images and torch tensors all end as a `Picture`. Whatever is wrong with one
is said here, once, as an `InputError` that names the picture and the remedy; the rest of the library trusts its pixels.
"""

import glob
import io
import math
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps

from nbf.arguments import first_line, is_masked, number, shown
from nbf.arguments import path as checked_path
from nbf.errors import InputError
from nbf.files import real_path, written_names
from nbf.limits import FOCAL_35MM

PictureLike: TypeAlias = Any
"""A path (str or Path), a numpy array, a PIL image or a torch tensor; see `read_picture`."""

PATHS = (str, bytes, os.PathLike)
"""What is a path and no picture."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".jp2", ".avif"}
)
"""What a folder is searched for. A file named outright is opened whatever its suffix."""

FILMS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"})
"""Suffixes of what `nbf.film` reads."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF")
"""What is read, by Pillow's names and as far as this Pillow can (HEIF once pillow-heif is registered). Some of what it
could read besides are programs: for EPS it starts Ghostscript, whatever the file is called."""

MIN_SIDE = 16
"""Pixels. Below this there is nothing for a network to see (its finest map has one cell for 4 crop pixels)."""

MAX_PIXELS = 80_000_000
"""Pictures are decoded to 3 bytes a pixel, so this bounds one picture to 240 MB; larger ones are bombs or scans."""

_MOST_READS = 50_000
"""How often a file is read from until its size is known: some headers go on for as long as the file does, and parsers
take them byte by byte (3 seconds a megabyte). Those of photos take a few hundred."""

# Pixels that are copied at once.
_BAND = 1 << 20

_OTHERS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
"""What paths may lead to besides files."""

DIAGONAL_35MM = math.hypot(36.0, 24.0)
"""Millimetres: diagonal of the frame that a "35 mm equivalent" focal length refers to (CIPA DCG-001)."""

_UNITS = {2.0: 25.4, 3.0: 10.0, 4.0: 1.0, 5.0: 0.001}
"""Millimetres of EXIF's units of resolution: inch, centimetre; and what is in no standard, millimetre, micrometre."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture.

    Attributes:
        pixels: (height, width, 3) RGB.
        name: what the user knows it by: its path, or "array", "image", "tensor".
        focal: focal length in pixels by the camera's own record (EXIF), None where there is none.
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    name: str
    focal: float | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        right = isinstance(pixels, np.ndarray) and pixels.ndim == 3 and pixels.shape[2] == 3
        if not right or pixels.dtype != np.uint8 or is_masked(pixels):
            raise InputError(f"pixels: expected a numpy array (height, width, 3) of uint8, got {shown(pixels)}")
        # Torch reads no array that runs backwards.
        object.__setattr__(self, "pixels", np.ascontiguousarray(pixels))
        if self.focal is not None and not 0 < number(self.focal) < math.inf:
            raise InputError(f"focal: expected a positive number of pixels, got {shown(self.focal)}")

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]


def read_picture(source: PictureLike) -> Picture:
    """Any kind of picture -> upright RGB.

    Args:
        source: a path (str, bytes or os.PathLike); a PIL image; a numpy array (height, width), (height, width, 1 | 3 |
            4) of uint8 or uint16; or a torch tensor (1 | 3 | 4, height, width), uint8 or floating point in [0, 1]. Four
            channels are RGB and opacity; what is transparent becomes white.

    Raises:
        InputError: the file is missing, damaged, too small, too large or not a picture.
    """
    if isinstance(source, Picture):
        check_size(source.width, source.height, source.name)
        return source
    if isinstance(source, PATHS):
        return _read_file(checked_path(source, "picture"))
    if isinstance(source, Image.Image):
        return _from_image(source)
    if isinstance(source, np.ndarray):
        return _from_array(source, "array")
    if is_tensor(source):
        return _from_tensor(source)
    raise InputError(
        f"picture: expected a path, a numpy array, a PIL image or a torch tensor, got {type(source).__name__}; "
        "for several pictures call predict_many"
    )


def is_one_picture(source: Any) -> bool:
    """Whether it is a path or a picture, not several of them."""
    if isinstance(source, np.ndarray) or is_tensor(source):
        return source.ndim in (2, 3)
    return isinstance(source, (*PATHS, Image.Image, Picture))


def is_tensor(source: Any) -> bool:
    """Whether it is a tensor of torch, which is not imported to find out."""
    return "torch" in sys.modules and isinstance(source, sys.modules["torch"].Tensor)


def read_stream(file: io.RawIOBase | io.BytesIO, name: str, most: int = MAX_PIXELS) -> Picture:
    """An open file with a picture of at most so many pixels -> upright RGB.

    Raises:
        InputError: it is damaged, too small, too large or not a picture.
    """
    patient = _Patient(file)
    try:
        with _opened(patient) as image:
            patient.left = None
            check_size(image.width, image.height, name, most)
            return _from_pil(image, name)
    except InputError:
        raise
    except _EndlessError:
        raise InputError(
            f"{name}: the picture is damaged (its header does not end); get a fresh copy, or open and save it again"
        ) from None
    # The warning, for those who let warnings be errors.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name, "far over", most) from None
    except Image.UnidentifiedImageError:
        size = file.seek(0, io.SEEK_END)
        what = "the file is empty" if size == 0 else f"its {size} bytes are not a picture in a known format"
        raise InputError(
            f"{name}: {what}; expected a JPEG, PNG, WebP, TIFF, BMP or GIF file (convert others, such as HEIC, to JPEG)"
        ) from None
    # Decoders of damaged files raise whatever their parsers happen to meet (OSError, SyntaxError, struct.error,
    # EOFError, zlib.error ...), and one such file must not end a batch.
    except Exception as error:
        raise InputError(
            f"{name}: the picture is damaged or cut short ({error}); get a fresh copy, or open and save it again"
        ) from error


def find_photos(patterns: Iterable[str | Path], *, recursive: bool = False) -> list[Path]:
    """Files, folders and globs -> the picture files they mean, in order, each once.

    A folder gives the pictures directly in it, sorted; `recursive`, also those in the folders below, but for hidden
    ones and links. What runs of ours wrote is no photo there, nor for a pattern; named outright it is. What matches
    nothing or cannot be looked at stays in the list as it is, so that reading it reports the mistake beside the
    pictures that are fine.
    """
    written = cache(written_names)
    found: dict[str, Path] = {}
    for pattern in patterns:
        path = _at_home(Path(pattern))
        if os.path.isdir(path):
            hits = _pictures_in(path, recursive=recursive)
        elif os.path.lexists(path) or not glob.has_magic(str(path)) or "\0" in str(path):
            hits = []
        else:
            hits = [hit for hit in map(Path, sorted(set(_globbed(str(path))))) if _may_be_file(hit)]
        for match in [hit for hit in hits if hit.name not in written(hit.parent)] or [path]:
            found.setdefault(real_path(match), match)
    return list(found.values())


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of that name
        return path


def _pictures_in(folder: Path, *, recursive: bool) -> list[Path]:
    """Files with suffixes of pictures, and folders that cannot be listed."""
    closed: list[Path] = []
    found: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        paths = (Path(here) / name for name in sorted(names))
        found += [path for path in paths if path.suffix.lower() in SUFFIXES and _may_be_file(path)]
    return found + closed


def _globbed(pattern: str) -> Iterator[str]:
    """As `glob.iglob(pattern, recursive=True)`, but for links to folders: two that lead upwards would keep it busy for
    ever."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index("**")
    base, rest = str(Path(*parts[:at])), parts[at + 1 :] or ("*",)
    for top in glob.iglob(base) if glob.has_magic(base) else [base]:
        for here, folders, _ in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from _globbed(str(Path(glob.escape(here), *rest)))


def _may_be_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nowhere, say; reading it will tell
        return True


def name_of(path: Path) -> str:
    """What a user knows a path by: itself, or the URL that was given for one, which has two slashes where paths keep
    one."""
    url = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/(?=[^/])", path.as_posix())
    if url is None or os.path.lexists(path):
        return str(path)
    return f"{url[0]}{'//' if url[0] == 'file:/' else '/'}{path.as_posix()[url.end() :]}"


def check_file(path: Path) -> None:
    """Raises InputError where a path leads to no file: to nothing, to a folder, or to what may never end."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if (name := name_of(path)) != str(path):
            raise InputError(f"{name}: expected a file, got a URL; download it first and give the file") from None
        what = "no file matches this pattern" if glob.has_magic(str(path)) else "no such file"
        raise InputError(f"{path}: {what}; check the spelling and the folder you are in") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to look into its folder; change that, or copy the file") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be opened ({why}); check the name and where its links lead") from None
    if kind in _OTHERS:
        raise InputError(f"{path}: expected a file, got {_OTHERS[kind]}; copy what you mean to a file and give that")


def _read_file(path: Path) -> Picture:
    if os.path.isdir(path):
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"{path}: no permission to look into this folder; change that, or copy the pictures")
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(
            f"{path}: a folder without pictures ({kinds}); for deeper folders give a pattern: '{path}/**/*'"
        )
    check_file(path)
    if path.suffix.lower() in FILMS:
        raise InputError(f"{path}: expected a picture, got a film; follow people in it with: nbf video {path}")
    try:
        file = path.open("rb", buffering=0)
    except PermissionError:
        raise InputError(f"{path}: no permission to read this file; change its permissions or copy it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); get a fresh copy") from None
    with file:
        return read_stream(file, str(path))


class _EndlessError(Exception):
    """A file was read from too often."""


class _Patient(io.BufferedReader):
    """A file that lets itself be read from so many times; without end once `left` is None."""

    left: int | None = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise _EndlessError
        return super().read(size)


def _opened(file: _Patient) -> Image.Image:
    """Not decoded yet. The most usual formats first: making Pillow ready for the others takes as long as a photo."""
    Image.preinit()
    try:
        return Image.open(file, formats=_ready())
    except Image.UnidentifiedImageError:
        Image.init()
        return Image.open(file, formats=_ready())


def _ready() -> list[str]:
    return [kind for kind in FORMATS if kind in Image.OPEN]


def _from_image(image: Image.Image) -> Picture:
    name = str(getattr(image, "filename", "") or "image")
    try:
        return _from_pil(image, name)
    except InputError:
        raise
    # Files are decoded only now, perhaps after they were closed; for what is raised then see `read_stream`.
    except Exception as error:
        raise InputError(f"{name}: cannot be decoded ({error}); pass an image that is open and whole") from error


def _from_pil(image: Image.Image, name: str) -> Picture:
    check_size(image.width, image.height, name)
    exif = image.getexif()
    focal = _focal_pixels(exif.get_ifd(ExifTags.IFD.Exif), image.size)
    # Pillow copies pictures where there is nothing to be done, too.
    image.load()
    if exif.get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        pixels = _sixteen_to_eight(np.asarray(image))
        return Picture(np.repeat(pixels[..., None], 3, axis=-1), name, focal)
    if image.mode == "F":
        raise InputError(f"{name}: floating-point picture (mode F); save it with 8 or 16 bits a channel")
    if image.mode in ("LAB", "La"):
        raise InputError(f"{name}: a picture of mode {image.mode}, which Pillow turns into no other; save it as RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return Picture(_pixels(image if image.mode == "RGB" else image.convert("RGB")), name, focal)


def _pixels(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of an RGB picture, which outlives its file: by and by, as Pillow makes two others of what it hands out."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        low = min(top + rows, image.height)
        pixels[top:low] = np.asarray(image.crop((0, top, image.width, low)))
    return pixels


def _from_array(array: np.ndarray, name: str) -> Picture:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3):
            hint = "; move the channels last: array.transpose(1, 2, 0)"
        elif array.ndim == 4:
            hint = "; for several pictures call predict_many"
        raise InputError(
            f"{name}: expected shape (height, width, 1 | 3 | 4) or (height, width), got {array.shape}{hint}"
        )
    # Before anything is copied: broadcasting makes endless arrays of nothing.
    check_size(array.shape[1], array.shape[0], name)
    if is_masked(array):
        raise InputError(f"{name}: some pixels are masked; say what colour they have: array.filled(255) is white")
    if array.dtype not in (np.uint8, np.uint16, np.dtype(np.uint16).newbyteorder()):
        raise InputError(
            f"{name}: expected uint8 values 0..255, got {array.dtype}; convert: (array * 255).round().astype('uint8') "
            "if its values lie in [0, 1], array.astype('uint8') if in 0..255"
        )
    # Kinds of array have rules of their own: a third axis crashes np.matrix.
    array = np.asarray(array)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8:
        array = _sixteen_to_eight(array)
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    elif array.shape[-1] == 4:
        opacity = array[..., 3:].astype(np.float32) / 255
        array = (array[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)
    # A copy: the result stays what it was when the caller goes on using the array.
    return Picture(array.copy(order="C"), name)


def _from_tensor(tensor: Any) -> Picture:
    try:
        shape = tuple(tensor.shape)
        if len(shape) != 3 or shape[0] not in (1, 3, 4):
            hint = "; for several pictures call predict_many" if len(shape) == 4 else ""
            raise InputError(f"tensor: expected shape (1 | 3 | 4, height, width), got {shape}{hint}")
        check_size(shape[2], shape[1], "tensor")
        values = tensor.detach().cpu()
        array = (values.float() if values.is_floating_point() else values).numpy()
    except InputError:
        raise
    # Tensors without plain values (sparse, nested, quantised, meta, on a device that is gone) raise whatever they do.
    except Exception as error:
        raise InputError(
            f"tensor: expected a dense tensor with values, got {shown(tensor)} that has none to read "
            f"({first_line(error)}); try to_dense(), dequantize() or clone()"
        ) from error
    if array.dtype == np.float32:
        if not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):
            raise InputError(
                f"tensor: expected floating-point values in [0, 1], got {array.min():.3g} .. {array.max():.3g}; "
                "undo any mean and standard deviation, or pass uint8"
            )
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return _from_array(array.transpose(1, 2, 0), "tensor")


def check_size(width: int, height: int, name: str, most: int = MAX_PIXELS) -> None:
    """Raises InputError where pictures of so many pixels are too small or too large."""
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{name}: {width} x {height} pixels, too small; expected at least {MIN_SIDE} pixels a side")
    if width * height > most:
        raise _too_large(name, f"{width} x {height} = {width * height / 1e6:.0f} megapixels, over", most)


def _sixteen_to_eight(values: np.ndarray) -> np.ndarray:
    """16-bit values (also in 32-bit containers, as Pillow's mode I) -> uint8, full range to full range."""
    return (values.astype(np.float32).clip(0, 65535) / 257).round().astype(np.uint8)


def _focal_pixels(exif: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    """What EXIF says of the lens -> pixels; None where that is nothing, or nonsense, which files hold as well.

    The 35 mm equivalent by equal diagonals; else the lens's own length in pixels of the sensor (FocalPlaneXResolution,
    Exif 2.3, section 4.6.5), of which the picture had so many a side before it was resized.
    """
    diagonal = math.hypot(*size)
    told = _exif_number(exif, ExifTags.Base.FocalLengthIn35mmFilm)
    if _is_lens(told):
        return told * diagonal / DIAGONAL_35MM
    millimetres = _UNITS.get(_exif_number(exif, ExifTags.Base.FocalPlaneResolutionUnit, 2.0), math.nan)
    per_mm = _exif_number(exif, ExifTags.Base.FocalPlaneXResolution) / millimetres
    taken = math.hypot(
        *(_exif_number(exif, tag) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight))
    )
    pixels = _exif_number(exif, ExifTags.Base.FocalLength) * per_mm * (diagonal / taken if taken > 0 else 1.0)
    return pixels if _is_lens(pixels / diagonal * DIAGONAL_35MM) else None


def _is_lens(focal_35mm: float) -> bool:
    return FOCAL_35MM[0] <= focal_35mm <= FOCAL_35MM[1]


def _exif_number(exif: Mapping[int, Any], tag: int, otherwise: float = math.nan) -> float:
    """A tag's number, `otherwise` where there is no such tag, nan where it is no number."""
    try:
        return float(exif.get(tag, otherwise))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return math.nan


def _too_large(name: str, how: str, most: int) -> InputError:
    return InputError(
        f"{name}: {how} the limit of {most / 1e6:g} megapixels; make it smaller first (a few megapixels are plenty)"
    )
