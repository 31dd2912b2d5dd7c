"""The codec model: backbones, quantizers, signal processing, configuration and weights files."""
