"""The command: puts the verbs together and turns every fault into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import warnings

import typer

from lemari.surfaces.cli import (
    analyse,
    comparing,
    create,
    data,
    demo,
    detecting,
    models,
    oversampling,
    restoring,
    runs,
    serving,
    system,
    thresholds,
    training,
)

# Older typer builds on the click package, newer ones carry their own copy: ask typer for it.
ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
CTRL_C = 130  # what newer typers return in place of raising KeyboardInterrupt

app = typer.Typer(
    name="lemari",
    help="Autoencoders from unlabelled data: train one, look at its code, and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    training,
    demo,
    analyse,
    comparing,
    create,
    restoring,
    detecting,
    thresholds,
    oversampling,
    serving,
    runs,
    models,
    system,
):
    module.register(app)
app.add_typer(data.app, name="data")


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """DATA is a name (digits, mnist, fashion-mnist), a folder or zip of pictures, or a file."""
    if version:
        from lemari import __version__

        typer.echo(__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Entry point: exit 0 done, 1 failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or bool(os.environ.get("LEMARI_DEBUG"))
    arguments = [word for word in arguments if word != "--debug"]
    warnings.showwarning = lambda text, *where: print(f"warning: {text}", file=sys.stderr)
    sys.exit(run(arguments, debug))


def run(arguments: list[str], debug: bool) -> int:
    """Run one command and return its exit code."""
    from lemari.errors import LemariError

    as_json = "--json" in arguments
    try:
        result = app(arguments, standalone_mode=False)
        if result == CTRL_C:
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except ClickException as fault:  # pyright: ignore[reportGeneralTypeIssues]
        if as_json:
            return say(fault.format_message(), 2, True)
        fault.show()
        return 2
    except (typer.Abort, KeyboardInterrupt):
        return say("Stopped.", 1, as_json)
    except LemariError as fault:
        if debug:
            raise
        return say(str(fault), fault.exit_code, as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return say("There is not enough memory; use a smaller --size or --batch-size.", 1, as_json)
    except OSError as fault:
        if debug:
            raise
        where = f" ({fault.filename})" if fault.filename else ""
        return say(f"The system refused: {fault.strerror or fault}{where}.", 1, as_json)
    except Exception as fault:
        if debug:
            raise
        kind = type(fault).__name__
        return say(f"A fault in Lemari ({kind}: {str(fault)[:200]}); --debug shows where.", 1,
                   as_json)  # fmt: skip


def say(text: str, code: int, as_json: bool) -> int:
    """Print an error to the error stream, as JSON where that was asked for."""
    if as_json:
        import json

        text = json.dumps({"error": text, "exit": code})
    else:
        text = f"error: {text}"
    print(text, file=sys.stderr)
    return code
