"""The rules of the house, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("layers", "models", "utils", "data_provider", "exp", "scripts")
COMMANDS = [path for path in (ROOT / "run.py", ROOT / "pca.py") if path.exists()]
SOURCES = sorted([*COMMANDS, *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))])
OWN = {*FOLDERS, "run", "pca", "scripts", "tests"}

ALLOWED = {
    "layers": {"layers", "utils"},
    "models": {"models", "layers", "utils"},
    "utils": {"utils"},
    "data_provider": {"data_provider", "utils"},
    "exp": {"exp", "models", "layers", "utils", "data_provider"},
    "run.py": {"exp", "models", "layers", "utils", "data_provider"},
    "pca.py": {"layers", "utils"},
    "scripts": {"scripts", "models", "utils", "data_provider"},
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Top-level names of everything a file imports, wherever in it."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            found.add(node.module.split(".")[0])
    return found


def is_command(path: Path) -> bool:
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in parse(path).body
    )


def test_there_is_source_to_check() -> None:
    assert {name_of(path).split("/")[0] for path in SOURCES} >= {*FOLDERS, "run.py"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_data_walks_one_way_through_the_house(path: Path) -> None:
    name = name_of(path)
    allowed = ALLOWED[name.split("/")[0]]
    assert not (imports(path) & OWN) - allowed


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_the_flag_namespace_stops_at_exp(path: Path) -> None:
    if not name_of(path).startswith("exp/") and not is_command(path):
        assert "argparse" not in imports(path)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_function_says_what_it_takes_and_gives(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{name_of(path)}:{node.lineno} {node.name}"
            assert node.returns is not None, where
            arguments = [
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            ]
            bare = [a.arg for a in arguments if a is not None and a.annotation is None]
            assert not set(bare) - {"self", "cls"}, where


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    if path.read_text(encoding="utf-8").strip():
        assert ast.get_docstring(parse(path))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_that_may_come_from_others_are_read_without_running_them(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            call, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert call not in ("eval", "exec", "pickle.load", "pickle.loads"), f"{name_of(path)}:{node.lineno}"
            if call == "torch.load":
                assert options.get("weights_only") == "True", f"{name_of(path)}:{node.lineno}"
            if call in ("np.load", "numpy.load"):
                assert options.get("allow_pickle", "False") == "False", f"{name_of(path)}:{node.lineno}"


def test_files_that_read_tables_are_reached_through_their_door_alone() -> None:
    wing = ROOT / "data_provider" / "reading"
    others = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    offenders = [
        f"{name_of(path)} imports {node.module}"
        for path in others
        if wing not in path.parents
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("data_provider.reading.")
    ]
    assert offenders == []
