"""Histogram matching."""
