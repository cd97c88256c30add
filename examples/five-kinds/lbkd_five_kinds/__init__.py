"""One component of each kind for lbkd."""
