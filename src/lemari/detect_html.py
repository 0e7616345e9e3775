"""Pages about anomalies: a detector's report, and the worst rows of a table, as safe HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lemari.files import write
from lemari.report_html import page, pairs, picture, table, text

Record = Mapping[str, Any]
FOOT = "This file is complete: it loads nothing from elsewhere."
LONGEST = 120  # characters of a cell
MOST_ALARMS = 200


def report(folder: Path, told: Record) -> Path:
    """Write `report.html` of a detector's run from its summary and its picture."""
    sections = (
        ("Threshold", _threshold(folder, told)),
        ("Scores", _scores(told)),
        (
            "Worst rows" if told["columns"] else "Worst pictures",
            _drawn(folder) + _worst(told["worst"], bool(told["detector"]["stored_rows"])),
        ),
        ("Columns", _columns(told)),
        ("Data", _data(told)),
        ("How to use", _use(str(told["name"]), "new.csv" if told["columns"] else "FOLDER")),
    )
    foot = f"Written by Lemari {text(told['version'])}. {FOOT}"
    html = page(str(told["name"]), _head(told), [(n, b) for n, b in sections if b], foot)
    return write(folder / "report.html", html.encode("utf-8", "replace"))


def results_page(path: Path, told: Record) -> Path:
    """Write the page of scored rows: how many are flagged, the worst ones, and drift alarms."""
    title = f"Anomalies in {', '.join(told['files'][:3])}" + (" ..." if told["files"][3:] else "")
    kind = "pictures" if "picture" in told else "rows"
    verdict = (
        f"{text(told['flagged'])} of {text(told['rows'])} {kind} are flagged: they score above "
        f"{text(told['threshold'])}."
    )
    facts = f"Detector {text(told['run'])}"
    head = (
        f'<header><p class="kicker">{kind.capitalize()} scored by a detector</p>'
        f"<h1>{escape(title)}</h1>"
        f'<p class="verdict">{verdict}</p><p class="facts">{facts}</p></header>'
    )
    notes = "".join(f"<li>{text(note)}</li>" for note in told["notes"])
    sections = (
        (
            "Worst ones",
            (picture(told["picture"]) if told.get("picture") else "") + _worst(told["worst"], True),
        ),
        ("Drift", _drift(told["drift"]) if told.get("drift") is not None else ""),
        ("Notes", f"<ul>{notes}</ul>" if notes else ""),
    )
    html = page(title, head, [(n, b) for n, b in sections if b], f"Written by Lemari. {FOOT}")
    return write(path, html.encode("utf-8", "replace"))


def percent(share: float | None) -> str:
    """A share as a percentage in few digits; a dash where it is unknown.

    >>> percent(0.0123), percent(None)
    ('1.23 %', '–')
    """
    return "–" if share is None else f"{100 * share:.3g} %"


def _cell(value: object) -> str:
    words = str(value)
    return escape(words if len(words) <= LONGEST else words[: LONGEST - 3] + "...")


def _head(told: Record) -> str:
    data, threshold = told["data"], told["threshold"]
    tiles = [
        ("Trained on", f"{data['trained_on']:,}", _kind(told)),
        ("Threshold", f"{threshold['value']:.4g}", threshold["rule"].replace("-", " ")),
    ]
    expected = threshold["expected"].get("alarms_per_10000")
    if expected is not None:
        tiles.append(("False alarms", f"{expected:,.4g}", "in 10,000 normal rows"))
    tiles += [(s["name"], f"{s['value']:.4g}", _beside(s)) for s in told["scores"][:2]]
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b><small>{escape(words)}</small>"
        "</dd></div>"
        for name, value, words in tiles
    )
    return (
        f'<header><p class="kicker">Report of a detector</p><h1>{escape(str(told["name"]))}</h1>'
        f'<p class="verdict">{_verdict(told)}</p><dl class="tiles">{cells}</dl></header>'
    )


def _verdict(told: Record) -> str:
    data = told["data"]
    said = f"What is normal was learned from {data['trained_on']:,} {_kind(told)} of "
    said += f"{text(data['name'])}."
    if told["threshold"]["note"]:
        said += f" {text(told['threshold']['note'])}"
    return said


def _kind(told: Record) -> str:
    return "pictures" if "size" in told["detector"] else "rows"


def _beside(score: Record) -> str:
    return ", ".join(f"{b['name']} {b['value']:.4g}" for b in score["baselines"])


def _threshold(folder: Path, told: Record) -> str:
    own, kind = told["threshold"], _kind(told)
    whose = f"held-out normal {kind}"
    if not told["detector"]["normal_only"]:
        whose = f"the {kind} trained on, of which some may be anomalous"
    return (
        picture(folder / "figures" / "threshold.png")
        + _errors(told["errors"], own["value"])
        + f"<p>Chosen by {text(own['rule'])}. False alarms are those of {whose}, with the 95 % "
        "interval of the rate. The threshold is kept in threshold.json and is changed "
        "without training again.</p>"
    )


def _errors(rows: Sequence[Record], own: float) -> str:
    """The table of both errors; the row of the threshold in use is in bold."""
    labelled = any(row["recall"] is not None for row in rows)
    head = ["Threshold", "False alarms", "95 % interval", "Alarms per 10,000"]
    head += ["Missed", "Recall", "Precision"] if labelled else []
    found = []
    for row in rows:
        low, high = percent(row["low"]), percent(row["high"])
        cells = [f"{row['threshold']:.4g}", percent(row["false_alarm_rate"]), f"{low} to {high}"]
        cells.append(f"{row['alarms_per_10000']:,.4g}")
        if labelled:
            missed = None if row["recall"] is None else 1 - row["recall"]
            cells += [percent(missed), percent(row["recall"]), percent(row["precision"])]
        if row["threshold"] == own:
            cells = [f"<b>{cell}</b>" for cell in cells]
        found.append(cells)
    return table(head, found, "Both errors")


def _scores(told: Record) -> str:
    if not told["scores"]:
        return ""
    rows = [
        (
            text(s["name"]),
            f"<b>{s['value']:.4g}</b>",
            escape(_beside(s)) or "–",
            text(s["rows"]),
            text(s["split"]),
        )
        for s in told["scores"]
    ]
    known = f"<p>Labels: {text(told['labels'])}.</p>" if told["labels"] else ""
    return (
        known
        + table(("Score", "This detector", "Simple methods", "Rows", "Measured on"), rows, "Scores")
        + "<p>kNN: distance to the sixth nearest training row. PCA: squared error of the "
        "reconstruction from 90 % of the variance. IForest: isolation forest of scikit-learn.</p>"
    )


def _drawn(folder: Path) -> str:
    """The worst pictures, of a detector of pictures."""
    path = folder / "figures" / "worst.png"
    return picture(path) if path.is_file() else ""


def _worst(rows: Sequence[Record], stored: bool) -> str:
    """One block for each row: why, and its values beside those of the nearest normal rows."""
    if not rows:
        return ""
    files = len({row["file"] for row in rows}) > 1
    if any("name" in row for row in rows):
        return "".join(_row(row, files) for row in rows)
    said = "<p>The first row of a file is row 1."
    said += " Beside each value stand those of the nearest normal rows.</p>" if stored else "</p>"
    return said + "".join(_row(row, files) for row in rows)


def _row(row: Record, files: bool) -> str:
    words = [f"score {row['score']:.4g}", f"p-value {row['p_value']:.3g}"]
    words.append("flagged" if row["flagged"] else "not flagged")
    words += [f"labelled {row['label']}"] if row.get("label") else []
    if row.get("name"):
        why = "; ".join(_cell(reason["text"]) for reason in row["reasons"])
        name = f"{row['file']}: {row['name']}" if files else row["name"]
        return (f'<h3 class="next">{_cell(name)}</h3><p class="facts">'
                f"{escape(', '.join(words))}</p><p>{why}</p>")  # fmt: skip
    name = f"{_cell(row['file'])}, row {row['row']:,}" if files else f"Row {row['row']:,}"
    why = "; ".join(_cell(reason["text"]) for reason in row["reasons"])
    count = max((len(one["nearest"]) for one in row["beside"]), default=0)
    head = ["Column", "This row", *(f"Nearest {i + 1}" for i in range(count))]
    head = [*head[:2], "Nearest normal row"] if count == 1 else head
    cells = [
        [_cell(one["column"]), f"<b>{_cell(one['value'])}</b>", *map(_cell, one["nearest"])]
        for one in row["beside"]
    ]
    return (
        f'<h3 class="next">{name}</h3><p class="facts">{escape(", ".join(words))}</p>'
        f"<p>{why}</p>" + table(head, cells, f"Row {row['row']}")
    )


def _drift(alarms: Sequence[Record]) -> str:
    if not alarms:
        return "<p>No drift was found.</p>"
    rows = [
        (text(a["row"]), _cell(a["what"]), _cell(a["statistic"]), percent(a["before"]),
         percent(a["now"]), text(a["window"]))
        for a in alarms[:MOST_ALARMS]
    ]  # fmt: skip
    head = ("Row", "What", "Share", "Before", "Now", "Of the last rows")
    more = len(alarms) - len(rows)
    return table(head, rows, "Drift alarms") + (f"<p>And {more:,} more.</p>" if more else "")


def _columns(told: Record) -> str:
    rows = [
        (_cell(c["name"]), text(c["kind"]), text(c["missing"]), _cell(content(c)) or "–",
         _cell(c["note"]) or "–")
        for c in told["columns"]
    ]  # fmt: skip
    if not rows:
        return ""
    left = told["columns_left_out"]
    more = f"<p>And {left:,} more columns.</p>" if left else ""
    return table(("Column", "Kind", "Missing", "Content", "Note"), rows, "Columns") + more


def content(column: Record) -> str:
    """What a column holds, in words: a range, the words for false and true, or levels."""
    if "range" in column:
        low, high = (f"{v:,.6g}" if isinstance(v, int | float) else v for v in column["range"])
        return f"{low} to {high}" if low != high else str(low)
    if "words" in column:
        return " or ".join(column["words"])
    if "levels" in column:
        often = ", ".join(
            f"{_short(k)} ({v:,})" for k, v in list(column["most_frequent"].items())[:4]
        )
        return f"{column['levels']:,} levels: {often}"
    return ""


def _short(level: str) -> str:
    return level if len(level) <= 24 else level[:21] + "..."


def _data(told: Record) -> str:
    data, made = told["data"], told["detector"]
    facts = [
        ("file", data["name"]),
        ("rows", data["rows"]),
        ("rows trained on", data["trained_on"]),
        ("training rows taken as normal", made["normal_only"]),
        ("columns", made["columns"]),
        ("features", made["features"]),
        ("training rows stored in the model", made["stored_rows"]),
        ("calibration rows", made["calibration_rows"]),
        ("labels", told["labels"]),
        ("updated from", told.get("updated_from")),
        ("seconds", told["seconds"]),
    ]
    notes = "".join(f"<li>{text(note)}</li>" for note in data["notes"])
    return pairs(facts, "Data") + (f"<ul>{notes}</ul>" if notes else "")


def _use(name: str, new: str) -> str:
    lines = (
        f"lemari detect {name} {new} -o scores.csv",
        f"lemari threshold {name} --alarm-rate 0.005",
    )
    return f"<pre>{escape(chr(10).join(lines))}</pre>"
