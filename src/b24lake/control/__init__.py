"""Sources, triggers and runs: what makes a sync a service. Knows a database and the clock; knows no screen."""
