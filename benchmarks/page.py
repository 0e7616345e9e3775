"""Writes docs/benchmarks.md from the results that the benchmark scripts left as JSON.

python benchmarks/page.py
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path

from page_detection import section
from page_family import family

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results", HERE.parent / "docs" / "benchmarks.md"
SHOWN = ("MSE", "PSNR", "kNN-5 accuracy", "loss", "NLL (1000 draws)")
ENTRIES = {
    p.stem: json.loads(p.read_text()) for p in sorted((HERE.parent / "reproduce").glob("*.json"))
}

RESTORED = {
    "small": ("Denoising of 28x28 pictures, noise clipped to the range", "sigma of 1"),
    "small-sr": ("28x28 from 14x14 pictures, means of 2x2 blocks", "scale"),
    "gray": ("Denoising of gray pictures", "sigma of 255"),
    "blind-spot": ("Denoising of gray pictures, trained without clean ones", "sigma of 255"),
    "color": ("Denoising of colour pictures", "sigma of 255"),
    "sr": ("Super-resolution, by luma", "scale"),
}


def spread(values: list[float]) -> str:
    """Mean, and half the range when there are several."""
    digits = 5 if max(map(abs, values)) < 0.1 else 4 if max(map(abs, values)) < 2 else 2
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def quality(name: str, records: list[dict]) -> list[str]:
    """One table a setting: a row for each data set and score."""
    groups: dict[str, list[dict]] = defaultdict(list)
    for record in records:
        groups[record["data"]].append(record)
    lines = [
        f"### {ENTRIES[name]['about']}",
        "",
        "| data | score | Lemari, mean (least to most) | baselines | seeds | test rows | asked |",
        "|---|---|---|---|---|---:|---|",
    ]
    for data, group in groups.items():
        for score in SHOWN:
            found = [s for r in group for s in r["scores"] if s["name"] == score]
            if not found:
                continue
            beside = ", ".join(f"{b['name']} {b['value']:.4g}" for b in found[0]["baselines"])
            value = spread([s["value"] for s in found])
            unit = f" {found[0]['unit']}" if found[0]["unit"] else ""
            seeds = ", ".join(str(r["seed"]) for r in group)
            how, bound = ENTRIES[name]["goals"].get(data, {}).get(score, ("", ""))
            asked = f"{how} {bound}".strip() or "-"
            lines.append(
                f"| {data} | {score} | {value}{unit} | {beside or '-'} | {seeds} "
                f"| {found[0]['rows']:,} | {asked} |"
            )
    lines.append("")
    for data, group in groups.items():
        seconds, first = [r["train_seconds"] for r in group if r["train_seconds"]], group[0]
        took = (
            f"{min(seconds):.0f} to {max(seconds):.0f} s" if seconds else "time not taken (paused)"
        )
        threads = " or ".join(str(n) for n in sorted({r["threads"] for r in group}))
        lines.append(
            f"{data}: {first['epochs']} epochs, {took} of "
            f"training on {threads} thread(s), {first['precision']}. Command: "
            f"`python benchmarks/quality.py {name} --data {data} --seeds "
            f"{' '.join(str(r['seed']) for r in group)} --threads {first['threads']}`"
        )
        lines.append("")
    return lines


def speeds(record: dict) -> list[str]:
    """Ratios of the speed script."""
    lines = [
        "| what | Lemari | other | ratio, median (least to most) | windows | asked |",
        "|---|---|---|---|---:|---|",
    ]
    for name, asked in (("chapter", ">= 2"), ("tiny", ">= 4")):
        part = record.get(name, {})
        rows = part.get("rows_per_second", {})
        for key, ratio in part.items():
            if key.startswith("over "):
                other = key.removeprefix("over ")
                lines.append(
                    f"| {name}: training | {rows['lemari']:,.0f} rows/s | {other} "
                    f"{rows[other]:,.0f} rows/s | {ratio['median']:.2f} "
                    f"({ratio['least']:.2f} to {ratio['most']:.2f}) | {ratio['windows']} "
                    f"| {asked} |"
                )
    if encode := record.get("encode"):
        lines.append(
            f"| encode {encode['rows']:,} pictures | {encode['seconds']:.2f} s | - | - "
            f"| {len(encode['all'])} | <= 1.5 s |"
        )
    if memory := record.get("memory"):
        lines.append(
            f"| peak memory of `lemari train fashion-mnist` | "
            f"{memory['peak_resident_bytes'] / 2**30:.2f} GiB | - | - | 1 | < 1.5 GiB |"
        )
    if start := record.get("help"):
        lines.append(
            f"| `lemari --help` | {start['seconds']:.2f} s | - | - | {start['runs']} | < 0.5 s |"
        )
    return [
        *lines,
        "",
        "Commands: `python benchmarks/speed.py chapter` (and `tiny`, `encode`, `memory`, `help`).",
        "",
    ]


def cell(record: dict, name: str) -> str:
    """PSNR and SSIM of one method, and on how many pictures when it is not all of them."""
    found = [row for row in record["rows"] if row["name"] == name]
    if not found:
        return "-"
    row, most = found[0], max(r["pictures"] for r in record["rows"])
    text = f"{row['psnr']:.2f}" + ("" if row["ssim"] is None else f" / {row['ssim']:.4f}")
    return text + (f" (first {row['pictures']})" if row["pictures"] < most else "")


def restored(job: str, records: list[dict]) -> list[str]:
    """One table a job of the restoration script: a row for each set and level."""
    title, level = RESTORED[job]
    names = list(dict.fromkeys(row["name"] for r in records for row in r["rows"]))
    beside = sorted({name for r in records for name in r["published"] | r["references"]})
    lines = [
        f"### {title}",
        "",
        "| "
        + " | ".join(["data", level, "run", *names, *(f"*{n}, elsewhere*" for n in beside)])
        + " |",
        "|---|---:|---|" + "---:|" * (len(names) + len(beside)),
    ]
    for r in sorted(records, key=lambda r: (r["data"], r["level"])):
        known = r["published"] | r["references"]
        values = [cell(r, name) for name in names]
        values += [f"*{known[name]:.2f}*" if name in known else "-" for name in beside]
        lines.append(f"| {r['data']} | {r['level']:g} | {r['run']} | " + " | ".join(values) + " |")
    counts = {r["data"]: max(row["pictures"] for row in r["rows"]) for r in records}
    said = ", ".join(f"{count:,} ({data})" for data, count in counts.items())
    seeds = sorted({r["seed"] for r in records})
    lines += ["", f"Pictures: {said}. Seed {', '.join(map(str, seeds))}.", ""]
    return lines


def restoration_speed(records: list[dict]) -> list[str]:
    """Seconds a picture of each method, and the memory of `lemari restore`."""
    lines = ["### Speed and memory of restoring", ""]
    lines += ["| picture | method | seconds, median (least to most) | PSNR | threads |"]
    lines += ["|---|---|---:|---:|---:|"]
    for r in records:
        for row in r.get("rows", ()):
            lines.append(
                f"| {r['data']} | {row['name']} | {row['seconds']:.2f} ({row['least']:.2f} to "
                f"{row['most']:.2f}) | {row['psnr']:.2f} | {r['threads']} |"
            )
        if "peak_resident_bytes" in r:
            lines.append(
                f"| {r['data']} | `lemari restore`, {r['run']}, peak memory "
                f"{r['peak_resident_bytes'] / 2**30:.2f} GiB | {r['seconds']:.0f} | - "
                f"| {r['threads']} |"
            )
    for r in records:
        if "tiled_difference" in r:
            lines += ["", f"{r['run']}: tiles differ from the whole picture at once by at most "
                      f"{r['tiled_difference']:.4f} of 255."]  # fmt: skip
    return [*lines, ""]


def restoration(records: list[dict]) -> list[str]:
    """PSNR in dB and SSIM, means over pictures; published figures in italics."""
    lines = [
        "PSNR in dB / SSIM, means over pictures; levels are sigma (of 255, or of 1 for small "
        "pictures) or the scale. Figures in italics were published or measured elsewhere. "
        "Commands: `python benchmarks/restoration.py JOB RUN`, networks by "
        "`python benchmarks/restoration_training.py`.",
        "",
    ]
    for job in RESTORED:
        if found := [r for r in records if r["job"] == job]:
            lines += restored(job, found)
    if found := [r for r in records if r["job"] in ("speed", "memory")]:
        lines += restoration_speed(found)
    return lines + training_times()


def training_times() -> list[str]:
    """How long each network of the restoration tables was trained."""
    lines = ["### Training of these networks", "",
             "One thread of a machine that also did other work, so upper bounds. Each by "
             "`python benchmarks/restoration_training.py SETTING --threads 1`.", "",
             "| setting | epochs | seconds |", "|---|---|---|"]  # fmt: skip
    for r in json.loads((RESULTS / "restoration-training.json").read_text()):
        lines.append(f"| {r['setting']} | {r['epochs']} | {r['seconds']:,} |")
    return [*lines, ""]


def main() -> None:
    text = [*(HERE / "preface.md").read_text().rstrip().splitlines(), "", "## Quality", ""]
    for name in ENTRIES:
        path = RESULTS / f"{name}.json"
        if path.exists():
            text += quality(name, json.loads(path.read_text()))
    path = RESULTS / "restoration.json"
    if path.exists():
        text += ["## Restoration", "", *restoration(json.loads(path.read_text()))]
    text += section()
    text += family()
    path = RESULTS / "speed.json"
    if path.exists():
        text += ["## Speed, memory, start-up", "", *speeds(json.loads(path.read_text()))]
    PAGE.write_text("\n".join(text).rstrip() + "\n")
    print(f"Wrote {PAGE}")


if __name__ == "__main__":
    main()
