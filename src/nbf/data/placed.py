"""Bodies of data sets, from the world that they are posed in to the camera that sees them."""

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel, turn_about_origin
from nbf.data.labelled import BodyLabel
from nbf.geometry.rotations import matrix_from_axis_angle


def in_camera(label: BodyLabel, body: BodyModel) -> tuple[Float[Tensor, "24 3 3"], Float[Tensor, " 3"] | None]:
    """Rotations and translation with which a body stands before the camera as its label says.

    The root turns about the pelvis J0, which is not the origin. So with x = R0 (v - J0) + J0 + t for a point v of the
    body, and R x + s in the camera's frame, the root's rotation becomes R R0, and the translation R (J0 + t) + s - J0.

    Args:
        label: the body, in its world.
        body: the model that the label means, of that gender. Shape components that it lacks are left out.

    Returns:
        What `BodyModel.forward` takes; no translation where the label has none.
    """
    betas = torch.zeros(body.shape_count)
    given = torch.from_numpy(label.betas)[: body.shape_count]
    betas[: len(given)] = given
    pelvis = body.rest_joints(betas)[0]
    shift = torch.zeros(3)
    if label.translation is not None:
        shift = torch.from_numpy(label.translation)
    elif label.pelvis is not None:
        shift = torch.from_numpy(label.pelvis) - pelvis
    camera = torch.from_numpy(label.camera_from_world).float()
    local = matrix_from_axis_angle(torch.from_numpy(label.pose))
    rotations, translation = turn_about_origin(camera[:, :3], pelvis, local, shift)
    known = label.translation is not None or label.pelvis is not None
    return rotations, translation + camera[:, 3] if known else None
