"""Measurements beside what other methods give; ``python -m benchmarks`` lists them."""
