"""Findings: what went wrong in a training, with the numbers and the one setting to change.

evidence    what findings are judged on
probe       measures it on a model: gradients, corruption, condition, codes
latent      collapse, dead codes, prior hole, beta
curves      a critic at chance, a learning rate too high, over-fitting, collapse under way
output      constant or saturated output, a condition that is ignored
data        constant data, ranges and scales
parts       parameters without a gradient, corruption that stays the same
"""

from __future__ import annotations

from lemari.doctor import curves, data, latent, output, parts
from lemari.doctor.evidence import Evidence, Probe, Run
from lemari.types import Finding

__all__ = ["Evidence", "Probe", "Run", "during", "examine"]

AFTER = (*latent.FINDERS, *output.FINDERS, *data.FINDERS, *parts.FINDERS)


def examine(e: Evidence) -> list[Finding]:
    """All findings on a trained model, the gravest first."""
    found = [finding for finder in AFTER for finding in finder(e)]
    known = {finding.name for finding in found}
    found += [f for f in curves.examine(e.run) if f.name not in known]
    return sorted(found, key=lambda f: ("error", "warning", "info").index(f.severity))


def during(run: Run) -> list[Finding]:
    """What the epochs so far already show, while training still goes on."""
    return curves.examine(run)
