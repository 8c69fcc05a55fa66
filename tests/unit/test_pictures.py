"""Whatever a user calls a picture becomes upright RGB, or one clear error that names it."""

import io
import os
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from nbf import pictures
from nbf.errors import InputError
from nbf.pictures import find_photos, read_picture


@pytest.fixture
def photo() -> np.ndarray:
    """A picture with four different corners, so that a turn or a flip shows."""
    pixels = np.full((40, 30, 3), 128, np.uint8)
    pixels[:20, :15] = (255, 0, 0)
    pixels[:20, 15:] = (0, 255, 0)
    pixels[20:, :15] = (0, 0, 255)
    return pixels


def test_path_array_pil_and_tensors_agree(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    tensor = torch.from_numpy(photo).permute(2, 0, 1)
    for source in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        photo,
        photo.astype(np.uint16) * 257,
        Image.fromarray(photo),
        tensor,
        tensor.float() / 255,
    ):
        np.testing.assert_array_equal(read_picture(source).pixels, photo)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "RGBA", "LA", "RGB"])
def test_every_pillow_mode_becomes_rgb(photo, mode):
    image = Image.fromarray(photo).convert(mode)
    np.testing.assert_array_equal(read_picture(image).pixels, np.asarray(image.convert("RGB")))


def test_grey_gives_three_equal_channels(photo):
    grey = photo[..., 0]
    for source in (grey, grey[..., None], Image.fromarray(grey), torch.from_numpy(grey)[None]):
        np.testing.assert_array_equal(read_picture(source).pixels, np.repeat(grey[..., None], 3, axis=-1))


def test_transparent_becomes_white(photo):
    rgba = np.concatenate([photo, np.zeros_like(photo[..., :1])], axis=-1)
    rgba[0, 0, 3] = 255
    for source in (rgba, Image.fromarray(rgba), torch.from_numpy(rgba).permute(2, 0, 1)):
        pixels = read_picture(source).pixels
        assert (pixels[0, 0] == photo[0, 0]).all()
        assert (pixels[1:] == 255).all()


def test_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putpixel((3, 4), 0)
    image.save(tmp_path / "p.png", transparency=0)
    pixels = read_picture(tmp_path / "p.png").pixels
    assert tuple(pixels[4, 3]) == (255, 255, 255)
    assert tuple(pixels[0, 0]) == (200, 10, 10)


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    values = np.linspace(0, 65535, 20 * 20).astype(np.uint16).reshape(20, 20)
    Image.fromarray(values).save(tmp_path / "deep.png")
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_picture(tmp_path / "deep.png").pixels[..., 0], expected)


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(1, lambda a: a), (3, lambda a: np.rot90(a, 2)), (6, lambda a: np.rot90(a, 1)), (8, lambda a: np.rot90(a, -1))],
)
def test_exif_orientation_is_honoured(photo, tmp_path, orientation, undo):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(np.ascontiguousarray(undo(photo))).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png").pixels, photo)


@pytest.mark.parametrize(("recorded", "expected"), [(43, 50 * 43 / 43.2666), (0, None), (60000, None)])
def test_focal_length_in_pixels_from_exif(tmp_path, recorded, expected):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = recorded
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    focal = read_picture(tmp_path / "a.jpg").focal
    assert focal == (None if expected is None else pytest.approx(expected, rel=1e-4))


FOCAL_PLANE = {
    ExifTags.Base.FocalLength: 8.0,
    ExifTags.Base.FocalPlaneXResolution: 10.0,
    ExifTags.Base.FocalPlaneResolutionUnit: 4,
}
"""A lens of 8 mm on a sensor of 4 x 3 mm, of whose 40 x 30 pixels there are 10 in a mm."""


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, 80),
        ({ExifTags.Base.FocalLengthIn35mmFilm: 43}, 50 * 43 / 43.2666),
        ({ExifTags.Base.FocalLengthIn35mmFilm: 0}, 80),
        # The standard's own units; inches if nothing is said.
        ({ExifTags.Base.FocalPlaneXResolution: 100, ExifTags.Base.FocalPlaneResolutionUnit: 3}, 80),
        ({ExifTags.Base.FocalPlaneXResolution: 254, ExifTags.Base.FocalPlaneResolutionUnit: 2}, 80),
        ({ExifTags.Base.FocalPlaneXResolution: 254, ExifTags.Base.FocalPlaneResolutionUnit: None}, 80),
        # A picture that was taken twice as large, upright or not, and made smaller.
        ({ExifTags.Base.ExifImageWidth: 80, ExifTags.Base.ExifImageHeight: 60}, 40),
        ({ExifTags.Base.ExifImageWidth: 60, ExifTags.Base.ExifImageHeight: 80}, 40),
        ({ExifTags.Base.ExifImageWidth: 80}, 80),
        ({ExifTags.Base.ExifImageWidth: 0, ExifTags.Base.ExifImageHeight: 0}, 80),
        # Nonsense.
        ({ExifTags.Base.FocalLength: None}, None),
        ({ExifTags.Base.FocalLength: 0}, None),
        ({ExifTags.Base.FocalLength: IFDRational(8, 0)}, None),
        ({ExifTags.Base.FocalLength: "wide"}, None),
        ({ExifTags.Base.FocalPlaneXResolution: None}, None),
        ({ExifTags.Base.FocalPlaneXResolution: IFDRational(0, 0)}, None),
        ({ExifTags.Base.FocalPlaneXResolution: 0.1}, None),
        ({ExifTags.Base.FocalPlaneXResolution: 1e6}, None),
        ({ExifTags.Base.FocalPlaneResolutionUnit: 7}, None),
        ({ExifTags.Base.FocalPlaneResolutionUnit: b"\0\1"}, None),
    ],
)
def test_focal_length_in_pixels_of_the_sensor(tmp_path, tags, expected):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {tag: value for tag, value in (FOCAL_PLANE | tags).items() if value is not None}
    )
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    focal = read_picture(tmp_path / "a.jpg").focal
    assert focal == (None if expected is None else pytest.approx(expected, rel=1e-4))


def _bad_files(folder, photo):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "words.jpg").write_text("this is not a picture")
    (folder / "empty.png").touch()
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("F", (20, 20)).save(folder / "float.tiff")
    Image.fromarray(photo).save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    (folder / "broken.png").write_bytes(whole[:50] + b"\0" * 20 + whole[70:])
    (folder / "folder").mkdir()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.jpg", "no such file"),
        ("*.xyz", "no file matches"),
        ("truncated.jpg", "cut short"),
        ("broken.png", "damaged"),
        ("words.jpg", "not a picture"),
        ("empty.png", "empty"),
        ("dot.png", "too small"),
        ("float.tiff", "8 or 16 bits"),
        ("folder", "without pictures"),
    ],
)
def test_bad_files_name_themselves_and_the_remedy(photo, tmp_path, name, words):
    _bad_files(tmp_path, photo)
    with pytest.raises(InputError, match=words) as caught:
        read_picture(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_bombs_are_refused_before_they_are_decoded(tmp_path, side):
    # One bit a pixel: the file is small, its pixels would not be.
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png.*megapixels.*smaller"):
        read_picture(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((40, 30, 3), np.float32),
        np.zeros((3, 40, 30), np.uint8),
        np.zeros((2, 40, 30, 3), np.uint8),
        np.zeros((0, 30, 3), np.uint8),
        torch.full((3, 40, 30), 255.0),
        torch.full((3, 40, 30), float("nan")),
        torch.zeros(40, 30, 3),
        None,
        7,
        ["a.jpg"],
    ],
)
def test_bad_values_are_refused(value):
    with pytest.raises(InputError):
        read_picture(value)


class Named(os.PathLike):
    """What has a path besides `pathlib`."""

    def __init__(self, path) -> None:
        self.path = path

    def __fspath__(self):
        return self.path


def test_paths_of_all_kinds_are_paths(photo, tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(photo).save(path)
    for kind in (path.encode(), Named(path), Named(path.encode())):
        np.testing.assert_array_equal(read_picture(kind).pixels, photo)
    for none in (Named(7), "", b"", "a\0b.png"):
        with pytest.raises(InputError, match="picture: expected a path"):
            read_picture(none)


def test_arrays_of_all_kinds_are_their_values(photo, tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, photo.shape)
    mapped[:] = photo
    locked = photo.copy()
    locked.setflags(write=False)
    deep = photo.astype(np.uint16) * 257
    for array in (
        mapped,
        locked,
        np.asfortranarray(photo),
        photo[::-1, ::-1].copy()[::-1, ::-1],
        photo.view(np.recarray),
        np.ma.masked_array(photo),
        deep.astype(">u2"),
        deep.astype("<u2"),
    ):
        pixels = read_picture(array).pixels
        np.testing.assert_array_equal(pixels, photo)
        assert type(pixels) is np.ndarray
        assert pixels.flags.c_contiguous


@pytest.mark.parametrize("deep", [False, True])
def test_matrices_are_grey_pictures(photo, deep):
    """A matrix has two axes whatever one does, and crashes Python when it is given a third."""
    grey = photo[..., 0]
    matrix = (grey.astype(np.uint16) * 257 if deep else grey).view(np.matrix)
    np.testing.assert_array_equal(read_picture(matrix).pixels, np.repeat(grey[..., None], 3, axis=-1))


def test_masks_are_not_left_out(photo):
    with pytest.raises(InputError, match=r"array: some pixels are masked.*array\.filled\(255\)"):
        read_picture(np.ma.masked_array(photo, photo > 200))


@pytest.mark.parametrize("kind", ["?", "i8", "f4", "c8", "M8[s]", "U1", "O", "u1,u1"])
def test_arrays_of_other_values_are_refused(kind):
    with pytest.raises(InputError, match="array: expected uint8 values"):
        read_picture(np.zeros((40, 30), kind))


@pytest.mark.parametrize(
    "source",
    [
        np.broadcast_to(np.uint8(0), (90_000, 90_000, 3)),
        np.broadcast_to(np.float64(0), (90_000, 90_000)),
        np.ma.masked_array(np.broadcast_to(np.uint8(0), (90_000, 90_000, 4))),
        np.broadcast_to(np.uint16(0), (2, 100_000_000)),
        torch.zeros(1).expand(3, 90_000, 90_000),
        torch.zeros(1, dtype=torch.uint8).expand(3, 90_000, 90_000),
    ],
)
def test_too_large_arrays_are_refused_before_they_are_copied(source):
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"megapixels|too small"):
            read_picture(source)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_tensors_of_all_kinds_are_their_values(photo):
    tensor = torch.from_numpy(photo).permute(2, 0, 1)
    for kind in (
        (tensor / 255.0).requires_grad_(),
        torch.nn.Parameter(tensor / 255.0),
        (tensor / 255.0).double(),
        tensor.contiguous().flip(2).flip(2),
        tensor.to(torch.uint16) * 257,
    ):
        np.testing.assert_array_equal(read_picture(kind).pixels, photo)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to("meta"),
        lambda tensor: tensor.to_mkldnn(),
        lambda tensor: torch.quantize_per_tensor(tensor, 0.01, 0, torch.quint8),
        lambda tensor: torch.nested.as_nested_tensor([tensor]),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.to(torch.complex64).conj(),
        lambda tensor: tensor[:, :0],
        lambda tensor: tensor > 0,
    ],
)
def test_tensors_without_plain_values_are_refused(change):
    with pytest.raises(InputError, match=r"tensor: (expected|30 x 0)"):
        read_picture(change(torch.zeros(3, 40, 30)))


@pytest.mark.parametrize("mode", ["HSV", "PA", "RGBX", "RGBa", "I;16", "I;16B", "I;16L"])
def test_rare_pillow_modes_become_rgb(mode):
    assert read_picture(Image.new(mode, (30, 40))).pixels.shape == (40, 30, 3)


@pytest.mark.parametrize("mode", ["LAB", "La", "F"])
def test_pillow_modes_that_nothing_turns_into_rgb_are_refused(mode):
    with pytest.raises(InputError, match=f"image: .*mode {mode}.*save it"):
        read_picture(Image.new(mode, (30, 40)))


def test_images_that_cannot_be_decoded_any_more_are_refused(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    for image, name in ((closed, "a.png"), (Image.open(io.BytesIO(whole[: len(whole) // 2])), "image")):
        with pytest.raises(InputError, match=f"{name}: cannot be decoded .*open and whole"):
            read_picture(image)
    for size in ((0, 0), (0, 40), (30, 0)):
        with pytest.raises(InputError, match="too small"):
            read_picture(Image.new("RGB", size))


def test_pictures_that_are_made_by_hand_are_checked(photo):
    made = pictures.Picture(photo[:, ::-1], "made")
    assert torch.from_numpy(made.pixels).shape == photo.shape
    with pytest.raises(InputError, match="focal: expected a positive number"):
        pictures.Picture(photo, "made", focal=-1.0)
    with pytest.raises(InputError, match="too small"):
        read_picture(pictures.Picture(photo[:8], "made"))


def test_find_photos_takes_files_folders_and_globs_once_each(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", "deep/c.jpeg", "odd[1].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(*patterns):
        return [p.name for p in find_photos(patterns)]

    assert names(tmp_path) == ["a.PNG", "b.jpg", "odd[1].jpg"]
    assert names(tmp_path / "b.jpg", tmp_path) == ["b.jpg", "a.PNG", "odd[1].jpg"]
    assert names(str(tmp_path / "**" / "*.jp*g")) == ["b.jpg", "c.jpeg", "odd[1].jpg"]
    assert names(tmp_path / "odd[1].jpg") == ["odd[1].jpg"]
    assert names(tmp_path / "notes.txt", tmp_path / "gone.jpg") == ["notes.txt", "gone.jpg"]
    assert names(tmp_path / "*.gif") == ["*.gif"]


def test_every_listed_suffix_can_be_read():
    Image.init()
    assert set(Image.registered_extensions()) >= pictures.SUFFIXES


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX", "TGA", "SGI", "PDF", "DDS"])
def test_formats_that_photos_do_not_have_are_not_opened(kind, tmp_path, monkeypatch):
    """Whatever the file is called; above all nothing that another program would have to run."""
    ran = []
    monkeypatch.setattr("subprocess.check_call", lambda *command, **options: ran.append(command))
    monkeypatch.setattr("subprocess.run", lambda *command, **options: ran.append(command))
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), "red").save(path, format=kind)
    with pytest.raises(InputError, match=r"photo\.jpg: its \d+ bytes are not a picture in a known format"):
        read_picture(path)
    assert ran == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_formats_of_photos_are_opened_under_any_name(kind, tmp_path):
    path = tmp_path / "photo.txt"
    Image.new("RGB", (64, 48), "red").save(path, format=kind)
    assert read_picture(path).pixels.shape == (48, 64, 3)


def soon(work: Callable[[], Any]) -> Any:
    """What `work` gives or raises, within 20 seconds: what is tried here used to take for ever."""
    ended: list[Callable[[], Any]] = []

    def run() -> None:
        try:
            value = work()
            ended.append(lambda: value)
        except Exception as error:
            raised = error
            ended.append(lambda: (_ for _ in ()).throw(raised))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert ended, "it hangs"
    return ended[0]()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_may_never_end_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "photo.jpg")
    (tmp_path / "link.png").symlink_to("photo.jpg")
    for path, kind in (("photo.jpg", "a FIFO"), ("link.png", "a FIFO"), ("/dev/zero", "a device")):
        with pytest.raises(InputError, match=f"{path}: expected a file, got {kind}"):
            soon(lambda path=path: read_picture(tmp_path / path))
    # Nobody meant them when naming their folder.
    assert find_photos([tmp_path, tmp_path / "*.jpg"]) == [tmp_path, tmp_path / "*.jpg"]


@pytest.mark.parametrize("start", [b"", b"\xff\xd8", b"P6", b"P6 9 9 255#"])
@pytest.mark.parametrize("fill", [b"\xff", b"\0", b" "])
def test_headers_without_end_are_damaged_pictures(start, fill, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(start + fill * 10_000_000)
    began = time.process_time()
    with pytest.raises(InputError, match=r"photo\.jpg: .*(its header does not end|cut short|not a picture)"):
        read_picture(tmp_path / "photo.jpg")
    assert time.process_time() - began < 4


def test_long_headers_are_read(tmp_path):
    """Text and colour profiles of a megabyte come in hundreds of pieces."""
    info = PngImagePlugin.PngInfo()
    for index in range(2000):
        info.add_text(f"key {index}", "value" * 20)
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png", pnginfo=info)
    Image.new("RGB", (20, 20)).save(tmp_path / "b.jpg", icc_profile=b"x" * 1_000_000)
    Image.new("RGB", (20, 20)).save(tmp_path / "c.gif", comment=b"x" * 1_000_000)
    for name in ("a.png", "b.jpg", "c.gif"):
        assert read_picture(tmp_path / name).pixels.shape == (20, 20, 3)


def test_nobodys_warning_filters_are_touched(tmp_path, monkeypatch):
    """Not even for a moment: another thread would put them back when they no longer are what they were."""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    before, seen = list(warnings.filters), []
    real = Image.open

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(list(warnings.filters) == before)
        return real(*args, **kwargs)

    monkeypatch.setattr(Image, "open", watched)

    def read(name: str) -> None:
        try:
            read_picture(tmp_path / name)
        except InputError:
            assert name == "bomb.png"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, ["a.png", "bomb.png"] * 16))
    assert len(seen) == 32
    assert all(seen)
    assert list(warnings.filters) == before


def test_bombs_are_named_where_warnings_are_errors(tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="megapixels"):
            read_picture(tmp_path / "bomb.png")


ODD = [
    "circle.jpg",
    "dangling.jpg",
    "~nosuchuser/x.jpg",
    "x" * 300 + ".jpg",
    "x" * 300 + "/*.jpg",
    "/".join(["x" * 200] * 30),
    "file/x.jpg",
    "nul\0.jpg",
    "nul\0/**/*.jpg",
    "https://a.org/b.jpg",
    "\udce9.jpg",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_stay_in_the_list_and_say_what_they_are(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("circle.jpg").symlink_to("circle.jpg")
    Path("dangling.jpg").symlink_to("nowhere")
    Path("file").touch()
    Image.new("RGB", (20, 20)).save("a.png")
    (found,) = find_photos([name])
    assert find_photos(["a.png", name, "a.png"]) == [Path("a.png"), found]
    for source in (found, name):
        with pytest.raises(InputError) as caught:
            read_picture(source)
        given = f"picture: expected a path (str or Path), got {name!r}" if "\0" in name else f"{name}: "
        assert str(caught.value).startswith(given)


def test_links_in_a_searched_folder_that_lead_nowhere_are_reported(tmp_path):
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    assert [path.name for path in find_photos([tmp_path])] == ["circle.jpg", "dangling.jpg"]
    assert [path.name for path in find_photos([tmp_path / "*.jpg"])] == ["circle.jpg", "dangling.jpg"]


def test_folders_that_cannot_be_listed_are_reported(tmp_path, monkeypatch):
    """Root may list everything, so they are made up."""
    for name in ("a.jpg", "closed/b.jpg", "open/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    closed = str(tmp_path / "closed")
    scandir = os.scandir

    def refusing(path: Any = ".") -> Any:
        if os.fspath(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != closed)
    assert find_photos([tmp_path], recursive=True) == [tmp_path / name for name in ("a.jpg", "open/c.jpg", "closed")]
    assert find_photos([closed]) == [Path(closed)]
    with pytest.raises(InputError, match="closed: no permission to look into this folder"):
        read_picture(closed)


def test_folders_are_searched_once_whatever_leads_back(tmp_path):
    """Two links upwards in a folder make a tree of 2 ** 40 paths."""
    for name in ("a.jpg", "x/b.jpg", "y/c.JPG", "y/.hidden/d.jpg", ".e/f.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("x/up", "x/too", "y/up", "y/too"):
        (tmp_path / name).symlink_to(tmp_path)
    expected = ["a.jpg", "b.jpg", "c.JPG"]
    assert [path.name for path in soon(lambda: find_photos([tmp_path], recursive=True))] == expected
    assert [path.name for path in soon(lambda: find_photos([tmp_path / "**" / "*.[jJ]*"]))] == expected
    assert [path.name for path in soon(lambda: find_photos([tmp_path / "**"]))] == expected
    assert [path.name for path in soon(lambda: find_photos([tmp_path / "*" / "**" / "b.jpg"]))] == ["b.jpg"]
    assert [path.name for path in find_photos([tmp_path])] == ["a.jpg"]
