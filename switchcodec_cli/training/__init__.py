"""Training: from a folder of audio to weights."""
