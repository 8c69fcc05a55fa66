"""The body model alone: shape and pose in, vertices and joints out, differentiable, no networks.

python examples/06_body_model.py
"""

import math

import torch

import nbf
from nbf.body.joints import SMPL24
from nbf.body.measure import height, mass
from nbf.geometry import matrix_from_axis_angle

body = nbf.load_body("anny24", detail="small")  # 1,164 vertices; "full" has 12,488; or the path of your SMPL file

# Shape: betas are standard deviations. These are two people of the population that the model was made from.
betas = body.shape_samples[:2]
rest = body.rest_vertices(betas)  # (2, V, 3) metres, in T-pose: y up, facing +z
for index in range(2):
    tall, heavy = float(height(rest[index])), float(mass(rest[index], body.faces))
    print(f"person {index}: {tall:.2f} m, {heavy:.0f} kg")

# Pose: 24 rotations, each relative to the parent joint. All stay in T-pose but for the left elbow: a quarter turn about
# the vertical axis brings the forearm to the front.
vectors = torch.zeros(2, 24, 3)
vectors[:, SMPL24.index("left_elbow"), 1] = -math.pi / 2
output = body(betas, matrix_from_axis_angle(vectors), torch.zeros(2, 3))
elbow, wrist = (output.joints[0, SMPL24.index(name)] for name in ("left_elbow", "left_wrist"))
forward = float(torch.nn.functional.normalize(wrist - elbow, dim=0)[2])
print(f"left forearm of person 0: {100 * forward:.0f} % of its length points forward")

# Everything has gradients: which betas make person 0 two metres tall? Newton's method on one number.
for _ in range(5):
    wanted = betas[0].clone().requires_grad_()
    missing = 2.0 - height(body.rest_vertices(wanted))
    (slope,) = torch.autograd.grad(-missing, wanted)
    betas = torch.cat([(wanted + missing * slope / slope.square().sum()).detach()[None], betas[1:]])
print(f"person 0 stretched: {float(height(body.rest_vertices(betas[0]))):.3f} m")
