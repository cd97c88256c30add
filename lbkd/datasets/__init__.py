"""Public datasets: addresses, checksums and downloads."""
