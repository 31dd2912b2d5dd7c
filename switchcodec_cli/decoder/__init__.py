"""The decoder: packets to audio."""
