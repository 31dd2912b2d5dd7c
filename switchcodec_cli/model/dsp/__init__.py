"""Signal processing in torch: short-time transforms, mel bands, phase estimation."""
