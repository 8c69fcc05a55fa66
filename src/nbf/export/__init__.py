"""Bodies -> files of other programs. Writers take plain tensors, not `Person`s, so that anything can be exported.

Mesh files (GLB, OBJ, PLY) are y up, in metres, with the camera at the origin looking along -z: the OpenCV camera frame
turned half a turn about x. NPZ keeps the OpenCV camera frame, as SMPL tools for pictures do. Every file appears whole
or not at all.
"""

from nbf.export.gltf import write_glb
from nbf.export.mesh import write_obj, write_ply
from nbf.export.npz import write_npz
from nbf.files import replacing

__all__ = ["replacing", "write_glb", "write_npz", "write_obj", "write_ply"]
