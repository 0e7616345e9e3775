"""The same variants in pythae and here: same layers, first weights, data, epochs and batches.

    python benchmarks/versus_pythae.py --epochs 10 --rows 10000 --seeds 0 1 2 [--only vae iwae]

Both train with Adam at 1e-3, constant, one epoch of each in turn in one process, so that a busy
machine slows both. Variational models see statically binarised MNIST and are judged by the
importance-sampled NLL of test pictures with equal draws, each with its own estimator; the others
see MNIST in gray and are judged by the mean squared error. Both have the same options, weights
brought to one scale (pythae's regularised autoencoders count the whole squared error, not half).

Needs LEMARI_DATA and `pip install --no-deps pythae`. Results go to
benchmarks/results/versus-pythae.json.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lemari.feed import Feed
from lemari.machine import describe
from lemari.metrics.likelihood import importance_nll
from lemari.model import Autoencoder
from lemari.sources import open_data
from lemari.store import build
from lemari.tasks.embed import reconstruct
from lemari.tasks.plan import Request, recipe_for
from lemari.train import Plan, Training

RESULTS = Path(__file__).parent / "results" / "versus-pythae.json"
NETWORK, LATENT, TESTED, DRAWS = "mlp-tanh:400-400", 16, 500, 200
# variant: (our options, their class, their options, their trainer)
LIKELIHOODS = {
    "vae": ({}, "VAE", {}, "Base"),
    "beta-vae": ({"beta": 2.0}, "BetaVAE", {"beta": 2.0}, "Base"),
    "beta-tc-vae": ({"beta": 2.0}, "BetaTCVAE", {"beta": 2.0}, "Base"),
    "iwae": ({"draws": 10}, "IWAE", {"number_samples": 10}, "Base"),
    "miwae": (
        {"draws": 5, "groups": 2},
        "MIWAE",
        {"number_samples": 5, "number_gradient_estimates": 2},
        "Base",
    ),
    "piwae": (
        {"draws": 5, "groups": 2},
        "PIWAE",
        {"number_samples": 5, "number_gradient_estimates": 2},
        "CoupledOptimizer",
    ),
    "ciwae": ({"draws": 10, "beta": 0.5}, "CIWAE", {"number_samples": 10, "beta": 0.5}, "Base"),
    "infovae": ({}, "INFOVAE_MMD", {"alpha": 0.5, "lbd": 100.5}, "Base"),
    "vamp-vae": ({"components": 50}, "VAMP", {"number_components": 50}, "Base"),
    "factor-vae": ({"gamma": 2.0}, "FactorVAE", {"gamma": 2.0}, "Adversarial"),
    "flow-posterior-vae": ({"flow": "iaf"}, "VAE_IAF", {}, "Base"),
    "sphere-vae": ({}, "SVAE", {}, "Base"),
    "poincare-vae": ({}, "PoincareVAE", {}, "Base"),
}
ERRORS = {
    "ae": ({}, "AE", {}, "Base"),
    "wae-mmd": ({}, "WAE_MMD", {"reg_weight": 200.0}, "Base"),
    "rae-l2": ({}, "RAE_L2", {"embedding_weight": 0.02}, "CoupledOptimizer"),
    "rae-gp": ({}, "RAE_GP", {"embedding_weight": 0.02, "reg_weight": 0.01}, "Base"),
    "aae": (
        {"weight": 0.5},
        "Adversarial_AE",
        {"deterministic_posterior": True, "adversarial_loss_scale": 0.5},
        "Adversarial",
    ),
}


def data(variant: str, rows: int) -> tuple:
    """Format, training and test pictures (stored) of the set that the variant is judged on."""
    name = "mnist-static" if variant in LIKELIHOODS else "mnist"
    train = open_data(name, split="train")
    fmt = train.learn()
    x = train.load(fmt).x[:rows]
    return fmt, x, open_data(name, split="test").load(fmt).x[:TESTED]


def ours(variant: str, fmt, x: np.ndarray, epochs: int, seed: int) -> Training:
    """Our training, which yields an epoch at a time."""
    options, *_ = (LIKELIHOODS | ERRORS)[variant]
    likelihood = "bernoulli" if variant in LIKELIHOODS else "mse"
    options = {"network": NETWORK, "latent": LATENT, "likelihood": likelihood, **options}
    request = Request(variant, options, epochs=epochs, seed=seed, schedule="constant", threads=1)
    recipe = recipe_for(fmt.schema, request)
    plan = Plan(epochs, 128, 1e-3, seed, "constant")
    return Training(build(fmt.schema, recipe), Feed(x, None, fmt), plan)


def theirs(variant: str, model: Autoencoder, x: torch.Tensor, folder: str):
    """pythae's trainer around copies of our networks, with the same first weights."""
    import pythae.models
    import pythae.trainers
    from pythae.data.datasets import BaseDataset

    _, name, options, trainer = (LIKELIHOODS | ERRORS)[variant]
    models = vars(pythae.models)
    config_class = models.get(f"{name}Config") or models[f"{name}_Config"]
    loss = {"reconstruction_loss": "bce" if variant in LIKELIHOODS else "mse"}
    options = options | ({} if name == "AE" else loss)
    config = config_class(input_dim=tuple(x.shape[1:]), latent_dim=LATENT, **options)
    encoder, decoder = layers(model, variant)
    made = getattr(pythae.models, name)(config, encoder=encoder, decoder=decoder)
    kind = getattr(pythae.trainers, f"{trainer}TrainerConfig")
    rate = {
        "Base": ("learning_rate",),
        "CoupledOptimizer": ("encoder_learning_rate", "decoder_learning_rate"),
        "Adversarial": ("autoencoder_learning_rate", "discriminator_learning_rate"),
    }[trainer]
    more = {}
    if variant == "rae-l2":  # pythae leaves the decay of the decoder's weights to the optimiser
        more = {"decoder_optimizer_params": {"weight_decay": 2e-3}}
    settings = kind(output_dir=folder, per_device_train_batch_size=128, no_cuda=True,
                    **dict.fromkeys(rate, 1e-3), **more)  # fmt: skip
    rows = BaseDataset(x, torch.zeros(len(x)))
    made_trainer = getattr(pythae.trainers, f"{trainer}Trainer")(
        made, train_dataset=rows, training_config=settings
    )
    made_trainer.prepare_training()
    return made_trainer


def layers(model: Autoencoder, variant: str):
    """Copies of our encoder and decoder in pythae's classes."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    heads = model.posterior.heads

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.latent_dim = copy.deepcopy(model.encoder), LATENT
            self.kappa = torch.nn.Linear(LATENT, 1)

        def forward(self, x: torch.Tensor) -> ModelOutput:
            h = self.net(x, x.new_zeros(len(x), 0))
            if heads == 1:
                return ModelOutput(embedding=h, log_covariance=torch.zeros_like(h))
            mean, spread = h[:, :LATENT], h[:, LATENT : 2 * LATENT]
            if variant == "sphere-vae":
                return ModelOutput(embedding=mean, log_concentration=self.kappa(spread))
            return ModelOutput(embedding=mean, log_covariance=2 * spread)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = copy.deepcopy(model.decoder.net)

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.net(z, z.new_zeros(len(z), 0)).sigmoid())

    return Encoder(), Decoder()


def one(variant: str, rows: int, epochs: int, seed: int) -> dict:
    """Train both in turn and judge both; seconds are of training alone."""
    fmt, x, test = data(variant, rows)
    training = ours(variant, fmt, x, epochs, seed)
    unit = fmt.unit(torch.from_numpy(np.ascontiguousarray(x)))
    held = fmt.unit(torch.from_numpy(np.ascontiguousarray(test)))
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        trainer = theirs(variant, training.model, unit, folder)
        seconds: dict[str, list[float]] = {"lemari": [], "pythae": []}
        for epoch in range(1, epochs + 1):
            begin = time.perf_counter()
            for _ in training.one_epoch():
                pass
            middle = time.perf_counter()
            trainer.train_step(epoch=epoch)
            seconds["lemari"].append(middle - begin)
            seconds["pythae"].append(time.perf_counter() - middle)
        mine, other = judge(variant, training.model, trainer.model, Feed(test, None, fmt), held)
    ratio = [b / a for a, b in zip(*seconds.values(), strict=True)]
    return {
        "variant": variant,
        "seed": seed,
        "rows": rows,
        "epochs": epochs,
        "measure": "NLL" if variant in LIKELIHOODS else "MSE",
        "lemari": mine,
        "pythae": other,
        "times faster": {"median": statistics.median(ratio), "least": min(ratio)},
        "seconds an epoch": {k: statistics.median(v) for k, v in seconds.items()},
        "test rows": len(test),
        "draws": DRAWS,
    }


def judge(variant: str, mine, other, feed: Feed, held: torch.Tensor) -> tuple[float, float]:
    """NLL with equal draws, or MSE, of both on the same test rows."""
    mine.eval(), other.eval()
    with torch.no_grad():
        if variant in LIKELIHOODS:
            nll = float(importance_nll(mine, feed, DRAWS).mean())
            return nll, -float(other.get_nll(held, n_samples=DRAWS, batch_size=DRAWS))
        mine_x = torch.cat([reconstruct(mine, b) for b in feed.batches(500)])
        other_x = other.decoder(other.encoder(held).embedding).reconstruction
        return tuple(float((a - held).square().mean()) for a in (mine_x, other_x))  # pyright: ignore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[*LIKELIHOODS, *ERRORS])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        for variant in arguments.only:
            try:
                record = one(variant, arguments.rows, arguments.epochs, seed)
            except Exception as fault:
                print(f"{variant}: {type(fault).__name__}: {str(fault)[-300:]}", flush=True)
                continue
            print(json.dumps(record), flush=True)
            kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
            RESULTS.write_text(json.dumps([*kept, record | {"machine": describe()}], indent=1))


if __name__ == "__main__":
    main()
