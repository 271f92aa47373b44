"""One run of one source: reads streams into the lake, proves it, reports it."""
