"""Pure functions of arrays: conventions, transfer functions, counts, quantiles, tiles, status."""
