"""Files of data sets, spoilt in many ways: readers may refuse them as DataError, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nbf.data.kind import DataSet
from nbf.errors import DataError


def damages(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """The bytes cut short, with bytes changed, left out or put in."""
    random = np.random.default_rng(seed)
    yield b""
    for number in range(count):
        spoilt = bytearray(data)
        at = int(random.integers(len(data)))
        match number % 4:
            case 0:
                spoilt = spoilt[:at]
            case 1:
                for place in random.integers(len(data), size=int(random.integers(1, 5))):
                    spoilt[place] = random.integers(256)
            case 2:
                del spoilt[at : at + int(random.integers(1, 9))]
            case _:
                spoilt[at:at] = random.bytes(int(random.integers(1, 9)))
        yield bytes(spoilt)


def read_all(data_set: DataSet, folder: Path, split: str) -> int:
    """Reads all that a split has, and says how many people."""
    people = 0
    for picture in data_set.open(folder, split):
        picture.pixels()
        people += len(picture.people)
        for labels in picture.maps:
            labels.read()
    return people


def survives(data_set: DataSet, folder: Path, split: str, files: list[Path], count: int) -> int:
    """Spoils each of the files in turn and reads all; says how often that was refused, in words that name the folder.

    Raises what the readers raise, other than DataError.
    """
    refused: list[str] = []
    for file in files:
        data = file.read_bytes()
        for spoilt in damages(data, count):
            file.write_bytes(spoilt)
            try:
                read_all(data_set, folder, split)
            except DataError as error:
                refused.append(str(error))
        file.write_bytes(data)
    return sum(str(folder) in message for message in refused)
