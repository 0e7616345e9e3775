"""The report: complete in one file, safe with any names, and never stopped by what is missing."""

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lemari import figures
from lemari.figures.captions import CAPTIONS
from lemari.report import write_report

EVIL = "<script>alert('x')</script>\"onload=\"&"
VOID = {"meta", "img", "br"}
SUMMARY = {
    "name": EVIL,
    "variant": EVIL,
    "network": "conv",
    "latent": 2,
    "data": {
        "name": EVIL,
        "examples": 600,
        "held_out": 100,
        "shape": [1, 28, 28],
        "classes": [EVIL, "b"],
        "skipped": [{"file": EVIL, "reason": EVIL}] * 300,
        "notes": [EVIL],
    },
    "parameters": {"encoder": 10, "decoder": 20, "total": 30},
    "effective_beta": 1.0,
    "likelihood": "bernoulli",
    "sigma": 0.1,
    "epochs": 3,
    "seconds": 4.2,
    "rows_per_second": 41234.5,
    "loss": {"train": 200.25, "valid": 202.5},
    "floor": 171.3,
    "scores": [
        {
            "name": EVIL,
            "value": 0.0231,
            "better": "lower",
            "unit": EVIL,
            "baselines": [{"name": EVIL, "value": 0.0409}, {"name": "twin", "value": 0.02}],
            "rows": 100,
            "split": "test",
        }
    ],
    "diagnosis": {
        "range": [[-3.0, 3.5], [-1.0, 2.0]],
        "area": {EVIL: 0.6},
        "empty": 0.4,
        "between": {"quality_at_codes": 0.02, "quality_between": 0.03},
    },
    "findings": [
        {"name": "minor", "severity": "info", "evidence": EVIL, "remedy": EVIL},
        {"name": "major", "severity": "error", "evidence": "e", "remedy": "r"},
        {"name": "odd", "severity": EVIL, "evidence": EVIL, "remedy": None},
    ],
    "command": f"lemari train --data '{EVIL}'",
    "next": EVIL,
    "version": EVIL,
}
OTHERS = {
    "recipe.json": {"variant": EVIL, "options": {EVIL: {"deep": [1, EVIL]}}, "lr": 0.001},
    "format.json": {"kind": "image", EVIL: EVIL},
    "env.json": {"python": "3.11", EVIL: None, "threads": 2},
}


class Page(HTMLParser):
    """Collects tags, and fails where they do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def fill(run, summary=SUMMARY, stems=("latent", "reconstructions", "own_idea")):
    (run / "figures").mkdir(parents=True)
    (run / "summary.json").write_text(json.dumps(summary))
    for name, content in OTHERS.items():
        (run / name).write_text(json.dumps(content))
    record = {"number": 1, "loss": 5.0, "terms": {EVIL: 2.0}, "valid": {"loss": 6.0}, "seconds": 1}
    lines = [json.dumps(record | {"number": i}) for i in range(40)]
    (run / "metrics.jsonl").write_text("\n".join([*lines, '{"number": 4', "[]"]))
    for stem in stems:
        bars = figures.comparison_bars([{"name": "a", "value": 1.0}], stem)
        figures.save(bars, run / "figures" / f"{stem}.png", dpi=40)
    figures.save_gif(np.random.default_rng(0).random((3, 8, 8, 1)), run / "figures" / "morph.gif")
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def html(run):
    return write_report(run).read_text(encoding="utf-8")


def test_names_from_files_and_classes_stay_words(html):
    assert "<script" not in html.lower()
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "link", "form", "base"}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    assert sum(EVIL in words for words in page.words) > 15


def test_nothing_is_loaded_from_elsewhere(html):
    page = Page(html)
    sources = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "srcset")]
    assert all(s.startswith("data:image/") for s in sources)
    assert all(a["href"].startswith("#") for a in page.all("a"))
    assert not re.search(r"https?://|url\(|@import|//cdn", html)


def test_the_policy_allows_its_own_style_and_no_more(html):
    policy = next(m["content"] for m in Page(html).all("meta") if "http-equiv" in m)
    style = re.search(r"<style>(.*?)</style>", html, re.S).group(1)
    seal = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{seal}'" in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy and " style=" not in html


def test_every_picture_is_carried_with_its_words(html, run):
    images = Page(html).all("img")
    files = sorted((run / "figures").iterdir())
    assert len(images) == len(files)
    carried = {base64.b64decode(i["src"].split(",")[1]) for i in images}
    assert carried == {f.read_bytes() for f in files}
    assert all(i["alt"] and int(i["width"]) > 20 and int(i["height"]) > 20 for i in images)
    assert "Own idea" in html and CAPTIONS["latent"][1] in html


def test_pictures_come_in_the_order_of_the_captions(html):
    titles = re.findall(r"<figcaption><b>(.*?)\.</b>", html)
    assert titles == ["Reconstructions", "The latent space", *titles[2:]]
    assert titles[-1] == "Own idea"


def test_score_stands_beside_its_baselines(html):
    words = " ".join(Page(html).words)
    assert "0.0231" in words and "better than" in words and "worse than" in words
    assert "(0.0409)" in words


def test_findings_are_sorted_by_severity_and_name_it(html):
    assert html.index("major") < html.index("minor")
    assert "1 error to look at" in html and '<li class="finding error">' in html


def test_headings_follow_one_another(html):
    levels = [int(tag[1]) for tag, _ in Page(html).tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_scroll_in_their_own_box(html):
    assert html.count("<table") == len(re.findall(r'class="scroll"[^>]*><table', html))


def test_long_lists_are_cut_and_counted(html):
    assert "300 files skipped" in html and "And 100 more." in html
    epochs = html[html.index('aria-label="Epochs"') :].split("</table>")[0]
    assert epochs.count("<tr>") <= 14 and '<th scope="row">39</th>' in epochs


def test_the_report_is_written_whole(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert not [p for p in run.iterdir() if p.name.endswith(".tmp")]


@pytest.mark.parametrize("key", sorted(SUMMARY))
def test_any_key_may_be_missing_or_strange(tmp_path, key):
    without = {k: v for k, v in SUMMARY.items() if k != key}
    for i, odd in enumerate([without, *(SUMMARY | {key: v} for v in (None, [], {}, 3, "x"))]):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps(odd))
        Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", *OTHERS])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[1]", b'{"a": ', b"[" * 5000])
def test_broken_files_are_left_out(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    Page(write_report(tmp_path).read_text(encoding="utf-8"))


def test_an_empty_folder_has_a_report(tmp_path):
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert tmp_path.name in text and "No scores were recorded" in text
    assert "<section" not in text


def test_files_that_are_no_pictures_are_not_carried(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "latent.png").write_bytes(b"<svg onload=alert(1)>" * 9)
    (folder / "dir.png").mkdir()
    secret = tmp_path / "secret.png"
    figures.save(figures.comparison_bars([{"name": "a", "value": 1.0}], "t"), secret)
    (folder / "kl.png").symlink_to(secret)
    assert "<img" not in write_report(tmp_path).read_text(encoding="utf-8")
