"""Discrete codes: rounding, running means, revival, the ways between codes and their numbers."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from lemari.errors import DataError
from lemari.latents.code_sequence import CodeSequence
from lemari.latents.codebook import Codebook, FittedCodes, width_for
from lemari.latents.quantisers import ScalarLevels, VectorBooks, levels_of, nearest, search

KINDS = {
    "vq": partial(VectorBooks, codes=16),
    "residual": partial(VectorBooks, codes=16, depth=3),
    "fsq": partial(ScalarLevels, levels="4-3-2"),
    "fsq-thirds": partial(ScalarLevels, levels="7-3-5"),
}
SHAPES = {"vector": ((6,), 3), "maps": ((3, 4, 5), None), "cut maps": ((6, 2, 3), 3)}
every = pytest.mark.parametrize("kind", KINDS)
shaped = pytest.mark.parametrize("shape", SHAPES)


def book(kind="vq", shape="vector", seed=0) -> Codebook:
    torch.manual_seed(seed)
    made = Codebook(KINDS[kind], *SHAPES[shape]).double()
    for level, vectors in enumerate(getattr(made.quantiser, "books", [])):
        vectors._codebook.embed.normal_().mul_(0.5**level)
    return made.eval()


def outputs(made: Codebook, rows=40, seed=1) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.randn(rows, *made.shape, dtype=torch.float64)


@shaped
@every
def test_a_code_its_numbers_and_back(kind, shape):
    """Numbers -> vectors -> numbers, also when each code is given flat, as settle gives it."""
    made = book(kind, shape)
    q = made(outputs(made))
    assert q.mean.shape == (40, *made.shape) and q.indices.shape == (40, made.length)
    torch.testing.assert_close(made.vectors(q.indices, torch.float64), q.mean, rtol=0, atol=1e-12)
    assert torch.equal(made.indices_of(q.mean.detach().flatten(1)), q.indices)
    assert torch.equal(made.indices_of(q.mean.detach().float().flatten(1)), q.indices)


@shaped
def test_cutting_keeps_places_together(shape):
    made = book("vq", shape)
    z = outputs(made, 2)
    vectors = made.split(z)
    assert torch.equal(made.join(vectors), z)
    first = z[0].reshape(made.shape[0], -1)[: made.width, 0]
    assert torch.equal(vectors[0], first)


def test_the_nearest_code_is_picked():
    made = book("vq")
    h = outputs(made)
    table = made.quantiser.tables(torch.float64)[0]
    want = torch.cdist(made.split(h), table).argmin(1)
    assert torch.equal(made(h).indices.flatten(), want)
    assert torch.equal(nearest(made.split(h), table), want)


def test_each_quantizer_rounds_what_the_last_left():
    made = book("residual")
    x = made.split(outputs(made))
    _, picked, far = made.quantiser(x)
    rest, want = x, torch.zeros(len(x), dtype=torch.float64)
    for table, index in zip(made.quantiser.tables(torch.float64), picked.T, strict=True):
        assert torch.equal(torch.cdist(rest, table).argmin(1), index)
        rest = rest - table[index]
        want += rest.square().sum(1)
    torch.testing.assert_close(far, want)


def test_a_wider_search_finds_the_sums_that_greed_misses():
    made = book("residual")
    tables = made.quantiser.tables(torch.float64)
    torch.manual_seed(4)
    numbers = torch.randint(16, (200, 3))
    x = sum(table[i] for table, i in zip(tables, numbers.T, strict=True))
    greedy, wide = (search(x, tables, beam) for beam in (1, 256))
    assert (greedy != numbers).any(1).double().mean() > 0.1
    back = sum(table[i] for table, i in zip(tables, wide.T, strict=True))
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)


def test_gradients_pass_straight_through_and_commitment_pulls_to_the_code():
    made = book("vq")
    h = outputs(made).requires_grad_()
    q = made(h)
    (slope,) = torch.autograd.grad((q.mean * 3).sum(), h)
    torch.testing.assert_close(slope, torch.full_like(h, 3.0))
    (pull,) = torch.autograd.grad(made(h).commitment.sum(), h)
    torch.testing.assert_close(pull, 2 * (h - q.mean).detach())
    want = (h - q.mean).detach().square().sum(1)
    torch.testing.assert_close(made(h).commitment.detach(), want)


def test_learned_vectors_go_to_the_means_of_those_that_pick_them():
    """Four far clusters and four codes: the running means end at the centres."""
    torch.manual_seed(0)
    centres = torch.tensor([[4.0, 4], [4, -4], [-4, 4], [-4, -4]])
    made = VectorBooks(2, codes=4, decay=0.9).train()
    made.books[0]._codebook.embed.copy_(centres[None] * 0.5)
    made.books[0]._codebook.embed_avg.copy_(centres[None] * 0.5)
    for _ in range(100):
        made(centres.repeat(16, 1) + 0.1 * torch.randn(64, 2))
    torch.testing.assert_close(made.tables(torch.float32)[0], centres, rtol=0, atol=0.05)


def test_dead_codes_are_revived_even_where_a_batch_has_fewer_vectors_than_codes():
    torch.manual_seed(0)
    made = VectorBooks(2, codes=32, decay=0.9).train()
    made.books[0]._codebook.embed += 50  # all but one are out of reach
    x = torch.randn(2000, 2)
    for _ in range(200):
        made(x[torch.randint(2000, (16,))])
    made.eval()
    assert len(made(x)[1].unique()) > 28


def test_a_code_that_is_used_now_and_then_is_left_alone():
    """Two codes, one picked by one vector in ten: no vector of the batch takes its place."""
    torch.manual_seed(0)
    made = VectorBooks(1, codes=2, decay=0.9).train()
    made.books[0]._codebook.embed.copy_(torch.tensor([[[0.0], [10.0]]]))
    made.books[0]._codebook.embed_avg.copy_(torch.tensor([[[0.0], [10.0]]]))
    x = torch.tensor([[0.0]] * 9 + [[10.0]])
    for _ in range(300):
        made(x)
    torch.testing.assert_close(
        made.tables(torch.float32)[0], torch.tensor([[0.0], [10.0]]), rtol=0, atol=1e-3
    )


def test_usage_and_perplexity():
    made = book("vq").train()
    made.counts[0, :4] = 25
    assert made.measures() == pytest.approx({"usage": 4 / 16, "perplexity": 4.0})
    assert made.measures() == {"usage": 0.0, "perplexity": 1.0}
    q = made(outputs(made))
    share = torch.bincount(q.indices.flatten(), minlength=16) / q.indices.numel()
    told = made.measures()
    assert told["usage"] == pytest.approx(float((share > 0).double().mean()))
    want = math.exp(float(torch.special.entr(share.double()).sum()))
    assert told["perplexity"] == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("shape", ["vector", "cut maps"])
@every
def test_the_fitted_prior_draws_each_position_as_it_was(kind, shape):
    made = book(kind, shape)
    prior = FittedCodes(made).double()
    q = made(outputs(made, 400) * torch.linspace(0.2, 1, 400).view(-1, *[1] * len(made.shape)))
    prior.fit(q.mean.detach().flatten(1))
    torch.manual_seed(2)
    law = prior(torch.zeros(3, 0))
    drawn = law.sample(2000)
    assert drawn.shape == (2000, 3, *made.shape) and law.mean.shape == (3, *made.shape)
    torch.testing.assert_close(drawn.mean((0, 1)), q.mean.detach().mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(law.mean[0], q.mean.detach().mean(0), rtol=0, atol=1e-9)
    if kind != "residual":  # whose quantizers depend on each other, as the law does not know
        torch.testing.assert_close(drawn.std((0, 1)), q.mean.detach().std(0), rtol=0.1, atol=0.05)
        numbers = made.indices_of(drawn[:50, 0].flatten(1))
        torch.testing.assert_close(made.vectors(numbers, torch.float64), drawn[:50, 0])
    seen = torch.zeros_like(prior.chances)
    for position, index in enumerate(q.indices.T):
        seen[position] = torch.bincount(index, minlength=made.codes).double() / 400
    torch.testing.assert_close(prior.chances, seen)


def test_widths_and_levels():
    assert [width_for((n,), None) for n in (1, 2, 5, 8, 12)] == [1, 2, 1, 4, 4]
    assert width_for((5, 3, 3), None) == 5
    assert levels_of("4-2") == [4, 2]


def markov(rows: int, length: int, seed: int) -> tuple[np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(4, 0.6), 4)
    x = np.zeros((rows, length), np.int64)
    x[:, 0] = rng.integers(0, 4, rows)
    for t in range(1, length):
        x[:, t] = (rng.random((rows, 1)) > table[x[:, t - 1]].cumsum(1)).sum(1).clip(0, 3)
    return table, torch.from_numpy(x)


def test_a_sequence_law_recovers_a_markov_chain():
    table, x = markov(2000, 6, 0)
    law = CodeSequence(4, 6, width=16, layers=1, heads=2)
    law.fit(x, seed=1, steps=250, lr=1e-2)
    with torch.no_grad():
        told = law(law.shifted(x[:500]))[:, 1:].softmax(-1)
    want = torch.from_numpy(table)[x[:500, :-1]].float()
    assert float((told - want).abs().mean()) < 0.04
    drawn = law.draw(3000, seed=2)
    counts = np.zeros((4, 4))
    np.add.at(counts, (drawn[:, :-1].ravel().numpy(), drawn[:, 1:].ravel().numpy()), 1)
    found = counts / counts.sum(1, keepdims=True)
    assert np.abs(found - table).max() < 0.08
    torch.testing.assert_close(law.draw(5, seed=3), law.draw(5, seed=3))
    assert not torch.equal(law.draw(50, seed=3), law.draw(50, seed=4))


def test_a_sequence_law_is_normalised_causal_and_repeatable():
    _, x = markov(200, 3, 1)
    laws = [CodeSequence(4, 3, width=8, layers=2, heads=2) for _ in range(2)]
    for law in laws:
        law.fit(x, seed=5, steps=30)
    whole = torch.cartesian_prod(*[torch.arange(4)] * 3)
    total = laws[0].log_prob(whole).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros(()), rtol=0, atol=1e-5)
    assert torch.equal(laws[0].log_prob(whole), laws[1].log_prob(whole))
    cold = laws[0].draw(200, temperature=1e-4)
    assert len(cold.unique(dim=0)) == 1


@pytest.mark.parametrize(
    "wrong", [torch.zeros(3, 4).long(), torch.full((3, 5), 7), torch.zeros(0, 5).long()]
)
def test_sequences_that_do_not_fit_are_refused(wrong):
    with pytest.raises(DataError, match="5 whole numbers from 0 to 6"):
        CodeSequence(7, 5).fit(wrong)
