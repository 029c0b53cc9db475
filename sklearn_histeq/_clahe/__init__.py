"""Contrast-limited adaptive histogram equalization."""
