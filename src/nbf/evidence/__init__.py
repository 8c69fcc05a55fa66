"""Evidence from elsewhere in place of the networks': keypoints of other detectors, part maps painted by hand."""

from nbf.evidence.keypoints import match_boxes, read_keypoints
from nbf.evidence.part_maps import connected_to, part_probabilities, read_part_map, write_part_map

__all__ = ["connected_to", "match_boxes", "part_probabilities", "read_keypoints", "read_part_map", "write_part_map"]
