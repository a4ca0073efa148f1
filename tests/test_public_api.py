"""The public surface is one page: ``__all__`` of each package, and nothing else is public."""

from __future__ import annotations

import importlib
import inspect
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [
    name
    for name in ("evidence", "divergences", "lipschitz", "dynamics", "gan_core")
    if (ROOT / name / "__init__.py").is_file()
]
PUBLIC = [(package, name) for package in PACKAGES for name in getattr(
    importlib.import_module(package), "__all__", [])]  # fmt: skip


def undeclared(namespace: dict[str, object], declared: list[str]) -> set[str]:
    """Public names of a namespace, modules apart, that differ from the declared ones."""
    public = {
        name
        for name, value in namespace.items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and name != "annotations"
    }
    return public ^ set(declared)


def undocumented(thing: object) -> list[str]:
    """What the documentation of a public object lacks."""
    text = inspect.getdoc(thing) or ""
    missing = [] if text.strip() else ["a docstring"]
    if callable(thing) and ">>>" not in text:
        missing.append("an example that runs")
    if inspect.isclass(thing):
        missing += [
            f"a docstring of {name}"
            for name, member in vars(thing).items()
            if not name.startswith("_")
            and (inspect.isfunction(member) or isinstance(member, (property, classmethod)))
            and not inspect.getdoc(member)
        ]
    return missing


@pytest.mark.parametrize("package", PACKAGES)
def test_all_lists_exactly_what_is_public(package):
    module = importlib.import_module(package)
    lazy = set(getattr(module, "__all__", [])) - set(vars(module))
    for name in lazy:
        getattr(module, name)  # a lazy name must resolve
    assert undeclared(vars(module), module.__all__) - lazy == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_all_repeats_no_name(package):
    declared = importlib.import_module(package).__all__
    assert len(set(declared)) == len(declared)


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_everything_public_is_documented_with_an_example(package, name):
    assert undocumented(getattr(importlib.import_module(package), name)) == []


# ---- the checks themselves can fail --------------------------------------------------------------
def test_a_name_that_is_not_declared_is_found():
    assert undeclared({"f": len, "g": len, "_h": len}, ["f"]) == {"g"}
    assert undeclared({"f": len}, ["f", "missing"]) == {"missing"}


def test_a_function_without_an_example_is_found():
    def function():
        """Does something."""

    assert undocumented(function) == ["an example that runs"]
    assert undocumented(lambda: None) == ["a docstring", "an example that runs"]
