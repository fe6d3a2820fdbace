"""The rules of the house, read from the source: one test a rule, which names all offenders."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Each room with those that it may import from.
ROOMS = {
    "utils": {"utils"},
    "layers": {"layers", "utils"},
    "models": {"models", "layers", "utils"},
    "data_provider": {"data_provider", "utils"},
    "exp": {"exp", "models", "layers", "data_provider", "utils"},
    "scripts": {"scripts", "exp", "models", "layers", "data_provider", "utils"},
    "run": {"exp", "models", "layers", "data_provider", "utils"},
    "pca": {"layers", "utils"},
    "calf": {"exp", "utils"},
}
OWN = {*ROOMS, "tests"}


def name_of(path: Path) -> str:
    """Return the name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    name_of(path): path
    for pattern in ("*.py", *(f"{room}/**/*.py" for room in ROOMS))
    for path in sorted(ROOT.glob(pattern))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def imports(name: str) -> set[str]:
    """Return everything that a module imports, wherever in it: modules by their full name."""
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {part if part in SOURCES else node.module for part in within}
    return found


IMPORTS = {name: imports(name) for name in SOURCES}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with its place."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node


def calls() -> Iterator[tuple[str, str, dict[str | None, str]]]:
    """Yield every call: its place, the called name and the keyword arguments."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                yield f"{name}:{node.lineno}", ast.unparse(node.func), options


def has_main(name: str) -> bool:
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in TREES[name].body
    )


def test_there_is_source_to_check() -> None:
    assert {name.split(".")[0] for name in SOURCES} == set(ROOMS)


def test_data_walks_one_way_through_the_house() -> None:
    upwards = {
        f"{name} imports {other}"
        for name in SOURCES
        for other in IMPORTS[name]
        if other.split(".")[0] in OWN - ROOMS[name.split(".")[0]]
    }
    assert not upwards


def test_no_module_imports_itself_by_way_of_others() -> None:
    circles: set[tuple[str, ...]] = set()

    def walk(path: tuple[str, ...], done: set[str]) -> None:
        for other in sorted(IMPORTS[path[-1]] & SOURCES.keys()):
            if other in path:
                circles.add(path[path.index(other) :])
            elif other not in done:
                walk((*path, other), done)
        done.add(path[-1])

    done: set[str] = set()
    for name in SOURCES:
        if name not in done:
            walk((name,), done)
    assert not circles


def test_only_commands_parse_flags() -> None:
    allowed = {"utils.command", "exp.flags", *filter(has_main, SOURCES)}
    assert not {name for name in SOURCES if "argparse" in IMPORTS[name]} - allowed


def test_every_command_ends_by_way_of_one_function() -> None:
    commands = {name for name in SOURCES if has_main(name)}
    tables = {"utils.tables.__main__", "utils.tables.ablation", "utils.tables.cross_domain", "exp.alignment"}
    alone = {"scripts.forecast_onnx"}  # which is copied to where this program is not
    uses = {"exp.export", "scripts.compare_files", "scripts.search_recipe", "scripts.serve"}
    assert commands == {"run", "pca", "data_provider.download", "scripts.benchmark", *tables, *uses, *alone}
    assert not {name for name in commands - alone if "utils.command" not in IMPORTS[name]}
    assert not {other for name in alone for other in IMPORTS[name] if other.split(".")[0] in OWN}


def test_every_function_says_what_it_takes_and_gives() -> None:
    bare = set()
    for place, node in functions():
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        names = {a.arg for a in arguments if a is not None and a.annotation is None} - {"self", "cls"}
        if names or node.returns is None:
            bare.add(place)
    assert not bare


def undocumented(node: ast.AST, place: str, inherited: bool = False) -> Iterator[str]:
    """Yield the public functions and classes within a module or class that have no docstring."""
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, ast.ClassDef | ast.FunctionDef) or part.name.startswith("_"):
            continue
        where = f"{place}.{part.name}"
        is_class = isinstance(part, ast.ClassDef)
        # A method of a subclass may do just what the method that it overrides says.
        if not ast.get_docstring(part) and not (inherited and not is_class):
            yield where
        if is_class:
            yield from undocumented(part, where, inherited=bool(part.bases))


def test_every_module_and_everything_public_says_what_it_is_for() -> None:
    silent = {name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)}
    product = {name: tree for name, tree in TREES.items() if not name.startswith("scripts")}
    silent |= {place for name, tree in product.items() for place in undocumented(tree, name)}
    assert not silent


def test_docstrings_begin_with_what_they_describe() -> None:
    openings = ("what ", "whether ", "which ", "the same", "as above", "of ", "how ", "where ")
    riddles = {
        place
        for place, node in functions()
        if (ast.get_docstring(node) or "").lower().startswith(openings) and not node.name.startswith("_")
    }
    assert not riddles


# A model's Config is run apart from the rest of its file: our own source, never a file that may come from others.
RUNS_OWN_SOURCE = {"models"}


def test_files_that_may_come_from_others_are_read_without_running_them() -> None:
    unsafe = set()
    for place, call, options in calls():
        runs = call in ("eval", "exec", "pickle.load", "pickle.loads") and place.split(":")[0] not in RUNS_OWN_SOURCE
        loads = call == "torch.load" and options.get("weights_only") != "True"
        unpickles = call in ("np.load", "numpy.load") and options.get("allow_pickle", "False") != "False"
        if runs or loads or unpickles:
            unsafe.add(f"{place} {call}")
    assert not unsafe
