"""The search for masks and indices."""
