"""The report of a run: one HTML file that holds everything and asks the network for nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

from lemari.figures.captions import CAPTIONS
from lemari.figures.style import counted
from lemari.files import write
from lemari.report_html import flat, page, pairs, picture, table, text

Record = Mapping[str, object]
_MOST_FILES = 200
_MOST_EPOCHS = 12
_SEVERITIES = ("error", "warning", "info")


def write_report(run: Path) -> Path:
    """Gather what a run folder holds into `report.html` in that folder, and return its path.

    Missing or unreadable parts are left out, so that an unfinished or older run has a report too.
    """
    run = Path(run)
    summary, epochs = _read(run / "summary.json"), _epochs(run / "metrics.jsonl")
    sections = (
        ("Findings", _findings(summary)),
        ("Pictures", _pictures(run / "figures")),
        ("Scores", _scores(summary)),
        ("Diagnosis", _diagnosis(_part(summary, "diagnosis"))),
        ("Training", _training(summary, epochs)),
        ("Model", _model(summary, _read(run / "recipe.json"))),
        ("Data", _data(_part(summary, "data"), _read(run / "format.json"))),
        ("How to reproduce", _reproduce(summary)),
        ("Environment", pairs(flat(_read(run / "env.json")), "Environment")),
    )
    name = str(summary.get("name") or run.resolve().name)
    version = f" {text(summary['version'])}" if summary.get("version") else ""
    foot = f"Written by Lemari{version}. This file is complete: it loads nothing from elsewhere."
    html = page(name, _head(name, summary), [(t, b) for t, b in sections if b], foot)
    return write(run / "report.html", html.encode("utf-8", "replace"))


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _epochs(path: Path) -> list[Record]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def _part(record: Record, key: str) -> dict:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _records(record: Record, key: str) -> list[dict]:
    found = record.get(key)
    return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []


def _value(score: Record) -> str:
    return text(score.get("value")) + (f" {text(score['unit'])}" if score.get("unit") else "")


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value else None


def _standing(score: Record, base: Record) -> str:
    """How a score stands to a baseline; empty where that cannot be said."""
    ours, theirs = _real(score.get("value")), _real(base.get("value"))
    if ours is None or theirs is None or score.get("better") not in ("lower", "higher"):
        return ""
    if ours == theirs:
        return "equal to"
    return "better than" if (ours < theirs) == (score["better"] == "lower") else "worse than"


def _against(score: Record) -> list[str]:
    words = []
    for base in _records(score, "baselines"):
        standing = _standing(score, base)
        kind = standing.split(" ")[0] or "plain"
        name = f'<span class="{kind}">{standing}</span> {text(base.get("name"))}'
        words.append(f"{name.strip()} ({text(base.get('value'))})")
    return words


def _head(name: str, summary: Record) -> str:
    latent = f"{text(summary['latent'])} latent dimensions" if summary.get("latent") else ""
    facts = [text(v) for v in (summary.get("variant"), summary.get("network")) if v]
    facts += [latent] if latent else []
    facts += [text(v) for v in (_part(summary, "data").get("name"),) if v]
    tiles = "".join(
        f"<div><dt>{text(score.get('name'))}</dt><dd><b>{_value(score)}</b>"
        f"{''.join(f'<small>{words}</small>' for words in _against(score))}</dd></div>"
        for score in _records(summary, "scores")[:6]
    )
    return (
        f'<header><p class="kicker">Report of a run</p><h1>{escape(name)}</h1>'
        f'<p class="verdict">{_verdict(summary)}</p>'
        + (f'<p class="facts">{" · ".join(facts)}</p>' if facts else "")
        + (f'<dl class="tiles">{tiles}</dl>' if tiles else "")
        + "</header>"
    )


def _verdict(summary: Record) -> str:
    scores, found = _records(summary, "scores"), _records(summary, "findings")
    words = []
    if scores:
        on = f" on the {text(scores[0]['split'])} data" if scores[0].get("split") else ""
        beside = "".join(f", {words}" for words in _against(scores[0])[:1])
        words.append(f"{text(scores[0].get('name'))} {_value(scores[0])}{on}{beside}.")
    counts = [(sum(f.get("severity") == s for f in found), s) for s in _SEVERITIES[:2]]
    counts = [counted(n, s) for n, s in counts if n]
    if counts:
        words.append(f"{' and '.join(counts).capitalize()} to look at.")
    elif "findings" in summary:
        words.append("Nothing was found to be wrong.")
    return " ".join(words) or "No scores were recorded for this run."


def _findings(summary: Record) -> str:
    def rank(finding: Record) -> int:
        kind = finding.get("severity")
        return _SEVERITIES.index(kind) if kind in _SEVERITIES else len(_SEVERITIES)

    cards = []
    for finding in sorted(_records(summary, "findings"), key=rank):
        kind, remedy = _SEVERITIES[min(rank(finding), 2)], finding.get("remedy")
        remedy = f"<p><b>What to do:</b> {text(remedy)}</p>" if remedy else ""
        cards.append(
            f'<li class="finding {kind}"><h3><span>{kind.capitalize()}</span> '
            f"{text(finding.get('name'))}</h3><p>{text(finding.get('evidence'))}</p>{remedy}</li>"
        )
    return f'<ul class="findings">{"".join(cards)}</ul>' if cards else ""


def _pictures(folder: Path) -> str:
    order = {stem: place for place, stem in enumerate(CAPTIONS)}
    paths = [p for p in folder.glob("*") if p.suffix in (".png", ".gif") and p.name[0] != "."]
    paths.sort(key=lambda p: (order.get(p.stem, len(order)), p.stem, p.suffix != ".png"))
    return "".join(picture(path) for path in paths)


def _scores(summary: Record) -> str:
    rows = []
    for score in _records(summary, "scores"):
        better = f"{text(score['better'])} is better" if score.get("better") else "–"
        beside = "<br>".join(_against(score)) or "–"
        name, value = text(score.get("name")), f"<b>{_value(score)}</b>"
        rows.append(
            (name, value, beside, better, text(score.get("split")), text(score.get("rows")))
        )
    head = ("Score", "This model", "Beside it", "Direction", "Data", "Rows")
    return table(head, rows, "Scores") if rows else ""


def _percent(value: object) -> str:
    real = _real(value)
    return "–" if real is None else f"{100 * real:.1f} %"


def _diagnosis(found: Record) -> str:
    spans = found.get("range") if isinstance(found.get("range"), list) else []
    rows = [
        (f"range of z{i}", f"{text(span[0])} to {text(span[1])}")
        for i, span in enumerate(spans[:16])  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
        if isinstance(span, list) and len(span) == 2
    ]
    rows += [("latent area without data", _percent(found["empty"]))] if "empty" in found else []
    between = [(n.replace("_", " "), v) for n, v in flat(_part(found, "between"))]
    area = [(text(name), _percent(v)) for name, v in _part(found, "area").items()]
    return pairs([*rows, *between], "Diagnosis of the latent space") + (
        table(("Class", "Share of the latent area"), area, "Latent area") if area else ""
    )


def _training(summary: Record, epochs: list[Record]) -> str:
    loss, last = _part(summary, "loss"), epochs[-1] if epochs else {}
    facts = (
        ("epochs", summary.get("epochs", len(epochs) or None)),
        ("time, seconds", summary.get("seconds")),
        ("rows per second", summary.get("rows_per_second")),
        ("training loss, nats per example", loss.get("train", last.get("loss"))),
        ("held-out loss, nats per example", loss.get("valid", _part(last, "valid").get("loss"))),
        ("lowest loss these pixels allow, nats", summary.get("floor")),
    )
    return pairs(facts, "Training") + _epoch_table(epochs)


def _epoch_table(epochs: list[Record]) -> str:
    if not epochs:
        return ""
    step = max(1, -(-len(epochs) // _MOST_EPOCHS))
    shown = epochs[:-1:step] + epochs[-1:]
    terms = [str(name) for name in list(_part(epochs[-1], "terms"))[:6]]
    rows = [
        [text(e.get("number")), text(e.get("loss")), text(_part(e, "valid").get("loss"))]
        + [text(_part(e, "terms").get(name)) for name in terms]
        + [text(e.get("seconds"))]
        for e in shown
    ]
    head = ("Epoch", "Loss", "Held-out loss", *(escape(name) for name in terms), "Seconds")
    return table(head, rows, "Epochs")


def _model(summary: Record, recipe: Record) -> str:
    facts = [(key, summary.get(key)) for key in ("variant", "network")]
    facts += [("latent dimensions", summary.get("latent"))]
    facts += [(f"parameters, {k}", v) for k, v in _part(summary, "parameters").items()]
    facts += [("effective beta", summary.get("effective_beta"))]
    facts += [("likelihood", summary.get("likelihood")), ("sigma", summary.get("sigma"))]
    layers = [
        [text(layer.get(key)) for key in ("name", "kind", "part", "output", "parameters")]
        for layer in _records(summary, "layers")
    ]
    head = ("Layer", "Kind", "Part", "Output", "Parameters")
    settings = pairs(flat(recipe), "Recipe")
    return (
        pairs(facts, "Model")
        + (table(head, layers, "Layers") if layers else "")
        + (f'<h3 class="next">Recipe</h3>{settings}' if settings else "")
    )


def _data(data: Record, form: Record) -> str:
    facts = [(k.replace("_", " "), v) for k, v in data.items() if k not in ("skipped", "notes")]
    notes = data.get("notes") if isinstance(data.get("notes"), list) else []
    notes = "".join(f"<li>{text(note)}</li>" for note in notes)  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable]
    settings = pairs(flat(form), "Format")
    return (
        pairs(facts, "Data")
        + (f"<ul>{notes}</ul>" if notes else "")
        + _skipped(_records(data, "skipped"))
        + (f'<h3 class="next">Format</h3>{settings}' if settings else "")
    )


def _skipped(files: list[dict]) -> str:
    if not files:
        return ""
    rows = [(text(f.get("file")), text(f.get("reason"))) for f in files[:_MOST_FILES]]
    more = len(files) - len(rows)
    rest = f"<p>And {more:,} more.</p>" if more else ""
    inside = table(("File", "Reason"), rows, "Skipped files") + rest
    return f"<details><summary>{counted(len(files), 'file')} skipped</summary>{inside}</details>"


def _reproduce(summary: Record) -> str:
    words = (("The command that made this run:", "command"), ("What to try next:", "next"))
    return "".join(
        f"<p>{line}</p><pre>{text(summary[key])}</pre>" for line, key in words if summary.get(key)
    )
