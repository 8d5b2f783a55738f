"""Gradient descent on objectives with two scales."""
