"""Local histogram equalization."""
