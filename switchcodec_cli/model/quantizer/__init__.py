"""Residual experts vector quantization (REVQ)."""
