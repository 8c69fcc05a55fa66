"""Training: one loop for all networks, one file per network that says what it learns from and how."""
