"""Encoding and decoding of many files: planning of jobs, their execution in processes, manifests."""
