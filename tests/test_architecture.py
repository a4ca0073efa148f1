"""The rules of the house that a parser can check: who imports whom, and what nobody may call."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A package may import those after it in its own list, and nothing else of the house.
MAY_IMPORT = {
    "evidence": set(),
    "divergences": {"evidence"},
    "lipschitz": {"evidence"},
    "dynamics": {"evidence"},
    "gan_core": {"evidence", "divergences", "lipschitz", "dynamics"},
    "benchmarks": {"evidence", "divergences", "lipschitz", "dynamics", "gan_core"},
}
LIBRARY = [name for name in MAY_IMPORT if name != "benchmarks"]
HOUSE = {*MAY_IMPORT, "tests", "docs"}
# What `import lipschitz` may cost; everything else is imported inside the function that needs it.
CHEAP = {"numpy", *sys.stdlib_module_names}
FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}
FORBIDDEN_BUILTINS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_FUNCTIONS = {"sympify", "parse_expr"}  # sympy's readers run the string they are given
LONGEST_FILE = 400
DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}

Problem = tuple[int, str]


def sources(*folders: str) -> list[Path]:
    """Python files of the folders that exist."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def everything() -> list[Path]:
    return [*sources(*MAY_IMPORT, "tests", "docs"), *sorted(ROOT.glob("*.py"))]


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str, bool]]:
    """Line, dotted name and whether it is executed when the module is imported."""

    def visit(node: ast.AST, at_import: bool) -> Iterator[tuple[int, str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((child.lineno, alias.name, at_import) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                name = f"{package}.{base}".rstrip(".") if child.level else base
                yield child.lineno, name, at_import
            else:
                later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
                    isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                )
                yield from visit(child, at_import and not later)

    return visit(tree, True)


def wrong_imports(source: str, package: str) -> list[Problem]:
    allowed = {package, *MAY_IMPORT[package]}
    return [
        (line, f"{package} imports {name}")
        for line, name, _ in imported(ast.parse(source), package)
        if name.split(".")[0] in HOUSE - allowed
    ]


def costly_imports(source: str, package: str, extra: frozenset[str] = frozenset()) -> list[Problem]:
    return [
        (line, f"imports {name} when it is imported itself")
        for line, name, at_import in imported(ast.parse(source), package)
        if at_import and name.split(".")[0] not in CHEAP | HOUSE | extra
    ]


def forbidden(source: str) -> list[Problem]:
    """Ways to run code from data: unpickling, eval, sympy on strings, unsafe loaders."""
    tree = ast.parse(source)
    problems = [
        (line, f"imports {name}")
        for line, name, _ in imported(tree, "")
        if name.split(".")[0] in FORBIDDEN_MODULES
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
        is_builtin = name.removeprefix("builtins.") in FORBIDDEN_BUILTINS
        if is_builtin or name.split(".")[-1] in FORBIDDEN_FUNCTIONS:
            problems.append((node.lineno, f"calls {name}"))
        if keywords.get("allow_pickle", "False") != "False":
            problems.append((node.lineno, f"{name} with allow_pickle"))
        if name in ("np.load", "numpy.load") and "allow_pickle" not in keywords:
            problems.append((node.lineno, f"{name} without allow_pickle=False"))
        if name == "torch.load" and keywords.get("weights_only") != "True":
            problems.append((node.lineno, "torch.load without weights_only=True"))
    return problems


def speaks_or_asserts(source: str) -> list[Problem]:
    """Library code neither prints nor checks its input with assert."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "plt.show"):
            problems.append((node.lineno, f"calls {ast.unparse(node.func)}"))
        if isinstance(node, ast.Assert):
            problems.append((node.lineno, "asserts; raise ValueError or TypeError"))
    return problems


def functions_named_like_their_file(source: str, stem: str, package: str) -> list[Problem]:
    return [
        (node.lineno, f"the function {node.name} has the name of its file or package")
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name in (stem, package)
    ]


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def listed(path: Path, problems: list[Problem]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}: {text}" for line, text in problems]


@pytest.mark.parametrize("package", [name for name in MAY_IMPORT if (ROOT / name).is_dir()])
def test_arrows_point_down_only(package):
    found = [p for f in sources(package) for p in listed(f, wrong_imports(f.read_text(), package))]
    assert found == []


def test_library_packages_import_numpy_and_the_standard_library_only():
    found = []
    for path in sources(*LIBRARY):
        # The pytest plugin is imported by pytest alone.
        extra = frozenset({"pytest"}) if path.name == "pytest_plugin.py" else frozenset()
        found += listed(path, costly_imports(path.read_text(), package_of(path), extra))
    assert found == []


def test_nothing_runs_code_that_came_as_data():
    found = [p for f in everything() for p in listed(f, forbidden(f.read_text()))]
    assert found == []


def test_library_code_neither_prints_nor_asserts():
    found = [p for f in sources(*LIBRARY) for p in listed(f, speaks_or_asserts(f.read_text()))]
    assert found == []


def test_no_function_has_the_name_of_its_file():
    found = []
    for path in sources(*LIBRARY):
        problems = functions_named_like_their_file(path.read_text(), path.stem, package_of(path))
        found += listed(path, problems)
    assert found == []


def test_no_file_is_a_drawer():
    assert [str(path) for path in everything() if path.stem in DRAWERS] == []


def test_files_hold_one_idea_each():
    # Unit tests may list more cases than an idea has lines.
    found = [
        f"{p.relative_to(ROOT)}: {n} lines"
        for p in sources(*MAY_IMPORT, "tests/proofs")
        if (n := p.read_text().count("\n")) > LONGEST_FILE
    ]
    assert found == []


def test_no_folder_of_tests_shadows_a_package():
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    assert folders.isdisjoint(MAY_IMPORT)


# ---- the checks themselves can fail --------------------------------------------------------------
@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("evidence", "import lipschitz"),
        ("lipschitz", "def f():\n    from dynamics.games import g"),
        ("divergences", "from tests.oracles import convolution_matrix"),
        ("dynamics", "import benchmarks.harness as h"),
    ],
)
def test_an_arrow_that_points_up_is_found(package, source):
    assert wrong_imports(source, package)


@pytest.mark.parametrize("source", ["import torch", "from scipy.stats import norm", "import ot"])
def test_a_costly_import_is_found_unless_a_function_makes_it(source):
    assert costly_imports(source, "lipschitz")
    assert costly_imports(f"if True:\n    {source}", "lipschitz")
    assert costly_imports(f"class A:\n    {source}", "lipschitz")
    assert not costly_imports(f"def f():\n    {source}", "lipschitz")
    assert not costly_imports(f"if TYPE_CHECKING:\n    {source}", "lipschitz")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "eval('1')",
        "sympy.sympify(text)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
    ],
)
def test_code_that_runs_data_is_found(source):
    assert forbidden(source)


@pytest.mark.parametrize(
    "source",
    [
        "re.compile('a')",
        "np.load(path, allow_pickle=False)",
        "torch.load(path, weights_only=True)",
        "model.eval()",
    ],
)
def test_harmless_calls_are_not_found(source):
    assert not forbidden(source)


@pytest.mark.parametrize("source", ["print(1)", "assert x > 0", "def f():\n    plt.show()"])
def test_library_code_that_speaks_is_found(source):
    assert speaks_or_asserts(source)


def test_a_function_named_like_its_file_is_found():
    assert functions_named_like_their_file("def torus(): ...", "torus", "lipschitz")
