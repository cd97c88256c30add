"""What only a GPU can show, measured by one command from a folder that needs no network."""
