"""The rules by which the threshold of a fitted detector is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemari.detect.thresholds import (
    Threshold,
    automatic,
    by_alarm_rate,
    by_costs,
    by_labels,
    fixed,
)
from lemari.errors import UsageError
from lemari.tasks.detect_data import marks, read_new
from lemari.tasks.detect_score import score_table
from lemari.tasks.detector_pictures import FittedPictures
from lemari.tasks.picture_runs import format_of, labelled_scores, read_pictures, score_pictures

SETTINGS = {"alarm_rate": ("confidence",), "costs": ("share",), "value": (), "automatic": (),
            "goal": ()}  # fmt: skip


def chosen(fitted: Any, scores: np.ndarray | None, y: Any, rule: Mapping[str, Any]) -> Threshold:
    """The threshold by one rule: alarm_rate (with confidence), costs=(miss, alarm) with share,
    value, automatic with scores (N,), or labels y (N,) with scores and a goal.

    Raises UsageError for anything else.
    """
    cal, rest = fitted.calibration, dict(rule)
    check_rule(rest)
    if "alarm_rate" in rest:
        return by_alarm_rate(cal, rest["alarm_rate"], confidence=rest.get("confidence"))
    if "costs" in rest:
        miss, alarm = rest["costs"]
        return by_costs(cal, miss, alarm, rest.get("share", 0.01), scores, y)
    if "value" in rest:
        return fixed(rest["value"], cal)
    if scores is not None and rest.get("automatic"):
        return automatic(cal, scores)
    if scores is not None and y is not None:
        return by_labels(scores, y, rest.get("goal", "f1"))
    raise UsageError(
        "Give one rule: alarm_rate=0.01, costs=(miss, alarm), value=..., automatic=True with X, or "
        "X and y."
    )


def check_rule(rule: Mapping[str, Any]) -> None:
    """UsageError unless one rule is given, with nothing that does not belong to it."""
    first = next((name for name in SETTINGS if rule.get(name) is not None), "goal")
    extra = [n for n in rule if n != first and n not in SETTINGS.get(first, ())]
    if extra and rule[extra[0]] is not None:
        with_ = f"with {first}" if first in rule else "to a rule"
        raise UsageError(f"{extra[0]} does not go {with_}; give one rule and what belongs to it.")
    costs = rule.get("costs", (1, 1))
    pair = isinstance(costs, tuple | list) and len(costs) == 2
    if not pair or not all(isinstance(c, int | float | np.number) for c in costs):
        raise UsageError(f"costs is {costs!r}; give two numbers, (miss, alarm).")
    if not isinstance(rule.get("goal", ""), str):
        raise UsageError(f'goal is {rule["goal"]!r}; use "f1", "precision=0.9" or "recall=0.9".')


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule for `chosen`, and the file of rows that it needs, with their label."""

    rule: dict[str, Any]
    file: str | None = None
    label: str | None = None


def ask(
    alarm_rate: float | None = None,
    confidence: float | None = None,
    miss_cost: float | None = None,
    alarm_cost: float | None = None,
    share: float | None = None,
    labels: str | None = None,
    label: str | None = None,
    goal: str | None = None,
    automatic: str | None = None,
    value: float | None = None,
) -> Asked | None:
    """The rule that options ask for, None when there is none; UsageError unless they make one."""
    kinds = {
        "--alarm-rate": alarm_rate is not None,
        "--miss-cost": miss_cost is not None or alarm_cost is not None,
        "--labels": labels is not None,
        "--automatic": automatic is not None,
        "--value": value is not None,
    }
    given = [name for name, there in kinds.items() if there]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} are two rules; give one.")
    extras = {"--confidence": (confidence, "--alarm-rate"), "--share": (share, "--miss-cost"),
              "--label": (label, "--labels"), "--goal": (goal, "--labels")}  # fmt: skip
    for name, (extra, needed) in extras.items():
        if extra is not None and not kinds[needed]:
            raise UsageError(f"{name} goes with {needed}; give both.")
    if not given:
        return None
    if alarm_rate is not None:
        return Asked({"alarm_rate": alarm_rate, "confidence": confidence})
    if kinds["--miss-cost"]:
        if miss_cost is None or alarm_cost is None:
            raise UsageError("Give both costs: --miss-cost and --alarm-cost.")
        return Asked({"costs": (miss_cost, alarm_cost), "share": 0.01 if share is None else share})
    if labels is not None:
        return Asked({"goal": goal or "f1"}, labels, label)
    return Asked({"value": value}) if automatic is None else Asked({"automatic": True}, automatic)


def choose(
    fitted: Any, asked: Asked
) -> tuple[Threshold, tuple[np.ndarray, np.ndarray] | None, list[str]]:
    """(threshold, labelled scores or None, notes) by a rule; reads and scores the file it needs."""
    if asked.file is None:
        return chosen(fitted, None, None, asked.rule), None, []
    if isinstance(fitted, FittedPictures):
        return chosen_by_pictures(fitted, asked)
    if "goal" in asked.rule and asked.label is None and not asked.file.lower().endswith(".npz"):
        raise UsageError("Say with --label which column of --labels holds the labels.")
    table = read_new(fitted, asked.file, asked.label)
    scored = score_table(fitted, table)
    if "goal" not in asked.rule:
        return chosen(fitted, scored.scores, None, asked.rule), None, scored.notes
    if table.frame.label is None:
        raise UsageError(f"{table.name} holds no labels; name their column with --label.")
    y, words = marks(table.frame.label)
    known = y >= 0
    labelled = (scored.scores[known], y[known])
    return chosen(fitted, *labelled, asked.rule), labelled, [*scored.notes, words]


def chosen_by_pictures(
    fitted: FittedPictures, asked: Asked
) -> tuple[Threshold, tuple[np.ndarray, np.ndarray] | None, list[str]]:
    """The same for a detector of pictures; the labels are class folders."""
    assert asked.file is not None
    if "goal" not in asked.rule:
        found = score_pictures(fitted, read_pictures(asked.file, format_of(fitted))[0])
        return chosen(fitted, found.scores, None, asked.rule), None, found.pictures.notes
    found, y, words = labelled_scores(fitted, asked.file, asked.label)
    known = y >= 0
    labelled = (found.scores[known], y[known])
    return chosen(fitted, *labelled, asked.rule), labelled, [*found.pictures.notes, words]
