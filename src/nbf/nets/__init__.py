"""The three networks: who is where (locator), which pixel is which part (segmenter), which body that is (fitter)."""

from nbf.nets.fitter import Fitter
from nbf.nets.locator import Locator, LocatorOutput
from nbf.nets.mean_body import FitterOutput
from nbf.nets.segmenter import Segmenter, SegmenterOutput
from nbf.nets.weights import load_network, save_network

__all__ = [
    "Fitter",
    "FitterOutput",
    "Locator",
    "LocatorOutput",
    "Segmenter",
    "SegmenterOutput",
    "load_network",
    "save_network",
]
