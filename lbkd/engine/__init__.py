"""A model under DeepSpeed: engine, optimizer, and DeepSpeed's configuration."""
