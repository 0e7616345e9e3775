"""The documentation holds: commands and Python run, links lead somewhere, options exist."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "examples").glob("*/README.md"))]
BLOCK = re.compile(r"^(?P<before>[^\n]*)\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
MARKER = re.compile(r"<!-- not run: .+ -->")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FLAG = re.compile(r"(?<![\w-])(--?[a-z][\w-]*)")
OTHERS = {"-c"}  # of pip, in the text of the README


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and whether a marker above says not to run it."""

    kind: str
    text: str
    skipped: bool


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer("\n" + page.read_text(encoding="utf-8"))
    return [Block(m["kind"], m["text"], bool(MARKER.fullmatch(m["before"]))) for m in found]


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a bash block; a backslash joins lines."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@cache
def verbs() -> dict[tuple[str, ...], set[str]]:
    """(command, sub-command) -> its options, as the parser knows them."""
    import typer

    from lemari.surfaces.cli.main import app

    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command, path: tuple[str, ...]) -> None:
        own = {name for p in command.params for name in p.opts if name.startswith("-")}
        found[path] = own | {"--help", "-h"}
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


@cache
def variant_flags() -> set[str]:
    from lemari.registry import VARIANTS
    from lemari.surfaces.cli.detect_words import FLAGS, VALUES
    from lemari.tasks.plan import variant_options

    names = {name for variant in VARIANTS for name in variant_options(variant)}
    names |= {*FLAGS, *VALUES}
    return {f"--{name.replace('_', '-')}" for name in names}


@cache
def example_flags() -> set[str]:
    """Options of the variant that the examples bring."""
    text = (ROOT / "examples/lemari-cyclic-vae/lemari_cyclic/cyclic_vae.py").read_text()
    signature = text.split("def cyclic_vae(")[1].split(")")[0]
    return {f"--{n.replace('_', '-')}" for n in re.findall(r"^ +(\w+):", signature, re.M)}


def verb_of(words: list[str]) -> tuple[str, ...]:
    """The longest command that the words after `lemari` name."""
    found: tuple[str, ...] = ()
    for word in words:
        if (*found, word) not in verbs():
            break
        found = (*found, word)
    return found


def named(page: Path) -> list[list[str]]:
    """Every command that a page names: in bash blocks, run or not, and in inline code."""
    text = page.read_text(encoding="utf-8")
    inline = re.findall(r"`(lemari [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    found = [c for block in blocks(page) if block.kind == "bash" for c in commands(block)]
    return [c for c in found if c[0] == "lemari"] + [shlex.split(line) for line in inline]


def each(pages: list[Path]):
    return pytest.mark.parametrize("page", pages, ids=lambda p: str(p.relative_to(ROOT)))


@each(PAGES)
def test_bash_blocks_run_or_say_why_not(page):
    for block in blocks(page):
        if block.kind == "bash" and not block.skipped:
            assert all(words[0] == "lemari" for words in commands(block)), block.text


@each(LINKED)
def test_links_and_pictures_exist(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("https://", "http://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


@each(PAGES)
def test_commands_and_options_exist(page):
    for words in named(page):
        verb = verb_of(words[1:])
        assert verb or words[1].startswith("-") or words[1].isupper(), words
        known = verbs()[verb] | verbs()[()]
        if verb == ("train",):
            known = known | variant_flags() | example_flags()
        flags = {w.partition("=")[0] for w in words[1:] if FLAG.fullmatch(w.partition("=")[0])}
        assert flags <= known, (words, flags - known)


@each(PAGES)
def test_options_in_the_text_exist(page):
    known = set().union(*verbs().values()) | variant_flags() | example_flags() | OTHERS
    for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
        if not code.startswith("python benchmarks/"):  # scripts with options of their own
            assert set(FLAG.findall(code)) <= known, code


def test_every_option_of_train_is_documented():
    text = (ROOT / "docs/train.md").read_text(encoding="utf-8")
    absent = {f for f in verbs()[("train",)] if f.startswith("--") and f"`{f}`" not in text}
    assert absent <= {"--help", "--variant"}


def test_every_command_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tops = {path[0] for path in verbs() if len(path) == 1}
    assert all(f"`lemari {top}" in text for top in tops)


def test_parameter_counts_are_those_of_the_models():
    import torch

    from lemari.layers_table import parameter_counts
    from lemari.registry import VARIANTS
    from lemari.types import Schema

    text = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `([\w-]+)` \| (\d+)x(\d+)x(\d+) \|.*\| ([\d,]+) \|$", re.M)
    rows = row.findall(text)
    assert len(rows) == 6
    for name, channels, height, width, total in rows:
        schema = Schema("image", (int(channels), int(height), int(width)))
        with torch.device("meta"):
            model = VARIANTS[name](schema)
        assert f"{parameter_counts(model)['total']:,}" == total, name


def run_command(words: list[str]) -> None:
    """Run `lemari ...` in this process, which has torch loaded already."""
    from lemari.surfaces.cli.main import run

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words[1:], debug=False)
    assert code == 0, f"{shlex.join(words)}\n{err.getvalue()}"
    assert "Traceback" not in out.getvalue() + err.getvalue()


@pytest.mark.slow
@each([p for p in PAGES if any(b.kind in ("bash", "python") and not b.skipped for b in blocks(p))])
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEMARI_DATA", raising=False)
    names: dict[str, object] = {"__name__": "__docs__"}
    monkeypatch.setitem(sys.modules, "__docs__", type(sys)("__docs__"))
    for block in blocks(page):
        if block.skipped:
            continue
        if block.kind == "bash":
            for words in commands(block):
                run_command(words)
        elif block.kind == "python":
            with redirect_stdout(io.StringIO()):
                exec(compile(block.text, page.name, "exec"), names)


@pytest.mark.slow
def test_the_installed_command_runs(tmp_path):
    """The script on PATH does what the blocks above did in this process."""
    script = Path(sys.executable).parent / "lemari"
    if not script.exists():
        pytest.skip("lemari is not installed as a script")
    done = subprocess.run(["lemari", "data", "inspect", "digits"], cwd=tmp_path, text=True,
                          env=os.environ | {"PATH": f"{script.parent}{os.pathsep}/bin"},
                          capture_output=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1,797 examples" in done.stdout
