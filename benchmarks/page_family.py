"""The parts of docs/benchmarks.md on the family: pythae beside it, samplers, maps."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "results"


def records(name: str) -> list[dict[str, Any]]:
    path = HERE / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def family() -> list[str]:
    """Everything that was measured of it."""
    lines = [*pythae(), *samplers(), *maps()]
    return ["## The family", "", *lines] if lines else []


def pythae() -> list[str]:
    """One row a variant: the measure of both, and how much faster an epoch is."""
    found = records("versus-pythae")
    if not found:
        return []
    first = found[0]
    lines = [
        "### The same variants in pythae 0.1.2",
        "",
        f"Same layers and first weights, {first['rows']:,} training pictures, {first['epochs']} "
        "epochs of batches of 128, Adam at 1e-3, one thread; an epoch of each in turn. NLL (nats, "
        f"{first['draws']} draws, each with its own estimator) on statically binarised MNIST, MSE "
        f"on MNIST, of {first['test rows']} test pictures. At this budget the NLL of equal models "
        "differs by about half a nat from seed to seed. Command: `python "
        "benchmarks/versus_pythae.py`.",
        "",
        "| variant | measure | Lemari | pythae | epoch, times faster (least) | seeds |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(r["variant"] for r in found):
        mine = [r for r in found if r["variant"] == name]
        a, b = (statistics.mean(r[who] for r in mine) for who in ("lemari", "pythae"))
        fast = statistics.median(r["times faster"]["median"] for r in mine)
        least = min(r["times faster"]["least"] for r in mine)
        digits = 2 if mine[0]["measure"] == "NLL" else 5
        lines.append(f"| `{name}` | {mine[0]['measure']} | {a:.{digits}f} | {b:.{digits}f} | "
                     f"{fast:.2f} ({least:.2f}) | {len(mine)} |")  # fmt: skip
    return [*lines, ""]


def samplers() -> list[str]:
    """The best sampler against N(0, I) and the model's own prior."""
    found = records("samplers")
    if not found:
        return []
    lines = [
        "### Samplers on frozen codes",
        "",
        f"Models of {found[0]['epochs']} epochs; {found[0]['examples']:,} examples; Frechet "
        "distance in a feature net that is trained on the rows themselves (no distance of other "
        "features, and not comparable between data sets). The best sampler is chosen on one half "
        "of the held-out rows and measured on the other. Command: `python benchmarks/samplers.py`.",
        "",
        "| data | variant | best | Frechet distance | N(0, I) | own prior | below N(0, I) | seed |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for r in found:
        value = {row["sampler"]: row["frechet"] for row in (*r["rows"], *r["baselines"])}
        best = r["best"]
        lines.append(f"| {r['data']} | `{r['variant']}` | {best} | {value[best]:.3f} | "
                     f"{value['normal']:.2f} | {value['prior']:.2f} | "
                     f"{100 * r['below_normal']:.0f} % | {r['seed']} |")  # fmt: skip
    return [*lines, ""]


def maps() -> list[str]:
    """Maps and clusters of neighbour-ae, and what stands beside them."""
    found = [r for r in records("neighbours") if r["split"] == "test"]
    if not found:
        return []
    lines = [
        "### Maps that follow neighbours",
        "",
        "Test split. kNN-5: share of test pictures whose five nearest training codes vote for "
        "their class. Trustworthiness: 15 neighbours, the first 2,000. umap-learn 0.5.12 (seed 0, "
        "measured separately): MNIST 95.6 % / 0.936, Fashion-MNIST 75.2 % / 0.972, 3.5 s for "
        "10,000 new pictures. Command: `python benchmarks/neighbours.py map --data mnist`.",
        "",
        "| setting | data | kNN-5 | trustworthiness | MSE | seconds for 10,000 | epochs | seed |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in found:
        mse = f"{r['mse']:.4f}" if r.get("mse") is not None else "-"
        seconds = r.get("transform_seconds")
        lines.append(f"| {r['setting']} | {r['data']} | {100 * r['knn5']:.1f} % | "
                     f"{r['trustworthiness']:.3f} | {mse} | "
                     f"{'-' if seconds is None else f'{seconds:.2f}'} | {r.get('epochs', '-')} | "
                     f"{r['seed']} |")  # fmt: skip
    return [*lines, ""]
