"""The public names are a promise: adding or removing one is a decision, taken here as well."""

import importlib
import subprocess
import sys
from textwrap import dedent

import pytest

import nbf
from nbf import errors

PUBLIC = {
    "BodyModel",
    "Camera",
    "Certainty",
    "Correction",
    "DataError",
    "Facts",
    "Known",
    "InputError",
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
}


def test_public_names_are_the_promised_ones():
    assert set(nbf.__all__) == PUBLIC
    assert dir(nbf) == sorted(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_loads_and_is_documented(name: str):
    value = getattr(nbf, name)
    assert value.__doc__
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="load_body"):
        _ = nbf.fit_everything


def test_import_stays_light():
    code = "import sys, nbf; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_predicting_loads_no_compiler():
    # torch._dynamo costs more than a second, and comes with whatever decorates a function for torch.compile; sympy half
    # a second, with some operations on tensors without numbers, of which networks are made before they are read.
    code = """
        import sys, nbf
        networks = nbf.load().networks
        sys.exit(bool({'torch._dynamo', 'sympy', 'scipy', 'tyro', 'rich'} & {*sys.modules} or 'hmr' in vars(networks)))
    """
    assert subprocess.run([sys.executable, "-c", dedent(code)], check=False).returncode == 0


def test_errors_form_one_tree():
    for name in ("InputError", "ModelFileError", "DataError"):
        kind = getattr(errors, name)
        assert issubclass(kind, errors.NbfError)
        assert name in (errors.__doc__ or "")
