"""Who wears what: a closet of meshes and textures on one device, and random outfits drawn from it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from nbf.body.model import BodyModel
from nbf.synth.paint import paint_clothes
from nbf.synth.recolor import draw_tints, recolor
from nbf.synth.scene import Paint, Piece, Wearing
from nbf.synth.view import chance
from nbf.synth.wardrobe import SIDE, Garment, Wardrobe, stack_region_maps, stack_textures

_FEMALE = 0.5  # Anny's gender runs from 0 (male) to 1 (female)

# Probabilities, by judgement of street photos: who wears a mesh garment of a kind at all, and colours it anew.
_SHOES, _HAIR, _HAT = 0.85, 0.92, 0.06
_OTHER_GENDER = 0.12
_DYE_SEED = 0


@dataclass(frozen=True)
class Closet:
    """Everything that people of one split can wear. Without a wardrobe only painted bodies can be drawn."""

    body: BodyModel
    body_piece: Piece
    garments: tuple[tuple[Garment, Piece], ...]
    textures: UInt8[Tensor, "t side side 4"]
    originals: int
    variants: int
    skins: Int[Tensor, " k"]
    skin_genders: Float[Tensor, " k"]

    @staticmethod
    def build(
        body: BodyModel, wardrobe: Wardrobe | None, split: str, device: torch.device | str, variants: int = 3
    ) -> "Closet":
        """Move the garments and skins of `split` to `device` beside the full-detail `body`.

        `variants` is the number of recoloured textures of each garment beside its own.
        """
        body = body.to(device)
        garments = [g for g in wardrobe.garments if g.split == split] if wardrobe else []
        # A painted-on body suit looks like tattoos below short sleeves.
        skins = [skin for skin in wardrobe.pick_skins(split) if not skin.suited] if wardrobe else []
        gray = torch.full((1, SIDE, SIDE, 4), 200, dtype=torch.uint8)
        worn = [*garments, *skins]
        stack = torch.cat([gray, stack_textures(worn)] if worn else [gray]).to(device)
        dyed = [stack]
        if garments:
            cloth = stack[1 : 1 + len(garments)]
            regions = stack_region_maps(garments).to(device)
            generator = Generator(device).manual_seed(_DYE_SEED)
            dyed += [recolor(cloth, regions, generator) for _ in range(variants)]
        first = 1 + len(garments)
        genders = [{"male": 0.0, "female": 1.0}[skin.gender] for skin in skins]
        return Closet(
            body=body,
            body_piece=body_piece(body, wardrobe.body_uv.to(device) if wardrobe else None),
            garments=tuple((g, _garment_piece(g, device)) for g in garments),
            textures=torch.cat(dyed),
            originals=len(stack),
            variants=variants,
            skins=torch.arange(first, first + max(len(skins), 1), device=device) % len(stack),
            skin_genders=torch.tensor(genders or [0.5], device=device),
        )

    def dress(
        self, genders: Float[Tensor, " p"], generator: Generator, painted: float = 0.15
    ) -> tuple[list[Wearing], Bool[Tensor, " p"]]:
        """Random outfits for people of the given genders, the body first; and who wears painted clothes instead."""
        count, device = len(genders), generator.device
        bare = (
            chance(count, painted, generator) if self.garments else torch.ones(count, dtype=torch.bool, device=device)
        )
        everyone = torch.arange(count, device=device)
        hidden = torch.zeros(count, len(self.body_piece.faces), dtype=torch.bool, device=device)
        wearing = []
        for kinds, share, dressed in (
            (("suit",), 1.0, ~bare), (("shoes",), _SHOES, ~bare), (("hair", "hat"), _HAIR, torch.ones_like(bare)),
        ):  # fmt: skip
            for index, people in self._choose(kinds, share, dressed, genders, generator):
                garment, piece = self.garments[index]
                wearing.append(Wearing(piece, people, self._variants(index, len(people), generator)))
                hidden[people] |= garment.hides.to(device)
        wearing.insert(0, Wearing(self.body_piece, everyone, self._skins(genders, generator), ~hidden))
        return wearing, bare

    def _variants(self, garment: int, count: int, generator: Generator) -> Int[Tensor, " count"]:
        """Texture of each wearer. The stack: grey, the garments' own, the skins, the garments recoloured."""
        variant = torch.randint(self.variants + 1, (count,), generator=generator, device=generator.device)
        recolored = self.originals + (variant - 1) * len(self.garments) + garment
        return torch.where(variant == 0, 1 + garment, recolored)

    def _choose(
        self,
        kinds: tuple[str, ...],
        share: float,
        dressed: Bool[Tensor, " p"],
        genders: Float[Tensor, " p"],
        generator: Generator,
    ) -> list[tuple[int, Int[Tensor, " w"]]]:
        """Give each dressed person one garment of the kinds, with probability `share`, mostly of the own gender."""
        options = [index for index, (garment, _) in enumerate(self.garments) if garment.kind in kinds]
        if not options:
            return []
        weights = torch.ones(len(genders), len(options), device=generator.device)
        for column, index in enumerate(options):
            garment, _ = self.garments[index]
            if garment.gender in ("male", "female"):
                own = (genders >= _FEMALE) == (garment.gender == "female")
                weights[:, column] = torch.where(own, 1.0, _OTHER_GENDER)
            if garment.kind == "hat":
                weights[:, column] = _HAT
        pick = torch.multinomial(weights, 1, generator=generator)[:, 0]
        worn = dressed & chance(len(genders), share, generator)
        return [(index, (worn & (pick == column)).nonzero()[:, 0]) for column, index in enumerate(options)]

    def paint(self, bare: Bool[Tensor, " p"], generator: Generator) -> Paint:
        """Random colours for people; those who are `bare` wear painted clothes."""
        tint, mix = draw_tints(len(bare), generator)
        count = int(bare.sum())
        none = torch.zeros(0, len(self.body_piece.faces), 3, device=generator.device)
        return Paint(self.textures, tint, mix, bare, paint_clothes(self.body, generator, count).rgb if count else none)

    def _skins(self, genders: Float[Tensor, " p"], generator: Generator) -> Int[Tensor, " p"]:
        own = 1.05 - (genders[:, None] - self.skin_genders).abs()
        return self.skins[torch.multinomial(own, 1, generator=generator)[:, 0]]


def body_piece(body: BodyModel, uv: Float[Tensor, "f 3 2"] | None = None) -> Piece:
    """A naked body, with its own texture coordinates if no others are given."""
    return Piece(
        rest=body.template,
        shape_dirs=body.shape_dirs,
        skin_joints=body.skin_joints,
        skin_weights=body.skin_weights,
        faces=body.faces,
        uv=body.uv[body.faces_uv] if uv is None else uv,
        parts=body.face_parts,
        regions=torch.zeros_like(body.face_parts),
        surface=body.surface,
        double_sided=False,
        transparent=False,
    )


def _garment_piece(garment: Garment, device: torch.device | str) -> Piece:
    return Piece(
        rest=garment.rest.to(device),
        shape_dirs=garment.shape_dirs.to(device),
        skin_joints=garment.skin_joints.to(device),
        skin_weights=garment.skin_weights.to(device),
        faces=garment.faces.to(device),
        uv=garment.uv.to(device),
        parts=garment.parts.to(device),
        regions=garment.regions.to(device),
        surface=garment.surface.to(device),
        double_sided=True,
        transparent=garment.transparent,
    )
