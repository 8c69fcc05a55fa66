"""The methods, one line each: what it sees, and how it solves.

| method | sees | solves |
|---|---|---|
| `nbf` | part map and joints | regress, then optimise as far as the networks are to be doubted |
| `nbf-plain` | part map and joints | regress (Omran et al. 2018), and say how sure that is |
| `feedback` | part map and joints | regress, then compare the body drawn with the part map and correct it, in turns |
| `smplify` | joints | optimise from people who stand, priors letting go in stages (Bogo et al. 2016) |
| `smplify-dense` | joints, silhouette, surface | the same, then laid into the silhouette (Lassner et al. 2017) |
| `lifting-ramakrishna` | joints | lift by matching pursuit over a pose basis, fit a body (Ramakrishna et al. 2012) |
| `lifting-akhter` | joints | the same under pose-conditioned joint limits (Akhter & Black 2015) |
| `lifting-zhou` | joints | lift from a convex start, fit a body (Zhou et al. 2016) |
| `hmr` | the picture | regress, correcting the answer twice (Kanazawa et al. 2018) |
| `omran` | part map | regress as the paper did: ResNet-50, 12 parts in colours, one camera (Omran et al. 2018) |
| `pavlakos` | joints and silhouette | regress pose from the one, shape from the other (Pavlakos et al. 2018) |
| `selfsup` | joints and silhouette | regress, then adapt the network to what is seen (Tung et al. 2017) |
"""

from collections.abc import Callable
from typing import cast

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.limits import MethodName, check_method
from nbf.nets.blocks import for_inference
from nbf.nets.omran import Omran
from nbf.networks import Networks
from nbf.proxy.proxy import Rgb
from nbf.proxy.segmented import Segmented
from nbf.proxy.shown import PictureFeatures, joints_and_silhouette, part_colours
from nbf.solve.adapt import Adapt
from nbf.solve.answer import Answer
from nbf.solve.dense import smplify_dense
from nbf.solve.doubted import Doubted
from nbf.solve.feedback import Feedback
from nbf.solve.fit import Method, Solve
from nbf.solve.lifting.akhter import lift_akhter
from nbf.solve.lifting.body import Lifting
from nbf.solve.lifting.ramakrishna import lift_ramakrishna
from nbf.solve.lifting.zhou import lift_zhou
from nbf.solve.optimise import STEPS, Optimise
from nbf.solve.regress import Regress
from nbf.solve.shape import Shaped
from nbf.solve.smplify import smplify
from nbf.solve.together import Together

METHODS: dict[MethodName, Callable[[Networks], Method]] = {
    "nbf": lambda networks: Method(segmented(networks), refined(networks), together(networks)),
    "nbf-plain": lambda networks: Method(segmented(networks), plain(networks)),
    "feedback": lambda networks: Method(segmented(networks), corrected(networks)),
    "smplify": lambda networks: Method(segmented(networks), smplify(networks.body)),
    "smplify-dense": lambda networks: Method(segmented(networks), smplify_dense(networks.body, small(networks))),
    "lifting-ramakrishna": lambda networks: Method(segmented(networks), Lifting(networks.body, lift_ramakrishna)),
    "lifting-akhter": lambda networks: Method(segmented(networks), Lifting(networks.body, lift_akhter)),
    "lifting-zhou": lambda networks: Method(segmented(networks), Lifting(networks.body, lift_zhou)),
    "hmr": lambda networks: Method(Rgb(), Answer(networks.hmr, picture_features(networks), networks.device)),
    "omran": lambda networks: Method(segmented(networks), Answer(omran(networks), part_colours, networks.device)),
    "pavlakos": lambda networks: Method(
        segmented(networks), Answer(networks.pavlakos, joints_and_silhouette, networks.device)
    ),
    "selfsup": lambda networks: Method(segmented(networks), Adapt(networks.regressor, small(networks))),
}

BUNDLED = tuple(name for name in METHODS if name != "omran")
"""Methods whose networks come along."""


def method(name: str, networks: Networks) -> Method:
    """The method of a name. Raises InputError where there is none."""
    check_method(name)
    return METHODS[cast(MethodName, name)](networks)


def segmented(networks: Networks) -> Segmented:
    """Part map and joints, by the segmenter."""
    return Segmented(networks.run.segmenter, networks.device, exact=networks.exact)


def plain(networks: Networks) -> Solve:
    """The fitter's bodies, and how sure they are."""
    return optimised(networks, Doubted(networks.body, networks.doubt), steps=0)


def refined(networks: Networks) -> Solve:
    """The fitter's bodies, refined, with the shapes that this makes likely."""
    doubted = Doubted(networks.body, networks.doubt)
    return Shaped(networks.body, optimised(networks, doubted, steps=STEPS), doubted)


def optimised(networks: Networks, doubted: Doubted, steps: int) -> Optimise:
    """The fitter's bodies after so many steps."""
    return Optimise(networks.body, Regress(networks.run.fitter, networks.device), doubted, steps=steps)


def together(networks: Networks) -> Together:
    """People who were fitted one by one, arranged."""
    return Together(networks.body, small(networks))


def picture_features(networks: Networks) -> PictureFeatures:
    """What the segmenter's trunk makes of a picture."""
    return PictureFeatures(for_inference(networks.segmenter.trunk).to(networks.device), networks.device)


def corrected(networks: Networks) -> Solve:
    """The fitter's bodies, corrected by what their drawing and the part map differ by."""
    regress = Regress(networks.run.fitter, networks.device)
    return Feedback(regress, Doubted(networks.body, networks.doubt), small(networks))


def omran(networks: Networks) -> Omran:
    """The paper's own fitter. Raises InputError where nobody has trained one, or for another body."""
    network = networks.omran
    if network is None:
        raise InputError(
            "method: omran has no bundled weights; train it with `nbf train omran`, then give its folder as weights"
        )
    if network.shapes != networks.body.shape_count:
        raise InputError(
            f"method: expected an omran that was trained for {networks.body_name}, got one of a body with "
            f"{network.shapes} components of shape; train it without --body"
        )
    return network


def small(networks: Networks) -> BodyModel:
    """The body model with few vertices, for what is drawn while solving."""
    return load_body(networks.body_name, "small")
