"""A small segmenter: a picture -> part map, by a U-shaped network of a few thousandths of the segmenter's work."""

from jaxtyping import Float
from torch import Tensor, nn

from nbf.nets.blocks import ConvNorm, MergeUp, ResidualBlock


class UNet(nn.Module):
    """Ronneberger et al. 2015, "U-Net", with residual blocks on the way down: to see what better maps are good for."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.arguments = {"inputs": inputs, "outputs": outputs, "width": width}
        self.stem = ConvNorm(inputs, width, stride=2, activation=nn.ReLU(inplace=True))
        self.at32 = ResidualBlock(width, 2 * width, stride=2)
        self.at16 = ResidualBlock(2 * width, 4 * width, stride=2)
        self.at8 = ResidualBlock(4 * width, 8 * width, stride=2)
        self.at4 = ResidualBlock(8 * width, 8 * width, stride=2)
        self.to8 = MergeUp(8 * width, 8 * width, 4 * width, mixers=1)
        self.to16 = MergeUp(4 * width, 4 * width, 2 * width, mixers=1)
        self.to32 = MergeUp(2 * width, 2 * width, 2 * width, mixers=1)
        self.to64 = MergeUp(2 * width, width, width, mixers=1)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, picture: Float[Tensor, "b c 128 128"]) -> Float[Tensor, "b d 64 64"]:
        """Logits."""
        at64 = self.stem(picture)
        at32 = self.at32(at64)
        at16 = self.at16(at32)
        at8 = self.at8(at16)
        x = self.to8(self.at4(at8), at8)
        x = self.to64(self.to32(self.to16(x, at16), at32), at64)
        return self.head(x).float()
