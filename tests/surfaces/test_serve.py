"""`lemari serve`: scores over real HTTP, and how it begins and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from serve_cases import (
    NAMES,
    SHORT,
    TOKEN,
    Client,
    arrow,
    as_rows,
    fault,
    head,
    quickly,
    served,
    table,
    until_closed,
)

from lemari.serve_app.answers import ARROW, as_json
from lemari.serve_app.guard import Guard, is_loopback

pytest.importorskip("uvicorn", reason="the service needs the extra 'serve'")


# What it answers


def test_json_scores_are_those_of_the_detector(client, detector):
    columns = table(40, 1)
    found = client.score({"rows": as_rows(columns)}).json
    scores = detector.anomaly_score(columns)
    np.testing.assert_allclose(found["scores"], scores, atol=1e-5)
    np.testing.assert_allclose(found["p_values"], detector.p_value(columns), atol=0.01)
    assert found["flagged"] == [s > detector.threshold_ for s in found["scores"]]
    assert found["reasons"] is None and found["notes"] == []


def test_lists_with_columns_score_like_rows_with_names(client):
    rows = as_rows(table(10, 2))
    names = list(reversed(NAMES))
    lists = {"columns": names, "rows": [[row[n] for n in names] for row in rows]}
    assert client.score(lists).json == client.score({"rows": rows}).json


def test_reasons_are_those_of_the_detector(client, detector):
    columns = table(3, 3)
    columns["amount"][1] = 5000
    found = client.score({"rows": as_rows(columns), "explain": True, "most": 2}).json["reasons"]
    expected = detector.explain(columns, most=2)
    assert [[r["column"] for r in row] for row in found] == [
        [r.column for r in row] for row in expected
    ]
    assert found[1][0]["column"] == "amount" and found[1][0]["value"] == 5000
    assert set(found[0][0]) == {"column", "value", "low", "high", "share", "text"}


def test_arrow_in_arrow_out(client, detector):
    import pyarrow as pa

    columns = table(30, 4)
    reply = client.ask(
        "POST", "/score?explain=true&most=1", arrow(columns | {"zz": [1] * 30}), Content_Type=ARROW
    )
    assert reply.status == 200 and reply.headers["content-type"] == ARROW
    found = pa.ipc.open_stream(reply.body).read_all()
    assert found.column_names == ["score", "p_value", "flagged", "reasons"]
    np.testing.assert_allclose(found["score"], detector.anomaly_score(columns), atol=1e-5)
    assert found["reasons"].to_pylist() == [str(r[0]) for r in detector.explain(columns, most=1)]
    assert "'zz'" in json.loads(found.schema.metadata[b"notes"])[0]


def test_a_score_does_not_depend_on_other_rows_or_requests(client):
    rows = as_rows(table(200, 5))
    together = client.score({"rows": rows}).json["scores"]
    alone, threads = [None] * len(rows), []

    def ask(first: int) -> None:
        for i in range(first, len(rows), 20):
            alone[i] = client.score({"rows": [rows[i]]}).json["scores"][0]

    for first in range(20):
        threads.append(threading.Thread(target=ask, args=(first,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(alone, together, atol=1e-6, rtol=0)


def test_a_cell_is_read_by_its_column_and_not_by_its_neighbours(client):
    plain = as_rows(table(2, 6))
    odd = [plain[0], plain[1] | {"amount": "lots", "city": 7, "member": 2.5, "age": None}]
    alone = client.score({"rows": plain[:1]}).json["scores"][0]
    both = client.score({"rows": odd}).json
    assert both["scores"][0] == pytest.approx(alone, abs=1e-6)
    assert any("amount" in note for note in both["notes"])


def test_requests_scored_together_are_as_if_alone(detector):
    from lemari.serve_app import tables
    from lemari.serve_app.scoring import Scorer

    scorer, fmt, rows = Scorer(detector.fitted_), detector.fitted_.format, as_rows(table(12, 6))
    rows[3]["city"], rows[5]["amount"], rows[7]["age"] = "q", "lots", None
    rows[8]["more"] = 1
    for kept in (rows[:3], rows):
        frames = [tables.frame_of({"rows": [row]}, fmt, SHORT) for row in kept]
        for frame, found in zip(frames, scorer.together(frames), strict=True):
            x, notes = detector.fitted_.encode(frame)
            np.testing.assert_array_equal(found.x, x)
            assert found.notes == notes
            np.testing.assert_allclose(found.scores, scorer.scores(x), atol=1e-6)
    scorer.close()


def test_more_rows_than_are_batched(client, detector):
    columns = table(1000, 7)
    found = client.score({"rows": as_rows(columns)}).json
    np.testing.assert_allclose(found["scores"], detector.anomaly_score(columns), atol=1e-5)


def test_extreme_numbers_give_json_without_nan(client):
    row = as_rows(table(1))[0]
    text = json.dumps({"rows": [row | {"amount": 0, "age": 12345}], "explain": True})
    for huge in ("1e999", "-1e999", "1" + "0" * 400, "null"):
        found = client.score(text.replace("12345", huge).encode()).json
        assert np.isfinite(found["scores"]).all()
    assert as_json({"a": [float("nan"), np.float32("inf"), np.datetime64("NaT")]}) == (
        b'{"a":[null,null,null]}'
    )


def test_an_unknown_column_is_noted_and_ignored(client):
    rows = as_rows(table(2, 8))
    found = client.score({"rows": [row | {"shoe size": 43} for row in rows]}).json
    assert found["notes"] == ["column 'shoe size' was not there in training and is ignored"]
    assert found["scores"] == client.score({"rows": rows}).json["scores"]


def test_about_and_health(client, detector):
    assert client.ask("GET", "/health", Authorization=None).json == {"status": "ok"}
    told = client.ask("GET", "/about").json
    assert [c["name"] for c in told["columns"]] == list(NAMES)
    assert {c["name"]: c["kind"] for c in told["columns"]}["city"] == "category"
    assert told["threshold"]["value"] == detector.threshold_
    assert told["calibration_rows"] == len(detector.fitted_.calibration)
    found = client.score(told["example"]).json
    assert found["notes"] == []


def test_rows_without_names_for_a_detector_without_names():
    x = np.random.default_rng(0).normal(size=(200, 3))
    plain = quickly(x)
    with served(plain) as (client, _):
        found = client.score({"rows": x[:5].tolist()}).json
        np.testing.assert_allclose(found["scores"], plain.anomaly_score(x[:5]), atol=1e-5)
        assert found["notes"] == []
        fault(client.score({"rows": [[1, 2]]}), 422)


# How it begins and ends


def test_what_came_before_the_end_is_answered(detector):
    body = json.dumps({"rows": as_rows(table(1))}).encode()
    with served(detector) as (client, server), closing(client.open()) as line:
        line.sendall(head(client, f"Content-Length: {len(body)}") + body[:10])
        time.sleep(0.2)
        server.should_exit = True
        time.sleep(0.4)
        with pytest.raises(OSError):  # noqa: PT011
            client.open()
        line.sendall(body[10:])
        found = until_closed(line)
    assert found.startswith(b"HTTP/1.1 200") and b'"scores":[' in found


def test_verbose_says_one_line_without_the_callers_words(detector, capfd):
    with served(detector, verbose=True) as (client, _):
        client.ask("GET", "/health")
        client.ask("GET", "/%1b[31m")
    lines = capfd.readouterr().err.splitlines()
    assert [line.rsplit(" ", 2)[0] for line in lines] == ["GET /health 200", "GET - 404"]


def test_quiet_without_verbose(detector, capfd):
    with served(detector) as (client, _):
        client.ask("GET", "/health", Upgrade="websocket", Connection="upgrade")
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_command_serves_until_sigterm(detector, tmp_path):
    run, token = detector.save(tmp_path / "run"), tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    command = [sys.executable, "-c", "from lemari.surfaces.cli.main import main; main()", "serve",
               str(run), "--port", "0", "--token-file", str(token)]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment) as process:  # fmt: skip
        assert process.stdout and process.stderr
        lines = [process.stdout.readline() for _ in range(4)]
        client = Client(int(lines[0].split("http://127.0.0.1:")[1].split(";")[0]))
        assert client.score({"rows": as_rows(table(1))}).status == 200
        process.send_signal(signal.SIGTERM)
        out, err = "".join([*lines, process.stdout.read()]), process.stderr.read()
    assert process.returncode == 0 and err == ""
    assert TOKEN not in out and f"$(cat {token})" in out and out.endswith("Closed.\n")


def test_the_printed_curl_line_works(detector, client):
    import shlex

    from lemari.surfaces.cli.serving import curl

    words = shlex.split(curl(f"http://127.0.0.1:{client.port}", TOKEN, detector.fitted_))
    assert words[:3] == ["curl", "-s", f"http://127.0.0.1:{client.port}/score"]
    assert f"Authorization: Bearer {TOKEN}" in words
    assert client.score(words[-1].encode()).status == 200


def test_what_the_command_refuses(cli, tmp_path):
    assert "--allow-remote" in cli.refused(2, "serve", tmp_path, "--host", "0.0.0.0")
    assert "--task detect" in cli.refused(1, "serve", tmp_path)
    short = tmp_path / "short"
    short.write_text("abc")
    assert "16" in cli.refused(2, "serve", tmp_path, "--token-file", short)
    assert "cannot be read" in cli.refused(2, "serve", tmp_path, "--token-file", tmp_path / "no")
    Path(tmp_path / "spaced").write_text("two words of a token")
    assert "one word" in cli.refused(2, "serve", tmp_path, "--token-file", tmp_path / "spaced")


def test_a_port_in_use_is_a_usage_error(client):
    from lemari.errors import UsageError
    from lemari.serve_app.running import bound

    with pytest.raises(UsageError, match="--port"):
        bound("127.0.0.1", client.port)
    with pytest.raises(UsageError, match="--host"):
        bound("no such host", 0)


def test_which_hosts_are_known():
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))
    everywhere = Guard("0.0.0.0", 80, TOKEN)
    assert everywhere.known("192.168.1.5:80") and everywhere.known("localhost:80")
    assert not everywhere.known("evil.example:80") and not everywhere.known("192.168.1.5:81")
    assert not Guard("127.0.0.1", 80, TOKEN).known("192.168.1.5:80")
