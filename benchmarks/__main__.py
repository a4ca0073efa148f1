"""``python -m benchmarks``: what can be measured."""

from __future__ import annotations

BENCHMARKS = {
    "lipschitz": "certified bounds of layers and networks, beside seven peers",
    "divergences": "KL, JS and Wasserstein distances, beside scipy and POT",
    "dynamics": "orbits, stability maps and worst cases, beside numpy, torch and PEPit",
    "gan": "training many small GANs at once, beside one at a time",
}


def main() -> None:
    """Print one line for every benchmark."""
    print("Run one with `python -m benchmarks.NAME`, and `--help` for its options:\n")
    for name, purpose in BENCHMARKS.items():
        print(f"  python -m benchmarks.{name:<12} {purpose}")


if __name__ == "__main__":
    main()
