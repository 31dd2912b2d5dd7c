"""Training of weights on a folder of audio."""
