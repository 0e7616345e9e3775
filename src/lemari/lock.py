"""One owner a run folder: a lock file that outlives nobody."""

from __future__ import annotations

import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lemari.errors import RunError
from lemari.files import TEMPORARY


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. A lock whose owner is dead is taken over with a warning.

    Raises RunError when another live process (or another machine) holds it.
    """
    path = folder / "lock"
    take(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def take(path: Path) -> None:
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": born(os.getpid()),
            "since": time.strftime("%Y-%m-%d %H:%M:%S")}  # fmt: skip
    for _ in range(5):
        try:
            create(path, json.dumps(mine))
        except FileExistsError:
            remove_if_dead(path)
            continue
        except OSError as fault:
            raise RunError(
                f"Cannot write into {path.parent} ({fault.strerror}); choose a folder that can "
                "be written with --out."
            ) from fault
        return
    raise RunError(f"{path.parent} is being used by another process; try again.")


def create(path: Path, text: str) -> None:
    """Make the lock with its text in one step, so that nobody ever sees it half written.

    Raises FileExistsError when it is there already.
    """
    own = path.with_name(f"{TEMPORARY}lock-{os.getpid()}")
    try:
        own.write_text(text)
        os.link(own, path)
    finally:
        with suppress(OSError):
            own.unlink()


def remove_if_dead(path: Path) -> None:
    """Take a dead owner's lock away; raise RunError when the owner lives or cannot be known."""
    try:
        owner = json.loads(path.read_text())
        pid, host = int(owner["pid"]), str(owner["host"])
        since, started = str(owner.get("since", "")), owner.get("started")
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        pid, host, since, started = 0, socket.gethostname(), "", None
    here = host == socket.gethostname()
    if not here or (pid and born(pid) is not None and born(pid) == started):
        raise RunError(
            f"{path.parent} is being written by process {pid} on {host} since {since}; wait for "
            f"it, use another --out, or remove {path} if that process is gone."
        )
    warnings.warn(f"Taking over {path.parent}: its last owner (process {pid}) is gone.",
                  stacklevel=4)  # fmt: skip
    with suppress(FileNotFoundError):
        path.unlink()


def born(pid: int) -> str | None:
    """When a process of this machine started, as its system writes it; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return "unknown"
    return None if Path("/proc/self/stat").exists() else "unknown"
