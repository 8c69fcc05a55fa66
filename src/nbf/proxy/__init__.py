"""2D evidence taken from pictures, by networks or by somebody else: what a body is fitted to."""
