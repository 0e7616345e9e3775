"""Training loops of others, and ours, on the same network and rows."""

from __future__ import annotations

import statistics
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lemari.feed import Feed
from lemari.sources import open_data
from lemari.store import build
from lemari.tasks.plan import sized
from lemari.train import Plan, Training
from lemari.types import Epoch, Pulse


class Items(Dataset):
    """One tensor an item, scaled to [0, 1]: how a tutorial serves pictures."""

    def __init__(self, x: np.ndarray, scale: float) -> None:
        self.x, self.scale = x, scale

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> torch.Tensor:
        return torch.from_numpy(self.x[i].astype(np.float32)) * self.scale


def chapter_net() -> nn.Sequential:
    """The chapter's autoencoder in plain torch modules."""
    encoder = [
        nn.Conv2d(1, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2048, 2),
    ]
    decoder = [
        nn.Linear(2, 2048),
        nn.Unflatten(1, (128, 4, 4)),
        nn.ConvTranspose2d(128, 128, 3, 2, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 3, 2, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, 1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
        nn.Sigmoid(),
    ]
    return nn.Sequential(nn.Sequential(*encoder), nn.Sequential(*decoder))


def tiny_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(30, 16),
        nn.ReLU(),
        nn.Linear(16, 8),
        nn.Linear(8, 16),
        nn.ReLU(),
        nn.Linear(16, 30),
    )


class PlainLoop:
    """`window(seconds)` trains for about that long and returns rows a second."""

    def __init__(self, net: nn.Module, data: Dataset, batch: int, hooks: int = 0) -> None:
        self.net, self.hooks = net, hooks
        self.loader = DataLoader(data, batch_size=batch, shuffle=True)
        self.optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
        self.batches, self.log, self.last = iter(self.loader), {}, 0.0

    def next(self) -> torch.Tensor:
        try:
            return next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            return next(self.batches)

    def step(self) -> int:
        x = self.next()
        self.optimiser.zero_grad()
        loss = nn.functional.mse_loss(self.net(x), x)
        loss.backward()
        self.optimiser.step()
        self.last = loss.item()
        for name in range(self.hooks):
            self.log[f"callback {name}"] = {"loss": self.last, "step": len(self.log)}
        return len(x)

    def window(self, seconds: float) -> float:
        begin, rows = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            rows += self.step()
        return rows / (time.perf_counter() - begin)


class OurLoop:
    """Lemari's training in the same windows."""

    def __init__(self, feed: Feed, recipe, schema) -> None:
        self.training = Training(build(schema, recipe), feed, Plan(10**6, recipe.batch_size))
        self.records, self.last = self.training.run(), 0.0

    def window(self, seconds: float) -> float:
        t = self.training
        begin, first = time.perf_counter(), t.epoch * t.steps + t.step
        while time.perf_counter() - begin < seconds:
            record = next(self.records)
            if isinstance(record, Epoch | Pulse):
                self.last = record.loss
        steps = t.epoch * t.steps + t.step - first
        return steps * t.plan.batch_size / (time.perf_counter() - begin)


class LightningLoop:
    """Lightning's own Trainer on the same network, with all that slows it and may be off, off.

    A window is one epoch, timed between the epoch's own hooks, so that set-up does not count.
    """

    def __init__(self, net: nn.Module, data: Dataset, batch: int) -> None:
        import logging
        import warnings

        from lightning import pytorch as pl

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="lightning")
        outer, self.rows = self, len(data)  # pyright: ignore[reportArgumentType]

        class Module(pl.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.net = net

            def training_step(self, x: torch.Tensor, index: int) -> torch.Tensor:
                return nn.functional.mse_loss(self.net(x), x)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.Adam(self.net.parameters(), lr=1e-3)

            def on_train_epoch_start(self) -> None:
                outer.begin = time.perf_counter()

            def on_train_epoch_end(self) -> None:
                outer.seconds = time.perf_counter() - outer.begin

        self.begin = self.seconds = 0.0
        self.module, self.loader = Module(), DataLoader(data, batch_size=batch, shuffle=True)
        quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        self.trainer = lambda: pl.Trainer(
            max_epochs=1, accelerator="cpu", **dict.fromkeys(quiet, False)
        )

    def window(self, seconds: float) -> float:
        self.trainer().fit(self.module, self.loader)
        return self.rows / self.seconds


class PythaeLoop(PlainLoop):
    """pythae's BaseTrainer, one epoch over as many rows as fit the window."""

    def __init__(self, x: np.ndarray, batch: int) -> None:
        from pythae.data.datasets import BaseDataset
        from pythae.models import AE, AEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig

        net = chapter_net()

        class Encoder(BaseEncoder):
            def __init__(self) -> None:
                super().__init__()
                self.net = net[0]

            def forward(self, x: torch.Tensor) -> ModelOutput:
                return ModelOutput(embedding=self.net(x))

        class Decoder(BaseDecoder):
            def __init__(self) -> None:
                super().__init__()
                self.net = net[1]

            def forward(self, z: torch.Tensor) -> ModelOutput:
                return ModelOutput(reconstruction=self.net(z))

        config = AEConfig(input_dim=(1, 32, 32), latent_dim=2)
        model = AE(config, encoder=Encoder(), decoder=Decoder())
        data = BaseDataset(torch.from_numpy(x.astype(np.float32) / 255), torch.zeros(len(x)))
        training = BaseTrainerConfig(
            output_dir=tempfile.gettempdir(),
            num_epochs=1,
            learning_rate=1e-3,
            per_device_train_batch_size=batch,
            no_cuda=True,
        )
        self.trainer = BaseTrainer(model, train_dataset=data, training_config=training)
        self.trainer.prepare_training()
        self.rows = len(data)

    def window(self, seconds: float) -> float:
        begin = time.perf_counter()
        self.trainer.train_step(epoch=1)
        return self.rows / (time.perf_counter() - begin)


def alternate(loops: dict, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Windows in turn; the first round warms up and does not count."""
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, loop in loops.items():
            speed = loop.window(seconds)
            if turn:
                speeds[name].append(speed)
    return speeds


def ratios(speeds: dict[str, list[float]]) -> dict:
    """Median rows a second, and our speed over each other one, window by window."""
    found: dict = {"rows_per_second": {k: statistics.median(v) for k, v in speeds.items()}}
    for name, values in speeds.items():
        if name != "lemari":
            pairs = [a / b for a, b in zip(speeds["lemari"], values, strict=True)]
            found[f"over {name}"] = {
                "median": statistics.median(pairs),
                "least": min(pairs),
                "most": max(pairs),
                "windows": len(pairs),
            }
    return found


def pictures(count: int = 60_000):
    source = open_data("fashion-mnist")
    fmt, _ = sized(source.learn(), "chapter")
    return fmt, source.load(fmt).x[:count]
