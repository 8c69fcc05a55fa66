from pathlib import Path

import pytest

from nbf.cli import evaluate
from nbf.errors import DataError, InputError, ModelFileError
from nbf.nets.locator import Locator
from nbf.nets.weights import save_network


@pytest.mark.parametrize("arguments", [["--n", "0"], ["--data", "real", "--proxy", "true-parts"]])
def test_contradictions_say_what_to_do(arguments: list[str]):
    with pytest.raises(InputError, match=r"--n|--data synthetic"):
        evaluate.main(arguments)


def test_real_photos_need_the_shared_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("NBF_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="NBF_SHARED"):
        evaluate.main(["--data", "real"])


def test_weights_of_another_network_are_refused(tmp_path: Path):
    path = save_network(Locator(), tmp_path / "locator.safetensors", {})
    with pytest.raises(ModelFileError, match="expected weights of a Fitter"):
        evaluate.main(["--proxy", "true-parts", "--fitter", str(path)])
