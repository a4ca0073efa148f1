"""``import lipschitz`` costs numpy only; heavy packages load when a function needs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [
    name
    for name in ("evidence", "divergences", "lipschitz", "dynamics", "gan_core")
    if (ROOT / name / "__init__.py").is_file()
]
HEAVY = ("torch", "scipy", "matplotlib", "onnx", "rich", "ot", "sympy", "flint", "sklearn", "dask",
         "distributed", "safetensors", "pytest", "hypothesis")  # fmt: skip


def heavy_modules_after(statement: str) -> list[str]:
    """Heavy packages that a fresh interpreter has loaded after the statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.split(".")[0] for name in json.loads(finished.stdout)}
    return sorted(loaded.intersection(HEAVY))


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package):
    assert heavy_modules_after(f"import {package}") == []


def test_a_heavy_import_is_noticed():
    assert heavy_modules_after("import rich, flint") == ["flint", "rich"]
