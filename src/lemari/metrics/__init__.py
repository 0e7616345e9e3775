"""Measures. Each stands beside a baseline where it is shown."""
