"""Bodies -> files of other programs, and back: one module a format, one table of them.

Most files are y up, in metres, with the camera at the origin looking along -z: the OpenCV camera frame turned half a
turn about x; or with people on the ground. NPZ and CSV keep the OpenCV camera frame, as SMPL tools for pictures do.
Every file says its frame, unit, body model and the version of nbf, and appears whole or not at all.
"""

from nbf.export.formats import FORMATS, write

__all__ = ["FORMATS", "write"]
