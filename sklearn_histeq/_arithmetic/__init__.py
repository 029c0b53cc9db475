"""Pure functions of arrays of several methods: counts, transfer functions, colours, output."""
