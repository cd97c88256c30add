"""The recipes that ship; see `lbkd reproduce --help`."""
