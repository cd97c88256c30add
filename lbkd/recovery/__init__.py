"""Answer spans recovered in translated or altered texts."""
