"""Variants with discrete codes as whole models: their use of codes, their prior, their refusals."""

import copy

import pytest
import torch
from law_cases import Case, batch_of, feed_of, training_of

from lemari.errors import UsageError
from lemari.model import Autoencoder
from lemari.registry import VARIANTS
from lemari.tasks.embed import encode
from lemari.tasks.generate import prior_codes, settle
from lemari.terms.commitment import Commitment
from lemari.terms.fit import Recon
from lemari.types import Epoch, Schema


def test_training_tells_usage_of_each_epoch_alone():
    training = training_of(Case("vq-vae", "mlp", "table"), 40, epochs=2)
    epochs = [r for r in training.run() if isinstance(r, Epoch)]
    for e in epochs:
        assert 0 < e.measures["usage"] <= 40 / 512
        assert 1 < e.measures["perplexity"] <= 40 + 1e-6
    assert not training.model.posterior.counts.any()


def test_evaluation_leaves_the_codebook_alone():
    model = Case("vq-vae", "mlp", "table").build().eval()
    before = copy.deepcopy(model.posterior.state_dict())
    with torch.no_grad():
        model(batch_of(Case("vq-vae", "mlp", "table")))
    assert all(torch.equal(v, before[k]) for k, v in model.posterior.state_dict().items())


@pytest.mark.parametrize("variant", ["vq-vae", "residual-vq-vae", "fsq-vae"])
def test_the_first_codes_spread_over_the_data(variant):
    case = Case(variant, "mlp", "gray")
    model = training_of(case, 32).model.eval()
    with torch.no_grad():
        q = model(batch_of(case, 32)).q
    assert len(q.indices[:, 0].unique()) >= 3  # the rows lie near four prototypes
    assert float(q.mean.std(0).mean()) > 0.3


@pytest.mark.parametrize("variant", ["vq-vae", "residual-vq-vae", "fsq-vae"])
def test_settle_fits_the_prior_of_a_trained_model(variant):
    case = Case(variant, "maps", "gray")
    training = training_of(case, 40, epochs=1)
    list(training.run())
    settle(training.model, feed_of(case, 40))
    prior, book = training.model.prior, training.model.posterior
    torch.testing.assert_close(prior.chances.sum(1), torch.ones(len(prior.chances)))
    drawn = torch.from_numpy(prior_codes(training.model, 20))
    made = torch.from_numpy(encode(training.model, feed_of(case, 40)))
    back = book.vectors(book.indices_of(made)).flatten(1)
    if variant == "residual-vq-vae":  # sums of near-equal vectors may be mistaken for each other
        assert float((back - made).abs().mean()) < 0.005 * float(made.std())
        return
    torch.testing.assert_close(back, made, rtol=0, atol=1e-5)
    back = book.vectors(book.indices_of(drawn)).flatten(1)
    torch.testing.assert_close(back, drawn, rtol=0, atol=1e-5)


def test_a_copy_borrows_its_own_codebook():
    model = Case("vq-vae", "mlp", "table").build()
    twin = copy.deepcopy(model).double()
    assert twin.prior.borrowed[0] is twin.posterior is not model.posterior
    assert not any("borrowed" in name for name in model.state_dict())
    assert twin.prior(torch.zeros(2, 0)).sample().dtype == torch.float64


DATA = Schema("table", (8,), columns=tuple("abcdefgh"))


def test_commitment_needs_a_posterior_with_codes():
    model = Case("ae", "mlp", "table").build()
    parts = {name: getattr(model, name) for name in ("encoder", "posterior", "prior", "decoder")}
    with pytest.raises(UsageError, match="codes, but PointCode has none; use Codebook"):
        Autoencoder(model.data, **parts, terms=[Recon(), Commitment()])


@pytest.mark.parametrize(
    ("variant", "options", "said"),
    [
        ("vq-vae", {"latent": 6, "width": 4}, "divides 6: 1, 2, 3, 6"),
        ("vq-vae", {"width": 0}, "width that divides"),
        ("vq-vae", {"codes": 1}, "2 to 65536 codes"),
        ("vq-vae", {"decay": 1.0}, "between 0 and 1"),
        ("vq-vae", {"commitment": -1.0}, "0 or more"),
        ("residual-vq-vae", {"quantizers": 0}, "1 to 64"),
        ("fsq-vae", {"levels": "8-5.5"}, "whole numbers"),
        ("fsq-vae", {"levels": "8--5"}, "whole numbers"),
        ("fsq-vae", {"levels": ""}, "whole numbers"),
        ("fsq-vae", {"levels": "1-8"}, "at least 2"),
        ("fsq-vae", {"levels": "1000-1000"}, "at most 65536"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(variant, options, said):
    with pytest.raises(UsageError, match=said) as fault:
        VARIANTS[variant](DATA, **options)
    assert str(fault.value).endswith(".")


@pytest.mark.parametrize("variant", ["vq-vae", "residual-vq-vae", "fsq-vae"])
def test_colder_draws_are_likelier_codes_and_codes_still(variant):
    case = Case(variant, "mlp", "table")
    training = training_of(case, 40, epochs=1)
    for _ in training.run():
        pass
    model = training.model.eval()
    settle(model, feed_of(case, 40))
    law = model.prior(torch.zeros(50, 0))
    cold, same = law.tempered(0.0), law.tempered(1.0)
    torch.testing.assert_close(same.chances, law.chances)
    assert torch.equal(cold.chances.argmax(1), law.chances.argmax(1))
    ties = (law.chances == law.chances.max(1, keepdim=True).values).sum(1)
    torch.testing.assert_close(cold.chances.max(1).values, 1 / ties)  # only the likeliest are left
    codes = torch.from_numpy(prior_codes(model, 50, 0, temperature=0.5))
    book = model.posterior
    again = book.vectors(book.indices_of(codes)).view(50, -1).detach()
    near = 0.01 * float(codes.abs().max()) if variant == "residual-vq-vae" else 1e-4
    assert float((again - codes).abs().mean()) <= near
