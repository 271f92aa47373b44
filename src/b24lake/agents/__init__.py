"""What agents are told and may ask: the skills file, and read-only tools over the Model Context Protocol."""
