"""threshold.json: what is written comes back, edits do what they say, faults are named."""

import json

import numpy as np
import pytest

from lemari.detect.calibration import Calibration
from lemari.detect.threshold_file import NAME, read_threshold, write_threshold
from lemari.detect.thresholds import automatic, by_alarm_rate, by_costs, by_labels, fixed
from lemari.errors import RunError, UsageError

CAL = Calibration(np.random.default_rng(0).normal(size=999))
OTHER = Calibration(np.random.default_rng(1).normal(size=999) + 1)
BATCH = np.append(np.zeros(50), np.full(10, 9.0))
LABELS = np.append(np.zeros(50), np.ones(10))
RULES = {
    "rate": by_alarm_rate(CAL, 0.03),
    "confident": by_alarm_rate(CAL, 0.03, confidence=0.9),
    "assumed": by_costs(CAL, 10, 1, 0.02),
    "costs": by_costs(CAL, 10, 1, 0.02, BATCH, LABELS),
    "mixture": by_costs(CAL, 10, 1, 0.02, BATCH),
    "labels": by_labels(BATCH, LABELS, "recall=0.9"),
    "automatic": automatic(CAL, BATCH),
    "fixed": fixed(2.5, CAL),
}


def edit(folder, **changes):
    content = json.loads((folder / NAME).read_text())
    for name, value in changes.items():
        if value is None:
            content.pop(name, None)
        else:
            content[name] = value
    (folder / NAME).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("name", RULES)
def test_what_is_written_comes_back(tmp_path, name):
    path = write_threshold(tmp_path, RULES[name])
    assert path == tmp_path / NAME
    back = read_threshold(tmp_path, CAL)
    assert (back.value, back.rule, back.settings) == (
        RULES[name].value, RULES[name].rule, RULES[name].settings)  # fmt: skip
    assert back.note == RULES[name].note
    assert back.expected == pytest.approx(RULES[name].expected, rel=1e-5)
    assert len(path.read_text()) < 1000


@pytest.mark.parametrize("name", RULES)
def test_a_changed_number_wins_and_is_fixed(tmp_path, name):
    write_threshold(tmp_path, RULES[name])
    changed = read_threshold(edit(tmp_path, threshold=1.25), CAL)
    assert changed.value == 1.25 and changed.rule == "fixed"


def test_a_changed_setting_is_computed_again(tmp_path):
    write_threshold(tmp_path, RULES["rate"])
    assert read_threshold(edit(tmp_path, alarm_rate=0.1), CAL) == by_alarm_rate(CAL, 0.1)
    assert read_threshold(edit(tmp_path, threshold=2, alarm_rate=0.2), CAL).value == 2
    write_threshold(tmp_path, RULES["assumed"])
    assert read_threshold(edit(tmp_path, miss=99), CAL) == by_costs(CAL, 99, 1, 0.02)
    write_threshold(tmp_path, RULES["labels"])
    new = edit(tmp_path, rule="alarm-rate", alarm_rate=0.1, goal=None, anomalies=None, rows=None)
    assert read_threshold(new, CAL) == by_alarm_rate(CAL, 0.1)


def test_a_new_calibration_moves_rules_that_follow_it_and_no_others(tmp_path):
    for name, choice in RULES.items():
        write_threshold(tmp_path, choice)
        moved = read_threshold(tmp_path, OTHER).value != choice.value
        assert moved == (name in ("rate", "confident", "assumed")), name


def test_a_file_written_by_hand_may_be_short(tmp_path):
    (tmp_path / NAME).write_text('{"version": 1, "rule": "alarm-rate", "alarm_rate": 0.05}')
    assert read_threshold(tmp_path, CAL) == by_alarm_rate(CAL, 0.05)
    (tmp_path / NAME).write_text('{"version": 1, "rule": "fixed", "threshold": 3}')
    assert read_threshold(tmp_path / NAME, CAL) == fixed(3.0, CAL)


@pytest.mark.parametrize(("start", "changes", "words"), [
    ("rate", {"version": 2}, '"version" is 2'),
    ("rate", {"rule": "best"}, "use one of"),
    ("rate", {"threshold": "high"}, '"threshold" is'),
    ("rate", {"threshold": True}, '"threshold" is'),
    ("rate", {"threshold": 10**400}, '"threshold" is'),
    ("assumed", {"miss": 10**400}, '"miss" is'),
    ("rate", {"alarm_rate": 7}, "between 0 and 1"),
    ("rate", {"alarm_rate": "1 %"}, '"alarm_rate" is'),
    ("rate", {"alarm_rat": 0.1}, '"alarm_rat" is not a setting'),
    ("confident", {"confidence": 3}, "confidence is 3"),
    ("confident", {"confidence": "much"}, "confidence"),
    ("assumed", {"miss": -1}, "cost of a miss"),
    ("assumed", {"share": None}, '"share" is None'),
    ("labels", {"goal": "f1"}, "needs rows"),
    ("automatic", {"false_discovery_rate": 0.2}, "needs rows"),
    ("costs", {"miss": 3}, "needs rows"),
    ("fixed", {"threshold": None}, '"threshold" is None'),
    ("rate", {"as_written": 3}, '"as_written"'),
    ("labels", {"expected": [1]}, '"expected"'),
])  # fmt: skip
def test_faults_are_named_in_a_sentence(tmp_path, start, changes, words):
    write_threshold(tmp_path, RULES[start])
    with pytest.raises(RunError, match=NAME) as fault:
        read_threshold(edit(tmp_path, **changes), CAL)
    assert words in str(fault.value) and "\n" not in str(fault.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"threshold": NaN}', "[" * 5000, "3"])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(RunError, match=NAME):
        read_threshold(tmp_path, CAL)
    with pytest.raises(RunError):
        read_threshold(tmp_path / "gone.json", CAL)


def test_whatever_is_accepted_can_be_read_back(tmp_path):
    for make in (lambda v: fixed(v, CAL), lambda v: by_costs(CAL, v, 1, 0.5)):
        with pytest.raises(UsageError, match="1e\\+300"):
            make(1e300)
        write_threshold(tmp_path, make(9e299))
        assert read_threshold(tmp_path, CAL) == make(9e299)


def test_expected_rates_are_numbers(tmp_path):
    write_threshold(tmp_path, RULES["labels"])
    edit(tmp_path, expected={"alarms_per_10000": "few"})
    with pytest.raises(RunError, match="expected"):
        read_threshold(tmp_path, CAL)
