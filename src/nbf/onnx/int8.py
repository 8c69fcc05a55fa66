"""Convolutions in int8: a quarter of the file, half the time, and a little less exact."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from nbf.files import replacing
from nbf.onnx.graphs import check_installed

NAMES = "locator", "segmenter"
"""Graphs that are mostly convolutions. Fitter and body answer with rotations and metres, which show every error."""
_KINDS = ["Conv", "Clip", "Relu"]
"""Of nodes: with their activations, whose ranges are what convolutions hand on."""


def quantise(path: Path, images: Float[Tensor, "n 3 h w"]) -> None:
    """Put a graph with int8 convolutions in the place of one with float32, which sees such images.

    Weights are int8 with a scale for each channel, what flows between them uint8 in the range that it has for these
    images (static quantisation: Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference"). Inputs and outputs stay float32.

    Raises:
        InputError: onnx or onnxruntime is not installed.
        OSError: the file cannot be written.
    """
    check_installed("onnx", "onnxruntime")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        """One by one."""

        def __init__(self) -> None:
            self._left: Iterator[Tensor] = iter(images.split(1))

        def get_next(self) -> Any:
            image = next(self._left, None)
            return None if image is None else {"image": np.ascontiguousarray(image.numpy())}

    with replacing(path) as draft, TemporaryDirectory() as folder:
        prepared = Path(folder) / path.name
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            draft,
            Images(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_KINDS,
        )
