"""Figures and text about streams and evaluations."""
