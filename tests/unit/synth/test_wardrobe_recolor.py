import torch

from nbf.synth.recolor import (
    GROUPS,
    HAIR,
    LOWER,
    UPPER,
    draw_cloth_colors,
    draw_hair_colors,
    draw_tints,
    hsv_to_rgb,
    recolor,
    rgb_to_hsv,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_hsv_round_trip_and_known_colours():
    rgb = torch.rand((500, 3), generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(hsv_to_rgb(rgb_to_hsv(rgb)), rgb)
    known = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]])
    expected = torch.tensor([[0.0, 1, 1], [1 / 3, 1, 1], [2 / 3, 1, 1], [0, 0, 0.5]])
    torch.testing.assert_close(rgb_to_hsv(known), expected)


def make_textures(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    textures = torch.randint(0, 256, (count, 32, 32, 4), generator=seeded(1), dtype=torch.uint8)
    regions = torch.zeros((count, 32, 32), dtype=torch.uint8)
    regions[:, :10], regions[:, 10:20], regions[:, 20:26] = UPPER, LOWER, HAIR
    return textures, regions


def test_recolor_keeps_alpha_and_skin_and_changes_the_rest():
    textures, regions = make_textures()
    out = recolor(textures, regions, seeded())
    assert torch.equal(out[..., 3], textures[..., 3])
    assert torch.equal(out[regions == 0], textures[regions == 0])
    changed = [not torch.equal(out[i][regions[i] == g], textures[i][regions[i] == g]) for i in range(6) for g in (1, 2)]
    assert sum(changed) >= 6


def test_recolor_is_repeatable_and_treats_textures_one_by_one():
    textures, regions = make_textures()
    out = recolor(textures, regions, seeded(3))
    assert torch.equal(out, recolor(textures, regions, seeded(3)))
    assert torch.equal(out[:2], recolor(textures[:2], regions[:2], seeded(3)))


def test_colours_are_colours():
    for draw in (draw_cloth_colors, draw_hair_colors):
        colors = draw(1000, seeded())
        assert colors.shape == (1000, 3)
        assert colors.min() >= 0
        assert colors.max() <= 1
        assert colors.std(0).min() > 0.05


def test_tints_leave_skin_alone():
    tint, mix = draw_tints(64, seeded())
    assert tint.shape == (64, len(GROUPS), 3)
    assert (mix[:, 0] == 0).all()
    assert mix.min() >= 0
    assert 0 < mix[:, 1:].max() <= 1
