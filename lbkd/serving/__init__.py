"""A model that answers over HTTP, and a page to ask it on."""
