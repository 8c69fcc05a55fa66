"""Neural Body Fitting: one photo in, full 3D human body meshes out.

    import nbf
    people = nbf.load().predict("photo.jpg")
    people[0].export("body.glb")

The names below load on first use, so that `import nbf` costs milliseconds and a small tool that needs only the body
model does not pay for the networks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbf.body.files import load_body
    from nbf.body.model import BodyModel
    from nbf.certainty import Certainty
    from nbf.corrections import Correction
    from nbf.errors import DataError, InputError, ModelFileError, NbfError
    from nbf.export.npz import load_people
    from nbf.geometry.camera import Camera
    from nbf.known import Facts, Known
    from nbf.people import People, Person
    from nbf.pictures import Picture
    from nbf.predictor import Predictor, load
    from nbf.proxy.keypoint_files import read_keypoints

__version__ = "0.1.0"

_HOME = {
    "BodyModel": "nbf.body.model",
    "Camera": "nbf.geometry.camera",
    "Certainty": "nbf.certainty",
    "Correction": "nbf.corrections",
    "DataError": "nbf.errors",
    "Facts": "nbf.known",
    "InputError": "nbf.errors",
    "Known": "nbf.known",
    "ModelFileError": "nbf.errors",
    "NbfError": "nbf.errors",
    "People": "nbf.people",
    "Person": "nbf.people",
    "Picture": "nbf.pictures",
    "Predictor": "nbf.predictor",
    "load": "nbf.predictor",
    "load_body": "nbf.body.files",
    "load_people": "nbf.export.npz",
    "read_keypoints": "nbf.proxy.keypoint_files",
}

__all__ = [
    "BodyModel",
    "Camera",
    "Certainty",
    "Correction",
    "DataError",
    "Facts",
    "InputError",
    "Known",
    "ModelFileError",
    "NbfError",
    "People",
    "Person",
    "Picture",
    "Predictor",
    "__version__",
    "load",
    "load_body",
    "load_people",
    "read_keypoints",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nbf' has no attribute {name!r}; public names: {', '.join(__all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
