"""Detecting anomalies: calibrated scores, thresholds with both errors, drift."""
