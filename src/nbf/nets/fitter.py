"""The fitter: what the segmenter saw of a person -> the body's shape, pose and place in the crop."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.body.joints import PARENTS
from nbf.nets.blocks import ConvNorm, MergeUp, ResidualBlock
from nbf.nets.mean_body import JOINTS, FitterOutput, MeanBody

PARTS, KEYPOINTS = 25, 17
INPUT_SIZE = 64
# Numbers of parameters that `part_moments` gives a part, and `bone_features` a bone.
MOMENTS, BONE = 7, 5
# Half crop sides that a joint moves by when the perceptron says 1.
MOVE = 0.2
# Added to squared lengths of bones, half crop sides: those that point at the camera have a direction, too.
BONE_FLOOR = 1e-4


class FitterInput(NamedTuple):
    """What a fitter is told of people in square crops.

    parts: probabilities of background and the 24 parts. keypoints: x, y of the 17 COCO keypoints in the crop (-1 the
    left/top edge, 1 the right/bottom one) and a score in [0, 1]; all zero where nobody looked for them.
    """

    parts: Float[Tensor, "b 25 64 64"]
    keypoints: Float[Tensor, "b 17 3"]

    def at(self, rows: slice | Tensor) -> "FitterInput":
        """Some of the people."""
        return FitterInput(self.parts[rows], self.keypoints[rows])

    @classmethod
    def of_parts(cls, parts: Float[Tensor, "b 25 64 64"]) -> "FitterInput":
        """Part maps alone."""
        return cls(parts, parts.new_zeros(len(parts), KEYPOINTS, 3))


class JointMaps(NamedTuple):
    """Where the 24 joints are in the crop. logits: 32 x 32 heat maps. places: their means, -1 to 1 across the crop,
    moved by what the lifter makes of all joints together. spreads: log of the maps' standard deviations, same unit."""

    logits: Float[Tensor, "b 24 32 32"]
    places: Float[Tensor, "b 24 2"]
    spreads: Float[Tensor, "b 24"]


class Findings(NamedTuple):
    """All that is lifted: the joints' places and spreads, the keypoints of the proxy, and what the part map says.

    The last three are missing where there is no part map. moments: of `part_moments`. gathered: features around each
    joint. context: a summary of the whole map.
    """

    places: Float[Tensor, "b 24 2"]
    spreads: Float[Tensor, "b 24"]
    keypoints: Float[Tensor, "b 17 3"]
    moments: Float[Tensor, "b 168"] | None = None
    gathered: Float[Tensor, "b g"] | None = None
    context: Float[Tensor, "b c"] | None = None

    def at(self, rows: Tensor) -> "Findings":
        """Some of the people."""
        some = {name: value[rows] for name, value in self._asdict().items() if value is not None}
        return self._replace(**some)


class Fitter(MeanBody):
    """Finds the joints in the part map, reads the map around each of them, and lifts all of it to a posed body.

    Omran et al. 2018, "Neural Body Fitting", section 3.1, regress the body from the map by one residual network. Here a
    small U-shaped network first turns the map into a heat map per joint, whose mean is the joint's place (Sun et al.
    2018, "Integral human pose regression") and whose weights gather features there (Kocabas et al. 2021, "PARE", part
    attention). Places, features, keypoints and the moments of each part are then lifted by a residual perceptron
    (Martinez et al. 2017, "A simple yet effective baseline for 3d human pose estimation"), which learns from skeletons
    alone at a hundred times the speed.
    """

    def __init__(self, shapes: int, width: int = 48, features: int = 32, lifter: int = 640, blocks: int = 3) -> None:
        super().__init__(shapes)
        self.arguments = {"shapes": shapes, "width": width, "features": features, "lifter": lifter, "blocks": blocks}
        self.finder = JointFinder(width, features)
        self.lifter = Lifter(self.finder.context, features, lifter, blocks, self.numbers + 2 * JOINTS)

    def forward(self, seen: FitterInput) -> tuple[FitterOutput, JointMaps]:
        """The body, and the joint maps that it was lifted from."""
        findings, maps = self.find(seen)
        output, places = self.lift(findings)
        return output, maps._replace(places=places)

    def find(self, seen: FitterInput) -> tuple[Findings, JointMaps]:
        """The convolutional half: what there is to lift, and the joint maps, whose places nobody has moved yet."""
        maps, gathered, context = self.finder(seen.parts)
        moments = part_moments(seen.parts)
        return Findings(maps.places, maps.spreads, seen.keypoints, moments, gathered, context), maps

    def lift(self, findings: Findings) -> tuple[FitterOutput, Float[Tensor, "b 24 2"]]:
        """The other half, a thirtieth of the work: the body, and the joints' places as all findings together have them.

        Joints and keypoints without a part map will do.
        """
        body, moves = self.lifter(findings).float().tensor_split((-2 * JOINTS,), dim=1)
        return self.body(body), findings.places + MOVE * moves.unflatten(1, (JOINTS, 2))


class JointFinder(nn.Module):
    """Part map -> joint maps, features gathered at each joint, and a summary of the whole map."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.stem = ConvNorm(PARTS, width, stride=2, activation=nn.ReLU(inplace=True))
        self.at32 = ResidualBlock(width, width)
        self.at16 = ResidualBlock(width, 2 * width, stride=2)
        self.at8 = ResidualBlock(2 * width, 4 * width, stride=2)
        self.at4 = ResidualBlock(4 * width, 4 * width, stride=2)
        self.to8 = MergeUp(4 * width, 4 * width, 2 * width, mixers=1)
        self.to16 = MergeUp(2 * width, 2 * width, 2 * width, mixers=1)
        self.to32 = MergeUp(2 * width, width, width, mixers=1)
        self.head = nn.Conv2d(width, JOINTS + features, 1)
        self.thin = ConvNorm(4 * width, width, 1, activation=nn.ReLU(inplace=True))
        self.context = 4 * width + 16 * width

    def forward(self, parts: Float[Tensor, "b 25 64 64"]) -> tuple[JointMaps, Tensor, Tensor]:
        at32 = self.at32(self.stem(parts))
        at16 = self.at16(at32)
        at8 = self.at8(at16)
        at4 = self.at4(at8)
        fine = self.to32(self.to16(self.to8(at4, at8), at16), at32)
        logits, features = self.head(fine).split((JOINTS, self.head.out_channels - JOINTS), dim=1)
        logits = logits.float()
        attention = logits.flatten(2).softmax(-1)
        places, spreads = _mean_and_spread(attention.unflatten(2, logits.shape[2:]))
        gathered = attention.to(features.dtype) @ features.flatten(2).transpose(1, 2)
        context = torch.cat([at4.mean((-2, -1)), self.thin(at4).flatten(1)], dim=1)
        return JointMaps(logits, places, spreads), gathered.flatten(1), context


class Lifter(nn.Module):
    """Residual perceptron over groups of inputs, each with a layer of its own, so that groups may be missing."""

    def __init__(self, context: int, features: int, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        self.places = nn.Linear(JOINTS * 3, width)
        self.bones = nn.Linear((JOINTS - 1) * BONE, width, bias=False)
        self.keypoints = nn.Linear(KEYPOINTS * 3, width)
        self.moments = nn.Linear((PARTS - 1) * MOMENTS, width, bias=False)
        self.gathered = nn.Linear(JOINTS * features, width, bias=False)
        self.context = nn.Linear(context, width, bias=False)
        self.blocks = nn.Sequential(*(PerceptronBlock(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)
        # Training starts at the mean body: small residuals keep the rotations away from their singular set.
        nn.init.normal_(self.head.weight, std=0.002)
        nn.init.zeros_(self.head.bias)

    def forward(self, findings: Findings) -> Float[Tensor, "b n"]:
        x = self.places(torch.cat([findings.places.flatten(1), findings.spreads], dim=1))
        x = x + self.bones(bone_features(findings.places))
        points, score = findings.keypoints[..., :2], findings.keypoints[..., 2:]
        x = x + self.keypoints(torch.cat([points * (score > 0), score], dim=-1).flatten(1))
        if findings.moments is not None and findings.gathered is not None and findings.context is not None:
            x = x + self.moments(findings.moments) + self.gathered(findings.gathered) + self.context(findings.context)
        return self.head(self.norm(self.blocks(x)))


class PerceptronBlock(nn.Module):
    """Norm, two layers, short cut (the feed-forward half of Vaswani et al. 2017, "Attention is all you need")."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.normal_(self.second.weight, std=0.01)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return x + self.second(F.gelu(self.first(self.norm(x))))


def bone_features(places: Float[Tensor, "b 24 2"]) -> Float[Tensor, "b 115"]:
    """For each bone in the crop: its direction, its length, and that over the mean of all bones, plain and squared.

    How much shorter than usual a bone looks is what tells its angle to the picture (Taylor 2000, "Reconstruction of
    articulated objects from point correspondences"); a perceptron is slow to make lengths of coordinates.
    """
    bones = places[:, 1:] - places[:, list(PARENTS[1:])]
    lengths = (bones.square().sum(-1) + BONE_FLOOR).sqrt()
    shares = lengths / lengths.mean(1, keepdim=True)
    return torch.cat([5 * lengths, shares, shares.square(), (bones / lengths[..., None]).flatten(1)], 1)


def part_moments(parts: Float[Tensor, "b 25 h w"]) -> Float[Tensor, "b 168"]:
    """For each part: whether it is there, the root of its area, its centre and its covariance, about in [-1, 1]."""
    body = parts[:, 1:].float()
    # A number, also where the network is traced.
    across = down = cell_centers(int(parts.shape[-1]), parts.device)
    columns, rows = body.sum(-2), body.sum(-1)
    area = rows.sum(-1)
    safe = area.clamp(min=1e-3)
    x, y = (columns @ across) / safe, (rows @ down) / safe
    xx, yy = (columns @ across.square()) / safe - x.square(), (rows @ down.square()) / safe - y.square()
    xy = torch.einsum("bphw,w,h->bp", body, across, down) / safe - x * y
    here = area / (area + 1.0)
    root = 5 * (area / (parts.shape[-1] * parts.shape[-2])).sqrt()
    return torch.stack([here, root, x * here, y * here, 20 * xx * here, 20 * xy * here, 20 * yy * here], -1).flatten(1)


def _mean_and_spread(probability: Float[Tensor, "b j h w"]) -> tuple[Float[Tensor, "b j 2"], Float[Tensor, "b j"]]:
    across = down = cell_centers(int(probability.shape[-1]), probability.device)
    columns, rows = probability.sum(-2), probability.sum(-1)
    x, y = columns @ across, rows @ down
    variance = columns @ across.square() - x.square() + rows @ down.square() - y.square()
    return torch.stack([x, y], -1), 0.5 * variance.clamp(min=1e-4).log()


def cell_centers(size: int, device: torch.device) -> Float[Tensor, " size"]:
    """Cell centres along a side of the crop, -1 to 1."""
    return (torch.arange(size, device=device, dtype=torch.get_default_dtype()) + 0.5) * (2 / size) - 1
