"""Side-by-side measurements against what people would use otherwise; `make bench` runs all of them."""
