"""Runs side by side: the same rows, the same measures, one table and one picture."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lemari import figures
from lemari.errors import LemariError, RunError, UsageError
from lemari.files import finite_or_none, read_json, write, write_json
from lemari.machine import threads
from lemari.model import likelihood_of
from lemari.store import Fitted
from lemari.tasks.embed import decode, reconstruct
from lemari.tasks.evaluate import CHEAP, evaluate
from lemari.tasks.generate import prior_codes
from lemari.tasks.history import keep_history
from lemari.tasks.job import Job, reopen
from lemari.tasks.judge import factors_of
from lemari.tasks.restorer import need_code

FEWEST, SHOWN = 2, 10  # rows that all runs held out; pictures in a strip

Say = Callable[[str], None]


@dataclass
class Competitor:
    """One run: its model, its data, and, once judged, its scores."""

    name: str
    folder: Path
    fitted: Fitted
    job: Job
    history: list[dict]
    scores: list[dict[str, Any]] = field(default_factory=list)

    @property
    def likelihood(self) -> tuple[str, float | None]:
        """Which law of the data, with its sigma where that is fixed."""
        law = likelihood_of(self.fitted.model)
        return type(law).__name__, None if law.learned else law.sigma


def enter(folders: Sequence[Path], progress=None) -> list[Competitor]:
    """The runs, named by their folders, all with the same data.

    UsageError for fewer than two, or one without a code; RunError, naming the run, for one that
    was trained on other data.
    """
    if len(folders) < 2:
        raise UsageError("Comparing takes two runs or more.")
    names = [folder.resolve().name for folder in folders]
    fitted = [Fitted.load(folder) for folder in folders]
    for folder, one in zip(folders, fitted, strict=True):
        need_code(one, str(folder))
    found: list[Competitor] = []
    for folder, name, one in zip(folders, names, fitted, strict=True):
        shown = name if names.count(name) == 1 else str(folder)
        if found:
            check_same_data(found[0], shown, one)
        job = reopen(one.recipe, one.format, progress)
        if found:  # one copy in memory
            job = replace(job, rows=found[0].job.rows, held=found[0].job.held)
        found.append(Competitor(shown, folder, one, job, keep_history(folder, one.recipe.epochs)))
    return found


def check_same_data(first: Competitor, name: str, other: Fitted) -> None:
    mine, theirs = first.fitted.recipe.data, other.recipe.data
    same = mine.fingerprint == theirs.fingerprint
    if same and first.fitted.format.to_json() == other.format.to_json():
        return
    one, two = (Path(data.name or "an array").name for data in (mine, theirs))
    how = f"{two} against {one}" if one != two else f"{one}, read in another way or changed"
    raise RunError(
        f"{name} was not trained on the data of {first.name} ({how}), so their scores do not "
        "compare; leave it out, or train it on the same data with the same options."
    )


def common_rows(runs: Sequence[Competitor]) -> np.ndarray:
    """Positions of the rows that every run held out; of a publisher's test part, all.

    RunError when hardly any is left, as when runs of several seeds held out different rows.
    """
    for run in runs:
        if run.job.split.startswith("training"):
            raise RunError(
                f"{run.name} held out no rows, so every score would be one of training rows; "
                "train it again with --held-out 0.1."
            )
    held = runs[0].job.held_index
    for run in runs[1:]:
        held = np.intersect1d(held, run.job.held_index)
    if len(held) < FEWEST:
        raise RunError(
            f"These runs have {len(held)} held-out rows in common, for each held out its own; "
            "train them with the same --seed and --held-out, or on data with a test part."
        )
    return held


def judge(
    runs: Sequence[Competitor],
    held: np.ndarray,
    measures: Sequence[str] | None = None,
    seed: int = 0,
    say: Say = lambda text: None,
) -> None:
    """Score every run on the same rows; scores of the run's own report serve where they are."""
    for run in runs:
        run.scores = recorded(run, held) if measures is None else []
        if run.scores:
            continue
        train, feed = run.job.feed(run.job.rows, run.job.train), run.job.feed(run.job.held, held)
        with threads(run.fitted.recipe.threads):
            e = evaluate(run.fitted.model, train, feed, split=run.job.split, seed=seed,
                         measures=measures or CHEAP, recipe=run.fitted.recipe,
                         factors=factors_of(run.fitted, feed, run.job.split),
                         progress=lambda text, name=run.name: say(f"{name}: {text}"))  # fmt: skip
        run.scores = [asdict(score) for score in e.scores]


def recorded(run: Competitor, held: np.ndarray) -> list[dict[str, Any]]:
    """The scores in summary.json, when they are of exactly these rows; else none."""
    if not np.array_equal(held, run.job.held_index):
        return []
    try:
        scores = read_json(run.folder / "summary.json")["scores"]
        return scores if all(s["rows"] <= len(held) for s in scores) else []
    except (LemariError, KeyError, TypeError):
        return []


def score_table(runs: Sequence[Competitor]) -> list[dict[str, Any]]:
    """One row a score: its name, which way is better, and a value for each run, None where none.

    Under each score come its baselines, of the same runs. `best` names the run that leads;
    nats are ranked only among models of one likelihood, losses only within one variant.
    """
    table: dict[str, dict[str, Any]] = {}
    alike = len({run.likelihood for run in runs}) == 1
    one = len({run.fitted.recipe.variant for run in runs}) == 1
    for at, run in enumerate(runs):
        for score in run.scores:
            name = re.sub(r"^active units of \d+$", "active units", score["name"])
            row = table.setdefault(name, new_row(score | {"name": name}, len(runs)))
            row["values"][at] = score["value"]
            for beside in score["baselines"]:
                name = re.sub(r"^PCA-\d+$", "PCA of equal width", beside["name"])
                row["baselines"].setdefault(name, [None] * len(runs))[at] = beside["value"]
    for row in table.values():
        known = [(v, i) for i, v in enumerate(row["values"]) if v is not None]
        fair = row["unit"] != "nats" or (alike and (one or row["name"] != "loss"))
        if row["better"] and len(known) > 1 and fair:
            lead = (min if row["better"] == "lower" else max)(known)
            row["best"] = runs[lead[1]].name
    return list(table.values())


def new_row(score: dict[str, Any], runs: int) -> dict[str, Any]:
    return {"name": score["name"], "better": score["better"], "unit": score["unit"], "best": None,
            "values": [None] * runs, "baselines": {}}  # fmt: skip


def differences(runs: Sequence[Competitor]) -> dict[str, list[Any]]:
    """The parts of the recipes in which the runs differ: name -> one value a run."""
    recipes = [run.fitted.recipe.model_dump(exclude={"data"}) for run in runs]
    recipes = [recipe.pop("options") | recipe for recipe in recipes]
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    values = {key: [recipe.get(key) for recipe in recipes] for key in keys}
    return {key: row for key, row in values.items() if len(set(map(str, row))) > 1}


@torch.no_grad()
def draw(runs: Sequence[Competitor], held: np.ndarray, seed: int = 0):
    """Learning curves; of pictures also a strip of the same rows and one of samples a run."""
    curves = {run.name: run.history for run in runs}
    if runs[0].fitted.format.kind != "image":
        return figures.comparison(curves)
    batch = runs[0].job.feed(runs[0].job.held, held[:SHOWN]).gather(np.arange(len(held[:SHOWN])))
    rebuilt, samples = {}, {}
    for run in runs:
        model = run.fitted.model.eval()
        width = getattr(model.condition, "width", 0)
        y = np.arange(SHOWN) % width if width else None
        rebuilt[run.name] = channels_last(reconstruct(model, batch).numpy())
        samples[run.name] = channels_last(decode(model, prior_codes(model, SHOWN, seed), y))
    return figures.comparison(curves, channels_last(batch.x.numpy()), rebuilt, samples)


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def keep(
    folder: Path, runs: Sequence[Competitor], table: list[dict], held: np.ndarray, seed: int = 0
) -> list[str]:
    """Write comparison.json, comparison.csv and comparison.png; returns their names."""
    result = {"runs": [run.name for run in runs], "rows": len(held), "split": runs[0].job.split,
              "scores": table, "differ": differences(runs)}  # fmt: skip
    write_json(folder / "comparison.json", finite_or_none(result))
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["score", "better", *(run.name for run in runs)])
    for row in table:
        lines.writerow([row["name"], row["better"], *row["values"]])
        for name, values in row["baselines"].items():
            lines.writerow([f"{row['name']}: {name}", row["better"], *values])
    write(folder / "comparison.csv", text.getvalue().encode())
    figures.save(draw(runs, held, seed), folder / "comparison.png")
    return ["comparison.json", "comparison.csv", "comparison.png"]
