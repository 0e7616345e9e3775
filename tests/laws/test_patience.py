"""Laws of early stopping: it looks at rows of its own, keeps the best epoch, and can go on."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from law_cases import FORMATS, Case, differing, run, stored, weights

import lemari.train
from lemari.checkpoint import restore, save_checkpoint
from lemari.errors import Diverged, UsageError
from lemari.feed import Feed
from lemari.formats import format_from_json
from lemari.store import Fitted
from lemari.tasks.fit import start, train_in
from lemari.tasks.history import keep_history, kept_epoch
from lemari.tasks.job import job_of
from lemari.tasks.plan import Request, hold_out, recipe_for, set_apart
from lemari.train import Plan, Training, measure
from lemari.types import Epoch, Rows

CASE = Case("vae", "mlp", "table")
EPOCHS, PATIENCE = 30, 2


def noise(rows: int, seed: int) -> Feed:
    """Rows without structure, on which a model soon over-fits."""
    x = np.random.default_rng(seed).normal(0, 1, (rows, 5)).astype(np.float32)
    return Feed(x, np.arange(rows) % 3, FORMATS["table"])


def started(patience: int | None = PATIENCE, epochs: int = EPOCHS) -> Training:
    plan = Plan(epochs, 7, 2e-2, 3, "constant", patience=patience)
    return Training(CASE.build(3), noise(25, 0), plan, noise(40, 1))


def epochs_of(training: Training) -> list[Epoch]:
    return [record for record in run(training) if isinstance(record, Epoch)]


def test_it_stops_after_so_many_epochs_without_a_better_one():
    training = started()
    records = epochs_of(training)
    losses = [record.valid["loss"] for record in records]
    best = int(np.argmin(losses)) + 1
    assert len(records) == best + PATIENCE < EPOCHS
    assert training.best.epoch == best and training.best.loss == min(losses)
    for n in range(1, best):  # it did not go without a better one as long before
        assert min(losses[n : n + PATIENCE]) < min(losses[:n]), n


def test_the_weights_are_those_of_the_best_epoch():
    training = started()
    epochs_of(training)
    assert measure(training.model, training.valid, training.plan)["loss"] == training.best.loss
    shorter = started(None)
    for record in shorter.run():
        if isinstance(record, Epoch) and record.number == training.best.epoch:
            break
    assert not differing(weights(training.model), weights(shorter.model))


def test_a_patience_longer_than_the_training_still_keeps_the_best():
    training = started(patience=EPOCHS)
    assert len(epochs_of(training)) == EPOCHS
    assert training.best.epoch < EPOCHS
    assert measure(training.model, training.valid, training.plan)["loss"] == training.best.loss


def test_without_patience_nothing_changes():
    long, plain = started(patience=EPOCHS), started(None)
    assert [r.loss for r in epochs_of(long)] == [r.loss for r in epochs_of(plain)]
    assert plain.best is None
    assert differing(weights(long.model), weights(plain.model))


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path, monkeypatch):
    whole = started()
    records = [{**asdict(r), "seconds": 0} for r in epochs_of(whole)]
    monkeypatch.setattr(lemari.train, "PULSE_SECONDS", -1.0)
    for after in range(1, len(records) * whole.steps + 1):
        folder, first = tmp_path / str(after), started()
        for n, _ in enumerate(first.run(), 1):
            if n == after:
                save_checkpoint(folder, first)
                break
        training = started()
        assert restore(folder, training)
        assert (training.best is None) == (after < whole.steps)
        left = [{**asdict(r), "seconds": 0} for r in epochs_of(training)]
        assert left == records[len(records) - len(left) :], after
        assert not differing(weights(training.model), weights(whole.model)), after
        assert (training.best.epoch, training.best.loss) == (whole.best.epoch, whole.best.loss)


@pytest.mark.parametrize(
    "best", [None, 5, {"epoch": 0, "loss": 1.0}, {"epoch": 9, "loss": 1.0},
             {"epoch": 1, "loss": math.inf}, {"epoch": 1}]
)  # fmt: skip
def test_a_checkpoint_without_its_best_epoch_is_passed_over(best, tmp_path):
    training = started()
    for record in training.run():
        if isinstance(record, Epoch):
            break
    save_checkpoint(tmp_path, training)
    assert restore(tmp_path, started())
    (path,) = tmp_path.glob("*.json")
    record = json.loads(path.read_text())
    record.pop("best")
    path.write_text(json.dumps(record | ({} if best is None else {"best": best})))
    fresh = started()
    assert not restore(tmp_path, fresh)
    assert fresh.epoch == 0 and fresh.best is None


def test_a_checkpoint_with_a_best_epoch_is_not_for_a_training_without_patience(tmp_path):
    training = started()
    for record in training.run():
        if isinstance(record, Epoch):
            break
    save_checkpoint(tmp_path, training)
    assert not restore(tmp_path, started(None))


def test_divergence_after_a_resume_in_mid_epoch_goes_back_to_the_last_epochs_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lemari.train, "PULSE_SECONDS", -1.0)
    first = started(None)
    for n, _ in enumerate(first.run(), 1):
        if n == first.steps:
            good = weights(first.model)
        if n == first.steps + 2:
            save_checkpoint(tmp_path, first)
            break
    training = started(None)
    assert restore(tmp_path, training) and training.step == 2
    training.feed.x[:] = math.nan
    with pytest.raises(Diverged):
        run(training)
    assert not differing(weights(training.model), good)


@pytest.mark.parametrize("rows", [2, 3, 25, 1000])
def test_the_three_parts_of_the_rows_share_none(rows):
    train, held = hold_out(rows, 0.1, 0)
    kept, valid = set_apart(train, 0)
    together = np.concatenate([kept, valid, held])
    if rows > 2:
        assert sorted(together) == list(range(rows))
        assert len(valid) == max(1, round(0.1 * len(train)))
    assert np.array_equal(kept, np.sort(kept)) and len(kept)
    assert not np.array_equal(set_apart(np.arange(1000), 1)[1], set_apart(np.arange(1000), 2)[1])


@pytest.fixture
def job():
    def make(patience: int | None = 2):
        x, y = stored(CASE.data, 60)
        x = x + np.random.default_rng(1).normal(0, 1, x.shape).astype(np.float32)
        request = Request("vae", CASE.options, 60, 7, 2e-2, 3, "constant", 1, patience=patience)
        rows = Rows(x, y, tuple(map(str, range(60))))
        return job_of(recipe_for(CASE.data, request), FORMATS["table"], rows, [], {})

    return make


def test_a_job_watches_rows_that_are_neither_trained_on_nor_scored(job):
    found = job()
    assert set(found.watched().index) == set(found.valid_index)
    assert not set(found.valid_index) & (set(found.train) | set(found.held_index))
    assert len(found.train) + len(found.valid_index) + len(found.held_index) == 60
    plain = job(None)
    assert plain.valid_index is None
    assert np.array_equal(plain.watched().index, plain.held_index)
    assert np.array_equal(plain.held_index, found.held_index)
    assert found.split == plain.split == "held out"


def test_a_run_folder_marks_the_best_epoch_and_holds_its_weights(job, tmp_path):
    made = job()
    start(tmp_path, made)
    fitted, history = train_in(tmp_path, made)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    marked = [line["number"] for line in lines if line.get("best")]
    losses = [line["valid"]["loss"] for line in lines]
    assert marked == [int(np.argmin(losses)) + 1] == [kept_epoch(history)["number"]]
    assert len(lines) == marked[0] + 2
    assert history == lines == keep_history(tmp_path, 60)
    loss = measure(fitted.model, made.watched(), made.recipe.plan)["loss"]
    assert loss == pytest.approx(min(losses))
    kept = Fitted.load(tmp_path)
    assert kept.recipe.patience == 2
    assert format_from_json(made.format.to_json()) == made.format
    again, same = train_in(tmp_path, made)  # resuming a finished run trains nothing
    assert same == history
    assert not differing(weights(again.model), weights(fitted.model))


def test_without_patience_no_epoch_is_marked(job, tmp_path):
    made = job(None)
    start(tmp_path, made)
    _, history = train_in(tmp_path, made)
    assert not any("best" in record for record in history)
    assert kept_epoch(history)["number"] == 60 and kept_epoch([]) == {}


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="at least 1 epoch"):
        Plan(patience=0)
    with pytest.raises(UsageError, match="validation rows"):
        Training(CASE.build(), noise(9, 0), Plan(patience=1))


def test_an_estimator_sets_rows_apart_itself(tmp_path):
    from lemari.surfaces.estimator import AE, load

    x = np.random.default_rng(0).normal(0, 1, (40, 5)).astype(np.float32)
    plan = {"network": "mlp:16", "epochs": 200, "batch_size": 8, "lr": 2e-2, "threads": 1}
    model = AE(**plan, schedule="constant", patience=2).fit(x)
    losses = [epoch.valid["loss"] for epoch in model.history_]
    assert len(losses) == int(np.argmin(losses)) + 3 < 200
    assert load(model.save(tmp_path / "m")).patience == 2
    assert not AE(**plan | {"epochs": 1}).fit(x).history_[0].valid


def test_a_resume_knows_patience_and_augmentation():
    from lemari.surfaces.cli.training import options_of

    request = Request("ae", {"network": "mlp:4"}, patience=3)
    known = options_of(recipe_for(CASE.data, request))
    assert known["patience"] == 3 and known["augment"] == "none"
