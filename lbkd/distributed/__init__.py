"""Ranks: launching, joining a process group, and collective operations."""
