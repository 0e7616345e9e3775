"""The layers of the package: every import goes downwards, and a bare import costs nothing."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lemari

ROOT = Path(lemari.__file__).parent

# From the ground up. Modules of one row may not import each other (a package is one module, and
# arranges its own inside as it likes); a row may import any row above it in this list.
LAYERS = [
    ("types", "errors", "resizing"),
    (
        "schedule",
        "registry",
        "laws",
        "values",
        "files",
        "machine",
        "optimise",
        "degrade",
        "noise_level",
        "augment",
    ),
    ("png_files",),
    ("formats", "lock", "weights", "detect"),
    ("folder_index",),
    ("sources", "corrupt", "condition", "networks", "latents", "likelihoods"),
    ("decoders", "terms", "picture_files", "mixed"),
    ("model",),
    ("assemble",),
    ("variants", "feed", "layers_table"),
    ("starting",),
    ("train",),
    ("checkpoint", "store"),
    ("metrics", "doctor", "figures", "samplers"),
    ("report_html", "restore_html"),
    ("report", "detect_html"),
    ("tasks",),
    ("serve_app",),
    ("surfaces",),
    ("family", "__main__"),
]
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}
MODULES = sorted(ROOT.rglob("*.py"))


def home(path: Path) -> str:
    """The part of the package that a file belongs to: lemari/terms/fit.py -> terms."""
    inside = path.relative_to(ROOT)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def dotted(path: Path) -> str:
    inside = path.relative_to(ROOT.parent).with_suffix("")
    parts = inside.parts[:-1] if inside.name == "__init__" else inside.parts
    return ".".join(parts)


def typing_only(tree: ast.AST) -> set[ast.AST]:
    """Nodes under `if TYPE_CHECKING`, which never run."""
    guarded = [n for n in ast.walk(tree) if isinstance(n, ast.If)
               and "TYPE_CHECKING" in ast.dump(n.test)]  # fmt: skip
    return {inner for node in guarded for child in node.body for inner in ast.walk(child)}


def imports(path: Path) -> set[str]:
    """Every module of the package that a file imports when it runs, functions included."""
    tree = ast.parse(path.read_text())
    skipped, found = typing_only(tree), set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("lemari")}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import in line {node.lineno}"
            module = node.module or ""
            if module == "lemari":
                found |= {f"lemari.{alias.name}" for alias in node.names}
            elif module.startswith("lemari."):
                deeper = {f"{module}.{alias.name}" for alias in node.names}
                known = {dotted(p) for p in MODULES}
                found |= (deeper & known) or {module}
    return found


def parts_of(path: Path) -> set[str]:
    """The parts of the package (types, model, terms ...) that a file imports."""
    return {name.split(".")[1] for name in imports(path)} - {"__version__"}


def files():
    return [p for p in MODULES if p != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", files(), ids=dotted)
def test_imports_go_downwards_only(path):
    own = home(path)
    assert own in LEVEL, f"{own} has no place in LAYERS"
    for other in parts_of(path) - {own}:
        assert other in LEVEL, f"{dotted(path)} imports {other}, which has no place in LAYERS"
        assert LEVEL[other] < LEVEL[own], f"{dotted(path)} imports {other}, which is not below it"


def test_every_place_in_the_layers_is_there():
    assert set(LEVEL) == {home(p) for p in files()}


def test_surfaces_do_not_import_each_other():
    for path in (ROOT / "surfaces").rglob("*.py"):
        own = path.relative_to(ROOT / "surfaces").parts[0].removesuffix(".py")
        others = {i.split(".")[2] for i in imports(path) if i.startswith("lemari.surfaces.")}
        assert others <= {own}, f"{dotted(path)} imports {others - {own}}"


def test_parts_that_return_laws_do_not_know_the_training():
    for part in ("networks", "latents", "terms", "variants"):
        for path in (ROOT / part).rglob("*.py"):
            assert not parts_of(path) & {"train", "feed", "store", "tasks"}, dotted(path)


def top_level_graph() -> dict[str, set[str]]:
    """Imports at the top of each file alone: those that must not run in a circle."""
    found = {}
    known = {dotted(p) for p in MODULES}
    for path in files():
        tree = ast.parse(path.read_text())
        skipped = typing_only(tree)
        nodes = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n not in skipped]
        targets = {n.module for n in nodes if (n.module or "").startswith("lemari.")}
        targets |= {f"{n.module}.{a.name}" for n in nodes for a in n.names}
        found[dotted(path)] = (targets & known) - {dotted(path)}
    return found


def test_no_two_modules_import_each_other_in_a_circle():
    edges, state = top_level_graph(), {}

    def visit(name, trail):
        if state.get(name) == "done":
            return
        assert state.get(name) != "open", " -> ".join([*trail, name])
        state[name] = "open"
        for other in sorted(edges.get(name, ())):
            visit(other, [*trail, name])
        state[name] = "done"

    for name in edges:
        visit(name, [])


HEAVY = ("torch", "sklearn", "matplotlib", "numpy", "pyarrow", "PIL", "pandas")


def loaded(code: str) -> set[str]:
    """Heavy packages in sys.modules after running `code` in a fresh interpreter."""
    report = f"\nimport sys\nprint('LOADED', *[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


HELP = """
import sys
sys.argv = ["lemari", "--help"]
from lemari.surfaces.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize("code", ["import lemari", "import lemari; dir(lemari)", HELP])
def test_a_bare_import_and_help_load_nothing_heavy(code):
    assert loaded(code) & {"torch", "sklearn", "matplotlib"} == set()


def test_help_appears_in_under_half_a_second():
    """The best of three (or of up to nine, on a machine that is busy with other work)."""
    best = float("inf")
    for attempt in range(9):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", HELP], capture_output=True, check=True)
        best = min(best, time.perf_counter() - begin)
        if attempt >= 2 and best < 0.5:
            break
    assert best < 0.5, f"{best:.2f} s"
