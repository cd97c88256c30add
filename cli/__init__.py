"""The command line of lbkd: the only place that prints."""
