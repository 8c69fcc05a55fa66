"""Turntables as GIF, which everything shows, and MP4 (H.264), which is smaller and smoother."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from nbf.errors import InputError
from nbf.files import replacing
from nbf.motion import Motion

if TYPE_CHECKING:
    from nbf.render.turntable import Turntable

# Height of the frames, pixels, and frames a second: GIF has hundredths of a second, and no compression to speak of.
_GIF_HEIGHT, _GIF_RATE, _MP4_HEIGHT, _MP4_RATE = 480, 12.5, 540, 25
# Views that a GIF's colours are chosen from.
_VIEWS = 4
# Constant rate factor of x264: 18 looks like the original, each 6 more halve the size.
_QUALITY = "20"


def write_turntable(path: str | Path, motions: Sequence[Motion]) -> None:
    """Write people turned around once (those who move: all along), as .gif or .mp4 by the suffix.

    Args:
        path: the file.
        motions: at least one; of one body model, in the frame of one camera.

    Raises:
        InputError: MP4 without the package PyAV (the extra `video`).
    """
    # Here and not above: of those who export, few draw.
    from nbf.render.turntable import Turntable

    if Path(path).suffix.lower() == ".gif":
        _write_gif(path, Turntable(motions, _GIF_HEIGHT, _GIF_RATE))
    else:
        _write_mp4(path, Turntable(motions, _MP4_HEIGHT, _MP4_RATE))


def _write_gif(path: str | Path, table: "Turntable") -> None:
    # One palette for all: colours that stay between frames need not be written again.
    width, height = table.size
    views = Image.new("RGB", (_VIEWS * width, height))
    for view in range(_VIEWS):
        views.paste(table.draw(view * len(table) // _VIEWS), (view * width, 0))
    palette = views.quantize(255)
    first, *others = (
        table.draw(index).quantize(palette=palette, dither=Image.Dither.NONE) for index in range(len(table))
    )
    with replacing(path) as draft:
        first.save(draft, save_all=True, append_images=others, duration=round(1000 / _GIF_RATE), loop=0)


def _write_mp4(path: str | Path, table: "Turntable") -> None:
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"{path}: writing MP4 needs PyAV; install it with: pip install 'neural-body-fitting[video]', or write .gif"
        ) from error
    with replacing(path) as draft, av.open(draft, "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream("h264", rate=_MP4_RATE, options={"crf": _QUALITY})
        stream.width, stream.height = table.size
        stream.pix_fmt = "yuv420p"  # what browsers and phones play
        for index in range(len(table)):
            film.mux(stream.encode(av.VideoFrame.from_image(table.draw(index))))
        film.mux(stream.encode())
