"""A third-party variant for Lemari."""
