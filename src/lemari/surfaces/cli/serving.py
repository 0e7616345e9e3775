"""`lemari serve`: a detector that other programs ask for scores over HTTP."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import typer

from lemari.surfaces.cli.show import JSON, find_run, quoted

SHORTEST, LONGEST = 16, 4096  # characters of a token
SHOWN = 12  # columns of a table whose example fits in a line


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    run: str = typer.Argument(..., metavar="RUN", help="Run with a detector: path or name."),
    host: str = typer.Option("127.0.0.1", help="Address to listen at; others cannot reach this."),
    port: int = typer.Option(8765, min=0, max=65535, help="Port; 0 takes any free one."),
    token_file: str = typer.Option(None, help="File with the token; default: a new one, shown."),
    allow_remote: bool = typer.Option(
        False, "--allow-remote", help="Let --host be an address that other machines reach."
    ),
    verbose: bool = typer.Option(False, "--verbose", help="A line for every request."),
    as_json: bool = JSON,
) -> None:
    """Answer POST /score with anomaly scores, until Ctrl-C."""
    import secrets

    from lemari.errors import UsageError
    from lemari.serve_app import guard, running
    from lemari.tasks.detector_files import load_detector

    if not guard.is_loopback(host):
        if not allow_remote:
            raise UsageError(
                f"--host {host} lets other machines connect, without encryption; add "
                "--allow-remote if that is meant."
            )
        warn("Other machines can connect, and the token travels unencrypted.")
    token = read_token(Path(token_file)) if token_file else secrets.token_urlsafe(32)
    fitted = load_detector(find_run(run))
    sock = running.bound(host, port)
    address = f"http://{shown_host(host)}:{sock.getsockname()[1]}"
    secret = f"$(cat {quoted(token_file)})" if token_file else token

    def ready() -> None:
        if as_json:
            import json

            print(json.dumps({"url": address, "token": None if token_file else token}), flush=True)
            return
        print(f"Serving {run} at {address}; Ctrl-C ends it. Try:\n", flush=True)
        print(curl(address, secret, fitted), flush=True)

    watch = guard.Guard(host, sock.getsockname()[1], token)
    running.run(running.server_of(fitted, watch, verbose=verbose), sock, ready)
    if not as_json:
        print("Closed.")


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def shown_host(host: str) -> str:
    """The host as a caller on this machine writes it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def read_token(path: Path) -> str:
    """The token in a file, without white space around it."""
    from lemari.errors import UsageError

    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > LONGEST:
            raise UsageError(f"{path} holds no token; put {SHORTEST} characters or more there.")
        token = path.read_bytes().strip()
    except OSError:
        raise UsageError(f"The token file {path} cannot be read; check its name.") from None
    if os.name == "posix" and state.st_mode & 0o077:
        warn(f"{path} can be read by others; `chmod 600` it.")
    if len(token) < SHORTEST or not all(33 <= byte <= 126 for byte in token):
        raise UsageError(
            f"The token in {path} is to be one word of {SHORTEST} or more plain characters."
        )
    return token.decode()


def curl(address: str, secret: str, fitted) -> str:
    """A command that can be pasted; tables with many columns show how they are described."""
    import json

    from lemari.serve_app.about import example_row

    head = f'curl -s {address}/about -H "Authorization: Bearer {secret}"'
    row = example_row(fitted)
    if len(row) > SHOWN:
        return head
    body = json.dumps({"rows": [row], "explain": True})
    head = head.replace("/about", "/score")
    return f"{head} \\\n  -H 'Content-Type: application/json' -d {quoted(body)}"
