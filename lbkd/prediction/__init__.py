"""Files of questions answered: read one by one, and answers kept as they come."""
