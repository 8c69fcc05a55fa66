"""The parametric human body: shape and pose in, vertices and joints out."""
