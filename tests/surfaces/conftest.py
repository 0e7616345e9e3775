"""Small data sets, and the command run inside the test's own process."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROWS = 60
SMALL = ("--network", "mlp:16", "--latent", "2", "--epochs", "1", "--threads", "1")


@dataclass(frozen=True)
class Outcome:
    """What a command returned and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything else there fails."""
        return json.loads(self.out)


def lemari(*words: Any) -> Outcome:
    """Run a command; it may only end with 0, 1 or 2 and never with a traceback."""
    from lemari.surfaces.cli.main import run

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(word) for word in words], debug=False)
    outcome = Outcome(code, out.getvalue(), err.getvalue())
    assert code in (0, 1, 2)
    assert "Traceback" not in outcome.out + outcome.err
    assert "fault in Lemari" not in outcome.err, outcome.err
    return outcome


def done(*words: Any) -> Outcome:
    """A command that must succeed."""
    outcome = lemari(*words)
    assert outcome.code == 0, outcome.err
    return outcome


def refused(code: int, *words: Any) -> str:
    """A command that must fail with this code, one line of error and nothing on stdout."""
    outcome = lemari(*words)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    fault = outcome.err.strip().splitlines()[-1]
    assert fault.lower().startswith(("error: ", '{"error": ')), outcome.err
    return fault


def stub_finish(folder: Path, fitted, job, history, say=None) -> dict[str, Any]:
    """The end of a run without scores and pictures, for tests of what comes before."""
    (folder / "report.html").write_text("<html></html>")
    return {"scores": [], "findings": [], "seconds": 0.0, "floor": None, "terms": {}}


@pytest.fixture
def no_pictures(monkeypatch):
    """Runs are scored and summarised, but nothing is drawn."""
    from lemari.tasks import finish

    monkeypatch.setattr(finish, "draw_all", lambda *given: None)
    monkeypatch.setattr(finish, "diagnosis", lambda *given: {})


@pytest.fixture
def no_finish(monkeypatch):
    """Runs end with their weights."""
    from lemari.tasks import finish

    monkeypatch.setattr(finish, "finish", stub_finish)


class Cli:
    """The command as tests call it."""

    small = SMALL

    run = staticmethod(lemari)
    done = staticmethod(done)
    refused = staticmethod(refused)


@pytest.fixture(scope="session")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """60 digits of 8x8 as bytes, and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images[:ROWS] / 16 * 255).astype(np.uint8), found.target[:ROWS]


def png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="session")
def sets(tmp_path_factory, digits) -> Path:
    """A folder with the same digits in every form that the command takes."""
    import pyarrow as pa
    from pyarrow import parquet

    folder, (x, y) = tmp_path_factory.mktemp("sets"), digits
    np.save(folder / "d.npy", x)
    np.savez(folder / "d.npz", x=x, y=y)
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        for i in range(ROWS):
            name = f"class{y[i] % 3}/{i}.png"
            archive.writestr(name, png(x[i]))
            (folder / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "pictures" / name).write_bytes(png(x[i]))
    head = "label," + ",".join(f"pixel{i}" for i in range(64))
    rows = [",".join(map(str, (y[i], *x[i].ravel()))) for i in range(ROWS)]
    (folder / "d.csv").write_text("\n".join([head, *rows]) + "\n")
    columns = {f"c{i}": x[:, i // 8, i % 8] + 0.5 for i in range(10, 20)}
    parquet.write_table(pa.table({"label": [str(v) for v in y], **columns}), folder / "d.parquet")
    return folder


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory, sets) -> Path:
    """A finished run with all its pictures. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done("train", sets / "d.npz", *SMALL, "--seed", 3, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def detector():
    """A detector of a small mixed table, for the tests of the service."""
    from serve_cases import detector_of_table

    return detector_of_table()


@pytest.fixture(scope="module")
def client(detector):
    """A client of a service of that detector."""
    from serve_cases import served

    with served(detector) as (client, _):
        yield client
