"""Lifting: joints seen in 2D to joints in 3D over a sparse basis of poses, three ways, and a body that has them."""
