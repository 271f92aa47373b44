"""The JSON API, /api/v1: one module per group of calls; each has a `router`."""
