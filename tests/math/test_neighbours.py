"""The fuzzy graph against brute force and known sums, and the pull and push of its term."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.formats import TableFormat
from lemari.terms.fuzzy_graph import fuzzy_graph, memberships, narrow, nearest, union
from lemari.terms.neighbours import NEAR, UNIT, Neighbours, curve
from lemari.types import Batch, Trace, View


def cloud(rows=200, width=6, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)).double()


def weights_of(graph):
    """The graph as a matrix."""
    n = len(graph.degree)
    full = torch.zeros(n, n, dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(n), graph.starts.diff())
    full[rows, graph.ends] = graph.sums.diff()
    return full


@pytest.mark.parametrize("block", [2000, 8_000_000])
def test_nearest_rows_are_those_of_brute_force(monkeypatch, block):
    monkeypatch.setattr("lemari.terms.fuzzy_graph.BLOCK_NUMBERS", block)
    x = cloud()
    far = torch.cdist(x, x).fill_diagonal_(math.inf)
    want = far.topk(7, largest=False)
    at, distance = nearest(x, 7)
    assert torch.equal(at, want.indices)
    torch.testing.assert_close(distance, want.values)


def test_only_some_rows_may_be_found_and_never_the_row_itself():
    x, among = cloud(60), torch.arange(0, 60, 3)
    at, distance = nearest(x, 5, among)
    assert bool((at % 3 == 0).all()) and bool((at != torch.arange(60)[:, None]).all())
    far = torch.cdist(x, x[among])
    far[among, torch.arange(20)] = math.inf
    torch.testing.assert_close(distance, far.topk(5, largest=False).values)


@pytest.mark.parametrize("k", [2, 5, 15])
def test_memberships_of_a_row_add_up_to_log2_k(k):
    _, distance = nearest(cloud(), k)
    weight = memberships(distance)
    torch.testing.assert_close(weight.sum(1), torch.full((200,), math.log2(k)).double())
    torch.testing.assert_close(weight.max(1).values, torch.ones(200).double())
    torch.testing.assert_close(memberships(1000 * distance), weight)  # a change of units is none


def test_memberships_of_rows_at_equal_distances_are_all_one():
    assert torch.equal(memberships(torch.ones(3, 4)), torch.ones(3, 4).double())
    assert torch.equal(memberships(torch.zeros(3, 4)), torch.ones(3, 4).double())


def test_the_union_is_symmetric_and_joins_what_either_row_chose():
    at, distance = nearest(cloud(), 5)
    weight = memberships(distance)
    one = torch.zeros(200, 200).double().scatter(1, at, weight)
    full = weights_of(union(at, weight))
    torch.testing.assert_close(full, 1 - (1 - one) * (1 - one.T))
    torch.testing.assert_close(full, full.T)


def test_the_graph_of_a_ring_is_the_ring():
    angle = torch.arange(40).double() * 2 * math.pi / 40
    full = weights_of(fuzzy_graph(torch.stack((angle.cos(), angle.sin()), 1), 2)) > 0
    step = (torch.arange(40)[:, None] - torch.arange(40)[None]) % 40
    assert torch.equal(full, (step == 1) | (step == 39))


def test_neighbours_are_drawn_in_proportion_to_their_weights():
    graph = fuzzy_graph(cloud(30), 4)
    torch.manual_seed(0)
    row = 3
    drawn = graph.draw(torch.full((20_000,), row))
    share = torch.bincount(drawn, minlength=30).double() / 20_000
    want = weights_of(graph)[row] / graph.degree[row]
    assert torch.equal(share > 0, want > 0)
    torch.testing.assert_close(share, want, rtol=0, atol=0.015)


def test_narrow_rows_keep_their_distances_where_the_data_is_flat():
    flat = cloud(100, 5) @ cloud(5, 300, 1)
    short = narrow(flat[::2], 8)(flat)
    assert short.shape == (100, 8)
    torch.testing.assert_close(F.pdist(short), F.pdist(flat))
    assert narrow(flat, 300)(flat) is flat


@pytest.mark.parametrize("min_dist", [0.0, 0.1, 0.5])
def test_the_curve_follows_what_it_is_fitted_to(min_dist):
    a, b = curve(min_dist)
    d = np.linspace(0, 3, 50)
    want = np.where(d < min_dist, 1, np.exp(-(d - min_dist)))
    assert np.abs(1 / (1 + a * d ** (2 * b)) - want).max() < 0.1


class Lookup(torch.nn.Module):
    """Stands in for a model: the code of a row (its only value is its number) is looked up."""

    def __init__(self, codes):
        super().__init__()
        self.codes = torch.nn.Parameter(codes)

    def corrupt(self, batch):
        return View(batch.x)

    def condition(self, batch):
        return batch.x[:, :0]

    def encode(self, view, c):
        from lemari.laws import Point

        return Point(self.codes[view.x[:, 0].long()])


def pair(codes, k=2):
    """A model of rows on a line with these places on the map, a term that saw them, the rows."""
    x = np.arange(len(codes), dtype=np.float32)[:, None]
    feed = Feed(x, None, TableFormat(("u",), (0.0,), (1.0,), (0.0,)))
    model, term = Lookup(codes * UNIT), Neighbours(neighbours=k)
    term.prepare(model, feed)
    return model, term, feed


def value(model, term, batch):
    q = model.encode(View(batch.x), None)
    t = Trace(batch, View(batch.x), batch.x[:, :0], q, q.rsample(1), q, q, 0)  # pyright: ignore
    return term(t, model)


def test_the_mean_over_batches_is_the_loss_over_all_edges():
    """UMAP's cross-entropy over every edge and every pair, in closed form, against draws of it."""
    codes = cloud(8, 2)
    model, term, feed = pair(codes)
    a, b = term.a, term.b
    square = torch.cdist(codes, codes).square() + NEAR
    weight = weights_of(term.graph)
    phi = 1 / (1 + a * square**b)
    degree = weight.sum(1) / weight.sum(1).mean()
    push = -torch.log(1 - phi).fill_diagonal_(0).sum(1) / 7 * term.negatives
    want = (weight * -phi.log()).sum(1) / weight.sum(1).mean() + degree * push
    torch.manual_seed(0)
    batch = feed.gather(np.arange(8))
    with torch.no_grad():
        mean = sum(value(model, term, batch) for _ in range(1000)) / 1000
    torch.testing.assert_close(mean, want, rtol=0.06, atol=0)


def test_the_slope_pulls_neighbours_together_and_pushes_others_apart():
    """Rows 0 1 2 and 3 4 5 are two groups; their codes are two long lines side by side."""
    x = np.array([0, 1, 2, 100, 101, 102], np.float32)[:, None]
    format = TableFormat(("u",), (0.0,), (1.0,), (0.0,))
    line = torch.tensor([0.0, 4.0, 8.0]).double()
    codes = torch.stack((line.repeat(2), torch.tensor([0.0, 0.5]).repeat_interleave(3)), 1)
    at, places = torch.tensor([0, 1, 2, 100, 101, 102]), torch.zeros(103, 2).double()
    places[at] = codes
    model, term, feed = Lookup(places * UNIT), Neighbours(neighbours=2), Feed(x, None, format)
    term.prepare(model, feed)
    for _ in range(20):
        value(model, term, feed.gather(np.arange(6))).mean().backward()
    moved = codes - 1e-3 * model.codes.grad[at]
    before, after = torch.cdist(codes, codes), torch.cdist(moved, moved)
    assert after[0, 2] < before[0, 2] and after[3, 5] < before[3, 5]
    assert bool((after[[0, 1, 2], [3, 4, 5]] > before[[0, 1, 2], [3, 4, 5]]).all())


def test_outside_training_the_batch_is_its_own_graph():
    """Row numbers of another feed must not be taken for training rows."""
    model, term, feed = pair(cloud(30, 2))
    term.eval()
    batch = feed.gather(np.arange(10, 20))
    other = Batch(batch.x, rows=torch.arange(10) + 1000)
    with torch.no_grad():
        assert torch.equal(value(model, term, batch), value(model, term, other))
    bare = Neighbours(neighbours=2)
    with torch.no_grad():
        assert torch.equal(value(model, bare, batch), value(model, term, batch))
        assert torch.equal(value(model, bare, feed.gather(np.arange(1))), torch.zeros(1).double())


def test_the_batchs_own_graph_gives_the_same_sum_as_that_of_training():
    """Of a batch that is the whole feed, the mean over draws equals the value without them."""
    model, term, feed = pair(cloud(12, 2), 4)
    batch = feed.gather(np.arange(12))
    torch.manual_seed(1)
    with torch.no_grad():
        drawn = sum(value(model, term, batch) for _ in range(1000)) / 1000
        whole = value(model, term.eval(), batch)
    torch.testing.assert_close(drawn, whole, rtol=0.08, atol=0)


def test_a_copy_holds_no_training_rows():
    import copy

    _, term, _ = pair(cloud(10, 2))
    other, state = copy.deepcopy(term), term.__getstate__()  # the state is what a pickle takes
    assert other.feed is None and other.graph is None
    assert state["feed"] is None and state["graph"] is None
    assert term.feed is not None and not dict(term.state_dict())


def test_the_score_is_the_log_odds():
    term = Neighbours()
    d = torch.tensor([0.0, 0.5, 3.0]).double()
    phi = 1 / (1 + term.a * (d + NEAR) ** term.b)
    torch.testing.assert_close(F.softplus(term.score(d)), -phi.log())
    torch.testing.assert_close(F.softplus(-term.score(d)), -(1 - phi).log())


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"min_dist": -0.1}, {"min_dist": 3.0}])
def test_a_map_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match="leave them out for 15 and 0.1"):
        Neighbours(**wrong)
