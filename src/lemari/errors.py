"""Everything Lemari raises on purpose, as one family.

    LemariError                 what was given, what is needed, what to do instead (exit 1)
    ├── UsageError              the call itself is wrong: unknown name, impossible option (exit 2)
    ├── DataError               the data cannot be used: unreadable, empty, wrong shape, not finite
    ├── RunError                a run folder is locked, incomplete, of another version, or disagrees
    │   └── ModelFileError      a model file is truncated, tampered with or not ours
    ├── Diverged                a loss or a gradient stopped being finite
    └── MissingExtra            an optional dependency is not installed

Messages are one sentence for the fault and one for the remedy. Surfaces print them without a
traceback; `--debug` shows it.
"""


class LemariError(Exception):
    """Any fault that a user can understand and mend. `exit_code` is what a command returns."""

    exit_code = 1


class UsageError(LemariError, ValueError):
    """The call is wrong: an unknown name, an option out of range, parts that do not fit."""

    exit_code = 2


class DataError(LemariError, ValueError):
    """The data cannot be used; the message names the file, row or column and the remedy."""


class RunError(LemariError):
    """A run folder is in use, incomplete, of another version, or was made from other data."""


class ModelFileError(RunError, ValueError):
    """A model file is truncated, was changed after saving, or was not written by Lemari."""


class Diverged(LemariError, ArithmeticError):
    """A loss stopped being finite; the message names the term, the step and the setting."""


class MissingExtra(LemariError, ImportError):
    """An optional dependency is missing; the message names the extra that brings it."""
