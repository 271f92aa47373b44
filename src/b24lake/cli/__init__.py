"""The command line: parse, call, print. One module per group of commands; heavy imports wait until a command runs."""
