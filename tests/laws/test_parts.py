"""Laws of one model: it builds, its shapes agree, its loss and gradients are right."""

import pytest
import torch
from law_cases import ALL, EACH, FITTING, batch_of, differing, feed_of, marked, weights

from lemari.errors import UsageError
from lemari.latents.point import NoPrior
from lemari.metrics.likelihood import scores
from lemari.model import Autoencoder
from lemari.optimise import Adam
from lemari.store import Fitted
from lemari.terms.base import EVERYTHING
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.train import backward, update

every = pytest.mark.parametrize("case", marked(FITTING), ids=str)
each = pytest.mark.parametrize("case", marked(EACH), ids=str)


@pytest.mark.parametrize("case", marked(ALL), ids=str)
def test_builds_what_it_claims_and_refuses_the_rest_in_a_sentence(case):
    try:
        case.build()
    except UsageError as refusal:
        assert case.claimed is not True
        text = str(refusal)
        assert text[0].isupper() and text.endswith(".") and len(text.split()) > 6
    else:
        assert case.claimed is not False


def test_the_cases_reach_every_variant_and_kind():
    from lemari.registry import NETWORKS, VARIANTS

    assert {c.variant for c in FITTING} == set(VARIANTS)
    assert {c.network for c in FITTING} >= set(NETWORKS)
    assert {(c.variant, c.kind) for c in FITTING} >= {
        (v, k) for v in ("ae", "vae", "cvae") for k in ("gray", "colour", "alpha", "table")
    }


@pytest.mark.parametrize("k", [1, 3])
@every
def test_shapes(case, k):
    model, batch = case.build().eval(), batch_of(case)
    model.k, b = k, len(batch.x)
    with torch.no_grad():
        trace = model(batch)
    assert trace.q.mean.shape == trace.prior.mean.shape == (b, *model.code)
    assert trace.q.event == trace.prior.event == len(model.code)
    assert trace.z.shape == (k, b, *model.code)
    assert trace.p.mean.shape == (k, b, *case.data.shape)
    assert trace.p.event == len(case.data.shape)
    assert trace.p.log_prob(batch.x).shape == (k, b)
    assert trace.p.log_density(batch.x).shape == (k, b, *case.data.shape)
    assert trace.view.x.shape == (b, *model.corrupt.shape_of(case.data.shape))
    if "density" in model.prior.traits:
        assert trace.prior.log_prob(trace.z).shape == (k, b)
    assert trace.c.shape == (b, model.condition.width)


@pytest.mark.parametrize("k", [1, 3])
@every
def test_each_term_is_a_finite_number_of_nats_an_example(case, k):
    model, batch = case.build(), batch_of(case)
    model.k = k
    for name, value in model.loss(model(batch)).items():
        assert value.shape == (len(batch.x),), name
        assert bool(torch.isfinite(value).all()), name


@each
def test_every_trainable_parameter_is_moved(case):
    """Not at once: a residual block starts with a zero, behind which nothing moves at first."""
    model, batch = case.build(), batch_of(case, 16)
    before, optimiser = weights(model), Adam(model, 1e-3)
    for step in range(3):
        update(model, optimiser, batch, step)
        for name, p in model.named_parameters():
            assert p.grad is not None, f"{name} has no gradient"
            assert bool(torch.isfinite(p.grad).all()), name
    names = {name for name, _ in model.named_parameters()}
    moved = set(differing(weights(model), before))
    assert moved >= names, f"never moved: {names - moved}"


@every
def test_a_score_does_not_depend_on_its_batch_mates(case):
    model, batch = case.build().double().eval(), batch_of(case)
    if isinstance(model.prior, NoPrior):
        pytest.skip("a network with skips restores examples and does not score them")
    batch = type(batch)(batch.x.double(), batch.y)
    together = scores(model, batch)
    for i in range(len(batch.x)):
        alone = scores(model, type(batch)(batch.x[i : i + 1], batch.y[i : i + 1]))
        torch.testing.assert_close(alone[0], together[i], rtol=1e-10, atol=1e-10)


@every
def test_save_and_load_give_equal_outputs(case, tmp_path):
    from law_cases import FORMATS

    model, batch = case.build(), batch_of(case)
    optimiser = Adam(model, 1e-3)
    for step in range(2):
        update(model, optimiser, batch, step)
    Fitted(model.eval(), FORMATS[case.kind], case.recipe).save(tmp_path)
    back = Fitted.load(tmp_path)
    assert (back.format, back.recipe) == (FORMATS[case.kind], case.recipe)
    assert not back.model.training
    assert not differing(weights(model), weights(back.model))
    traces = []
    for m in (model, back.model):
        torch.manual_seed(3)
        with torch.no_grad():
            traces.append(m(batch))
    a, b = traces
    for one, other in ((a.z, b.z), (a.q.mean, b.q.mean), (a.p.mean, b.p.mean)):
        assert torch.equal(one, other)
    assert torch.equal(a.p.log_prob(batch.x), b.p.log_prob(batch.x))


def with_terms(case, terms) -> Autoencoder:
    """The parts of a model, with other terms."""
    m = case.build()
    return Autoencoder(
        m.data,
        encoder=m.encoder,
        posterior=m.posterior,
        prior=m.prior,
        decoder=m.decoder,
        terms=terms,
        condition=m.condition,
        corrupt=m.corrupt,
    )


@each
def test_a_term_moves_only_the_parts_that_it_trains(case):
    class Second(Recon):
        name = "second"

    batch = batch_of(case)
    for part, other in (("decoder", "encoder"), ("encoder", "decoder")):
        model = with_terms(case, [Recon(trains=(part,)), Second(0.5, trains=(part,))])
        if not list(getattr(model, part).parameters()):
            continue
        before = weights(model)
        update(model, Adam(model, 1e-2), batch, 0)
        parameters = {name for name, _ in model.named_parameters()}
        moved = {name for name in differing(weights(model), before) if name in parameters}
        assert moved and all(name.startswith(part) for name in moved)
        assert all(p.grad is None for p in getattr(model, other).parameters())


@each
def test_routed_gradients_equal_plain_backward(case):
    """Two groups of parts that together list everything, against one call of backward()."""
    gaussian = "gaussian" in case.build().posterior.traits
    orders = EVERYTHING, tuple(reversed(EVERYTHING))
    first = Recon(trains=orders[0])
    second = KL(0.7, trains=orders[1]) if gaussian else Recon(0.7, trains=orders[1])
    second.name = "second"
    model, batch = with_terms(case, [first, second]).double(), batch_of(case)
    batch = type(batch)(batch.x.double(), batch.y)
    trace = model(batch)
    losses = [(t(trace, model).mean() * t.weight(0)) for t in model.terms]
    backward(model, dict(zip(orders, losses, strict=True)))
    routed = {name: p.grad.clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = None
    sum(t(trace, model).mean() * t.weight(0) for t in model.terms).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(routed[name], p.grad, rtol=1e-9, atol=1e-11)


def test_a_term_may_train_a_part_without_parameters():
    from law_cases import Case

    model = with_terms(Case("vae", "mlp", "table"), [Recon(), KL(trains=("prior",))])
    batch = batch_of(Case("vae", "mlp", "table"))
    values = update(model, Adam(model, 1e-3), batch, 0)
    assert set(values) == {"recon", "kl"}


def test_wrong_parts_are_refused_when_the_model_is_built():
    from law_cases import Case

    with pytest.raises(UsageError, match="KL needs a posterior with density, but PointCode"):
        with_terms(Case("ae", "mlp", "table"), [Recon(), KL()])
    with pytest.raises(UsageError, match="trains \\['critic'\\]"):
        with_terms(Case("ae", "mlp", "table"), [Recon(trains=("critic",))])


def test_a_conditional_variant_needs_labels():
    from dataclasses import replace

    from law_cases import SCHEMAS

    from lemari.registry import VARIANTS

    with pytest.raises(UsageError, match="needs labels"):
        VARIANTS["cvae"](replace(SCHEMAS["gray"], classes=()))


def test_missing_values_and_padding_do_not_count():
    from law_cases import Case

    from lemari.types import Batch

    case = Case("ae", "mlp", "gray")
    model, batch = case.build().eval(), batch_of(case)
    w = torch.ones_like(batch.x)
    w[..., 4:] = 0
    spoiled = batch.x * w + 99 * (1 - w)
    term = model.terms[0]
    with torch.no_grad():
        trace = model(Batch(batch.x, w=w))
        a = term(trace, model)
        from dataclasses import replace

        b = term(replace(trace, batch=Batch(spoiled, w=w)), model)
        whole = term(replace(trace, batch=Batch(batch.x, w=torch.ones_like(w))), model)
        plain = term(replace(trace, batch=Batch(batch.x)), model)
    assert torch.equal(a, b)
    torch.testing.assert_close(whole, plain)
    assert bool((a < plain).all())


def test_a_feed_gives_the_same_rows_from_memory_and_from_a_map(tmp_path):
    import numpy as np
    from law_cases import FORMATS, Case, stored

    from lemari.feed import Feed

    x, y = stored(Case("ae", "mlp", "gray").data, 20)
    np.save(tmp_path / "x.npy", x)
    mapped = Feed(np.load(tmp_path / "x.npy", mmap_mode="r"), y, FORMATS["gray"])
    order = np.random.default_rng(0).permutation(20)
    whole = list(feed_of(Case("ae", "mlp", "gray"), 20).batches(6, order))
    assert [len(b.x) for b in whole] == [6, 6, 6, 2]
    for a, b in zip(whole, mapped.batches(6, order), strict=True):
        assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y)
    for a, b in zip(whole[2:], mapped.batches(6, order, start=2), strict=True):
        assert torch.equal(a.x, b.x)
