"""The JSON API, /api/v1: what the command line does, by the same functions and rules.

app        the application, with its errors and its OpenAPI document
callers    who asks, by which token, and what they may
strict     what is refused before anything is read
shapes     what comes in and what goes out; house_shapes the same for alerts and the installation
others     one module per group of paths
"""

PREFIX = "/api/v1"
