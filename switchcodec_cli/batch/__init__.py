"""Encoding and decoding of many files: planning of jobs, and their execution in this process."""
