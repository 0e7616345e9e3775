"""Small functions against closed forms and hand-made cases."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lemari.condition import OneHot, Unlabelled
from lemari.doctor import Evidence, examine
from lemari.errors import UsageError
from lemari.metrics.image import psnr, squared_error
from lemari.metrics.representation import area_shares, knn_accuracy, nearest_error
from lemari.networks.layers import Coder, ConvTranspose, Crop, Residual
from lemari.schedule import Constant, Cosine, Ramp
from lemari.tasks.generate import (
    embed_plane,
    grid_codes,
    path_codes,
    prior_codes,
    traversal_codes,
)
from lemari.types import Batch

# Paths between codes.


def ends(size=16, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, size))
    return a / np.linalg.norm(a) * 3, b / np.linalg.norm(b) * 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [2, 16, 200])
def test_slerp_keeps_the_norm_and_turns_at_constant_speed(dtype, size):
    a, b = (v.astype(dtype) for v in ends(size))
    path = path_codes(a, b, 9, "slerp").astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 3, rtol=1e-5)
    cosines = (path[1:] * path[:-1]).sum(1) / 9
    angles = np.arccos(np.clip(cosines, -1, 1))
    whole = np.arccos(np.clip(a.astype(float) @ b / 9, -1, 1))
    np.testing.assert_allclose(angles, whole / 8, rtol=1e-3)


@pytest.mark.parametrize("how", ["linear", "slerp"])
@pytest.mark.parametrize("seed", range(20))
def test_the_ends_of_a_path_are_exact(how, seed):
    a, b = (v.astype(np.float32) for v in ends(seed=seed))
    path = path_codes(a, 0.3 * b, 7, how)
    assert path.dtype == np.float32 and path.shape == (7, 16)
    np.testing.assert_array_equal(path[0], a)
    np.testing.assert_array_equal(path[-1], (0.3 * b).astype(np.float32))


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_slerp_of_parallel_ends_is_the_straight_line(factor):
    a, _ = ends()
    path = path_codes(a, factor * a, 5, "slerp")
    np.testing.assert_allclose(path, path_codes(a, factor * a, 5), atol=1e-6)
    assert np.isfinite(path).all()


def test_linear_steps_are_equal():
    a, b = ends()
    steps = np.diff(path_codes(a, b, 6), axis=0)
    np.testing.assert_allclose(steps, np.tile((b - a) / 5, (5, 1)), atol=1e-6)


def test_paths_that_cannot_be():
    with pytest.raises(UsageError, match="at least 2"):
        path_codes(*ends(), 1)
    with pytest.raises(UsageError, match="linear or slerp"):
        path_codes(*ends(), 3, "bent")


def test_grids_planes_and_traversals():
    grid = grid_codes(3, np.array([-1.0, 0.0]), np.array([1.0, 4.0]))
    want = [[x, y] for y in (0, 2, 4) for x in (-1, 0, 1)]
    np.testing.assert_array_equal(grid, want)
    plane = embed_plane(grid, 4, (3, 1))
    np.testing.assert_array_equal(plane[:, [3, 1]], grid)
    assert not plane[:, [0, 2]].any()
    np.testing.assert_array_equal(embed_plane(grid, 1)[:, 0], grid[:, 0])
    codes = traversal_codes(np.arange(3.0), np.array([2, 0]), np.array([7.0, 8.0]))
    np.testing.assert_array_equal(codes, [[[0, 1, 7], [0, 1, 8]], [[7, 1, 2], [8, 1, 2]]])


def test_temperature_scales_the_distance_from_the_priors_mean():
    from lemari.registry import VARIANTS
    from lemari.types import Schema

    model = VARIANTS["ae"](Schema("table", (6,)), latent=3)
    model.prior.fit(torch.randn(200, 3) * 2 + 5)
    centre = model.prior.centre.numpy()
    warm, cold, frozen = (prior_codes(model, 50, 1, t) for t in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(cold - centre, 0.5 * (warm - centre), atol=1e-5)
    np.testing.assert_allclose(frozen, np.tile(centre, (50, 1)), atol=1e-6)
    assert np.array_equal(warm, prior_codes(model, 50, 1))
    assert not np.array_equal(warm, prior_codes(model, 50, 2))


# Schedules.


def test_schedules():
    assert [Constant(0.3)(s) for s in (0, 10**9)] == [0.3, 0.3]
    assert [Ramp(4.0, 8)(s) for s in (0, 2, 8, 10**9)] == [0, 1, 4, 4]
    assert Ramp(4.0, 0)(0) == 4
    cosine = Cosine(2.0, 110, 10)
    assert [cosine(s) for s in range(10)] == pytest.approx([2 * (s + 1) / 11 for s in range(10)])
    assert cosine(10) == 2 and cosine(60) == pytest.approx(1) and cosine(110) == pytest.approx(0)
    assert cosine(10**6) == pytest.approx(0)
    rates = [cosine(s) for s in range(10, 111)]
    assert rates == sorted(rates, reverse=True)
    assert all(0 <= Cosine(1.0, n, min(200, n // 20))(s) <= 1 for n in (1, 2, 30) for s in range(n))
    assert all(Cosine(1.0, n, n // 20)(s) > 0 for n in (1, 2, 30) for s in range(n))


# Layers.


@pytest.mark.parametrize(
    "layer",
    [(3, 4, 3, 2, 1, 1), (3, 4, 3, 2, 1, (0, 1)), (2, 5, 4, 2, 1), (1, 1, 3, 1, 1)],
    ids=str,
)
@pytest.mark.parametrize("bias", [True, False])
def test_conv_transpose_equals_torchs_in_value_and_gradients(layer, bias):
    ours = ConvTranspose(*layer, bias=bias).double()
    theirs = nn.ConvTranspose2d(*layer, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, layer[0], 5, 6, dtype=torch.float64)
    found = []
    for net in (ours, theirs):
        given = x.clone().requires_grad_()
        y = net(given)
        (y * torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y)).sum().backward()
        found.append([y.detach(), given.grad, *(p.grad for p in net.parameters())])
    assert len(found[0]) == (4 if bias else 3)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_a_residual_block_starts_as_the_identity_and_leaves_its_input_alone():
    block, x = Residual(4), torch.randn(2, 4, 5, 5)
    kept = x.clone()
    torch.testing.assert_close(block(x), kept)
    assert torch.equal(x, kept)
    nn.init.normal_(block.last.weight)
    want = x + block.last(torch.relu(block.first(torch.relu(x))))
    torch.testing.assert_close(block(x), want)


def test_a_condition_becomes_planes_and_columns():
    class Kept(nn.Module):
        def forward(self, x):
            return x

    c = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    x = torch.randn(2, 3, 4, 5)
    joined = Coder(Kept())(x, c)
    assert torch.equal(joined[:, :3], x)
    assert torch.equal(joined[:, 3:], c.view(2, 2, 1, 1).expand(2, 2, 4, 5))
    z = torch.randn(2, 3)
    assert torch.equal(Coder(Kept())(z, c), torch.cat((z, c), 1))
    assert torch.equal(Coder(Kept())(z, c[:, :0]), z)
    assert torch.equal(Crop(2, 3)(x), x[:, :, :2, :3])


def test_labels_become_one_hot_rows_and_some_are_hidden_in_training():
    condition = OneHot(3, hidden=0.25)
    batch = Batch(torch.zeros(4, 2), torch.tensor([0, 2, -1, 1]))
    want = [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert condition.eval()(batch).tolist() == want
    assert condition(Batch(torch.zeros(4, 2))).tolist() == [[0.0] * 3] * 4
    many = Batch(torch.zeros(20_000, 2), torch.ones(20_000, dtype=torch.int64))
    share = float(condition.train()(many).sum()) / 20_000
    assert share == pytest.approx(0.75, abs=0.02)
    assert Unlabelled()(batch).shape == (4, 0)


# Measures.


def test_neighbours_vote():
    codes = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    labels = np.array([0, 0, 1, 1, 1, -1])
    test = np.array([[0.05], [5.05], [0.18], [9.0]])
    truth = np.array([0, 1, 0, -1])
    assert knn_accuracy(codes, labels, test, truth, k=1) == pytest.approx(2 / 3)
    assert knn_accuracy(codes, labels, test, truth, k=2) == 1
    assert knn_accuracy(codes, labels, test[:3], np.array([1, 0, 1]), k=3) == 0
    assert knn_accuracy(codes, labels, test, truth, k=50) == pytest.approx(1 / 3)
    wide = np.repeat(codes, 20, 1)
    assert knn_accuracy(wide, labels, np.repeat(test, 20, 1), truth, k=2) == 1


def test_areas():
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 0], [1, 0.1]], float)
    labels = np.array([0, 0, 1, 0, 1])
    shares, empty = area_shares(codes, labels, ("a", "b", "c"), cells=2)
    assert shares == {"a": 0.5, "b": 0.25, "c": 0.0} and empty == 0.25
    assert area_shares(codes, None, (), cells=2) == ({}, 0.25)
    shares, empty = area_shares(codes, np.array([0, -1, 1, 1, 1]), ("a", "b"), cells=2)
    assert shares == {"a": 0.25, "b": 0.25} and empty == 0.25
    shares, empty = area_shares(np.zeros((3, 2)), np.zeros(3, int), ("a",), cells=4)
    assert shares == {"a": 1 / 16} and empty == 15 / 16


def test_errors_of_pictures():
    x, y = np.zeros((2, 1, 2, 2), np.uint8), np.zeros((2, 1, 2, 2))
    y[1] = 0.5
    assert squared_error(x, y).tolist() == [0, 0.25]
    assert psnr(0) == math.inf and psnr(1) == 0 and psnr(1e-3) == pytest.approx(30)
    real = np.array([[0.0, 0.0], [1.0, 1.0]])
    made = np.array([[0.0, 0.2], [1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(nearest_error(made, real), [0.02, 0, 0.5])


# The doctor.


def evidence(**given) -> Evidence:
    rng = np.random.default_rng(0)
    inputs = rng.random((20, 1, 4, 4))
    plain = {"kl": np.array([2.0, 1.0]), "variance": np.array([0.8, 0.5]),
             "outputs": 0.9 * inputs, "inputs": inputs}  # fmt: skip
    return Evidence(**plain | given)


def names(e: Evidence) -> list[str]:
    return [finding.name for finding in examine(e)]


def test_a_healthy_model_has_no_findings():
    assert names(evidence()) == []
    assert names(evidence(kl=None, variance=None)) == []


@pytest.mark.parametrize(
    ("kl", "variance", "collapsed"),
    [
        ([0.01, 0.02], [0.5, 0.5], True),
        ([2.0, 1.0], [0.009, 0.001], True),
        ([0.05, 0.04], [1e-4, 1e-4], True),
        ([0.2, 0.0], [0.5, 0.0], False),
        ([3.0, 0.0], [0.011, 0.0], False),
    ],
)
def test_collapse(kl, variance, collapsed):
    e = evidence(kl=np.array(kl), variance=np.array(variance), beta=4.0)
    assert names(e) == (["posterior-collapse"] if collapsed else ["inactive-dimensions"])
    for finding in examine(e):
        assert "effective beta is 4" in finding.remedy
        assert finding.severity == ("error" if collapsed else "info")


@pytest.mark.parametrize(("spread", "constant"), [(0.0, True), (0.02, True), (0.05, False)])
def test_constant_output(spread, constant):
    inputs = evidence().inputs
    e = evidence(outputs=0.5 + spread * (inputs - 0.5))
    assert names(e) == (["constant-output"] if constant else [])


def test_constant_data_is_not_blamed_on_the_model():
    same = np.full((20, 1, 4, 4), 0.3)
    assert names(evidence(inputs=same, outputs=same)) == ["constant-data"]
    nearly = same + 0.01 * np.random.default_rng(0).random(same.shape)
    assert names(evidence(inputs=nearly, outputs=nearly)) == []


def test_one_example_is_too_few_for_a_finding():
    one = evidence().inputs[:1]
    assert names(evidence(inputs=one, outputs=np.zeros_like(one))) == []


def test_pixel_range():
    note = "the pixel range is -3 to 7, not 0 to 1 or 0 to 255; it is mapped to 0 to 1"
    (finding,) = examine(evidence(notes=("another note", note)))
    assert (finding.name, finding.severity, finding.evidence) == ("pixel-range", "warning", note)
    assert names(evidence(notes=("pictures go from 28x28 to 32x32",))) == []


def test_the_gravest_finding_stands_first():
    e = evidence(kl=np.zeros(2), variance=np.zeros(2), notes=("the pixel range is 0 to 3",))
    assert names(e) == ["posterior-collapse", "pixel-range"]
    assert all(f.evidence and f.remedy.endswith(".") for f in examine(e))
