"""The factorisation model: its invariant ellipse and its critical learning rate."""
