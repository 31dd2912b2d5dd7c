"""The codec's networks and quantizers. Knows tensors, never files or streams (weights.py excepted)."""
