"""The options of `lemari train --task detect` that other tasks do not have."""

from __future__ import annotations

from typing import Any

FLAGS = ("normal_only", "no_memory")
VALUES = ("window", "by", "types", "alarm_rate")
TAKEN = {"data", "task", "seed", "threads", "out", "label", "drop", "held_out", "as_json"}


def words_of(words: list[str]) -> tuple[str, dict[str, Any]]:
    """DATA, and --normal-only, --no-memory, --window, --by, --types and --alarm-rate by name."""
    from lemari.errors import UsageError
    from lemari.registry import nearest

    data, found, left = None, {}, list(words)
    types: dict[str, str] = {}
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        key = name.replace("-", "_")
        if not word.startswith("-") and (data is None or not (types and "=" in word)):
            if data is not None:
                raise UsageError(f"Give one file to train on; {word!r} is another.")
            data = word
        elif not word.startswith("-"):
            types |= type_of(word)
        elif key in FLAGS and not equals:
            found["memory" if key == "no_memory" else key] = key == "normal_only"
        elif word.startswith("--") and key in VALUES:
            if not equals and not left:
                raise UsageError(f"--{name} needs a value.")
            value = value if equals else left.pop(0)
            if key == "types":
                types |= type_of(value)
            else:
                found[key] = typed(key, value)
        else:
            shown = [f"--{k.replace('_', '-')}" for k in (*FLAGS, *VALUES, *sorted(TAKEN))]
            raise UsageError(nearest(word, shown, "option of train --task detect"))
    if data is None:
        raise UsageError("Say what to train on: `lemari train data.csv --task detect`.")
    return data, found | {"types": types}


def type_of(word: str) -> dict[str, str]:
    from lemari.errors import UsageError

    name, equals, kind = word.rpartition("=")
    if not equals or not name:
        raise UsageError(f"--types takes column=kind, such as zip=category, not {word!r}.")
    return {name: kind}


def typed(key: str, value: str) -> Any:
    from lemari.errors import UsageError

    try:
        return {"window": int, "alarm_rate": float}.get(key, str)(value)
    except ValueError:
        raise UsageError(f"--{key.replace('_', '-')} takes a number, not {value!r}.") from None
