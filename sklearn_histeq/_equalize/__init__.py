"""Histogram equalization."""
