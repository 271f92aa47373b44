"""Speed, memory and limits, measured against a sandbox portal on this machine: `make bench` writes RESULTS.md."""
