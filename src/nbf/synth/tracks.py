"""The two kinds of pictures that people are drawn in: the tracks of the benchmark, and what training may draw from."""

from typing import Literal, get_args

from nbf.synth.room import Room
from nbf.synth.sampler import SamplerConfig
from nbf.synth.view import ViewConfig

Track = Literal["studio", "wild"]
TRACKS: tuple[Track, ...] = get_args(Track)
CONFIGS: dict[Track, SamplerConfig] = {
    "studio": SamplerConfig(
        view=ViewConfig(elevation_deg=0.0, roll_deg=0.0, zoom=(0.97, 1.1), shift=0.015, truncated=0.0),
        bystanders=0.0,
        occluded=0.0,
        room=Room(),
    ),
    "wild": SamplerConfig(),
}
"""studio: one level camera in a plain room, one person, fully seen. wild: free views, photos behind, bystanders, things
in front and pictures that end inside the person."""
