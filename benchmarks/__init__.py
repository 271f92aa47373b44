"""Speed and memory, measured against a sandbox portal on this machine: `make bench` writes RESULTS.md."""
