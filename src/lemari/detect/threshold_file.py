"""threshold.json of a run folder: small, and meant to be edited by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lemari.detect.calibration import Calibration
from lemari.detect.thresholds import LARGEST, Threshold, by_alarm_rate, by_costs, fixed
from lemari.errors import RunError, UsageError
from lemari.files import read_json, write_json

NAME = "threshold.json"
VERSION = 1
RULES = ("alarm-rate", "costs", "labels", "automatic", "fixed")
_OWN = ("version", "rule", "threshold", "expected", "note", "as_written")


def write_threshold(path: Path | str, threshold: Threshold) -> Path:
    """Write a threshold in one step; `path` is the file or the run folder.

    `as_written` repeats number and settings, so that an edit can be told from what was computed.
    """
    settings = dict(threshold.settings)
    content: dict[str, Any] = {"version": VERSION, "rule": threshold.rule, **settings}
    content["threshold"] = threshold.value
    content["expected"] = {k: float(f"{v:.6g}") for k, v in threshold.expected.items()}
    if threshold.note:
        content["note"] = threshold.note
    content["as_written"] = {"rule": threshold.rule, "threshold": threshold.value, **settings}
    return write_json(_file(path), content)


def read_threshold(path: Path | str, cal: Calibration) -> Threshold:
    """The threshold that the file asks for, with this calibration.

    - A changed "threshold" wins over everything else: the rule becomes "fixed".
    - Otherwise "alarm-rate", and "costs" with assumed misses, are computed from the settings in the
      file and the calibration, so that an edited setting takes effect.
    - "labels", "automatic" and other "costs" need rows that are no longer there: the number stands
      as long as rule and settings are as written; changing them is an error.

    "threshold" may be left out where it is computed. Raises RunError in one sentence that names
    what to mend.
    """
    file = _file(path)
    content = _content(file)
    rule, value = content["rule"], content.get("threshold")
    settings = {k: v for k, v in content.items() if k not in _OWN}
    written = content.get("as_written", {})
    try:
        if rule == "fixed" or _edited(value, written):
            return fixed(_needed(value, file), cal)
        if rule == "alarm-rate":
            _only(settings, ("alarm_rate", "confidence"), file)
            confidence = settings.get("confidence")
            rate = _number(settings, "alarm_rate", file)
            return by_alarm_rate(cal, rate, confidence=confidence)
        if rule == "costs" and settings.get("misses_from", "assumed") == "assumed":
            _only(settings, ("miss", "alarm", "share", "misses_from"), file)
            return by_costs(cal, *(_number(settings, k, file) for k in ("miss", "alarm", "share")))
    except UsageError as fault:
        raise RunError(f"{file}: {fault}") from fault
    if {"rule": rule, "threshold": value, **settings} != written:
        raise RunError(
            f'{file}: the rule "{rule}" needs rows that are not in the run; set "threshold" to a '
            'number, or use the rule "alarm-rate".'
        )
    expected = content.get("expected", {})
    return Threshold(_needed(value, file), rule, settings, expected, content.get("note", ""))


def _file(path: Path | str) -> Path:
    path = Path(path)
    return path / NAME if path.is_dir() else path


def _content(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if not isinstance(content, dict):
        raise RunError(f'{file} must hold names and values, such as {{"threshold": 3.2}}.')
    if content.get("version") != VERSION:
        raise RunError(
            f'{file}: "version" is {content.get("version")!r} and must be {VERSION}; put it back, '
            "or update Lemari."
        )
    if content.get("rule") not in RULES:
        known = ", ".join(f'"{rule}"' for rule in RULES)
        raise RunError(f'{file}: "rule" is {content.get("rule")!r}; use one of {known}.')
    for name, kind in (("as_written", dict), ("expected", dict), ("note", str)):
        if not isinstance(content.get(name, kind()), kind):
            raise RunError(f'{file}: "{name}" was changed to something else; leave it out.')
    if not all(map(_is_number, content.get("expected", {}).values())):
        raise RunError(f'{file}: "expected" holds something other than numbers; leave it out.')
    return content


def _edited(value: object, written: Mapping[str, object]) -> bool:
    """Whether a number stands there that Lemari did not write."""
    return value is not None and value != written.get("threshold")


def _needed(value: Any, file: Path) -> float:
    if not _is_number(value):
        raise RunError(f'{file}: "threshold" is {value!r}; give a number.')
    return float(value)


def _number(settings: Mapping[str, Any], name: str, file: Path) -> float:
    value: Any = settings.get(name)
    if not _is_number(value):
        raise RunError(f'{file}: "{name}" is {value!r}; give a number.')
    return float(value)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -LARGEST < value < LARGEST


def _only(settings: Mapping[str, object], known: tuple[str, ...], file: Path) -> None:
    other = sorted(set(settings) - set(known))
    if other:
        names = ", ".join(f'"{name}"' for name in known)
        raise RunError(f'{file}: "{other[0]}" is not a setting of this rule; it knows {names}.')
