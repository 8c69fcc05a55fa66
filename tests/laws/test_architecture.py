"""The shape of the code: arrows point one way, no package needs itself, files stay small, no machine's paths leak."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
# What finds people in a picture and fits bodies to them; drawing people and reading data sets is for training alone.
PREDICTS = "predictor", "methods", "solve", "proxy", "nets", "people", "motion", "export", "render", "body", "raster"
TEACHES = {"synth", "data", "train", "evaluate", "experiments", "cli"}
MOST_LINES = 500


@cache
def modules() -> list[str]:
    files = sorted((SOURCES / "nbf").rglob("*.py"))
    return [".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__") for file in files]


def path_of(module: str) -> Path:
    file = SOURCES.joinpath(*module.split("."))
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


def package(module: str) -> str:
    """The room of a module: the folder or the file right under `nbf`."""
    return module.split(".")[1]


def imports(module: str) -> set[str]:
    """Modules of nbf that a module needs before it can run: imports at its top level."""
    found = set()
    for node in ast.parse(path_of(module).read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nbf":
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & set(modules()) - {"nbf"}


def needs() -> dict[str, set[str]]:
    """Which packages each package needs."""
    graph: dict[str, set[str]] = {}
    for module in modules():
        if module != "nbf":
            others = {package(target) for target in imports(module)} - {package(module)}
            graph.setdefault(package(module), set()).update(others)
    return graph


def test_no_package_needs_itself():
    TopologicalSorter(needs()).prepare()


def test_no_module_needs_itself():
    # A package's own file runs before its modules, which is no circle unless that file imports them back.
    TopologicalSorter({module: imports(module) - {module} for module in modules()}).prepare()


def test_nothing_that_predicts_reaches_what_teaches():
    graph = needs()
    reached, todo = set(), [name for name in PREDICTS if name in graph]
    while todo:
        name = todo.pop()
        reached.add(name)
        todo += graph[name] - reached
    assert reached & TEACHES == set()


def test_training_a_network_loads_nothing_that_only_others_need():
    """The fitter reads packs and draws nobody; the locator knows of no other network's training."""

    def loaded(*names: str) -> set[str]:
        found: set[str] = set()
        todo = list(names)
        while todo:
            found.add(module := todo.pop())
            todo += imports(module) - found
        return found

    fitter, locator = loaded("nbf.train.fitter"), loaded("nbf.train.locator")
    assert not fitter & {"nbf.synth.sampler", "nbf.data.pack", "nbf.train.segmenter", "nbf.train.locator"}
    assert not locator & {"nbf.train.segmenter", "nbf.train.fitter"}


def test_files_stay_small():
    lines = {module: len(path_of(module).read_text().splitlines()) for module in modules()}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


def test_no_paths_of_a_machine():
    homes = [f"/{name}/" for name in ("work", "root", "home")]
    texts = [path for pattern in ("*.py", "*.md", "*.toml", "*.json", "Makefile") for path in ROOT.glob(pattern)]
    for folder in ("src", "tests", "tools", "docs", "examples", "benchmarks"):
        texts += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".json", ".toml")]
    texts = [path for path in texts if "node_modules" not in path.parts]
    leaks = [path.name for path in texts if any(home in path.read_text() for home in homes)]
    assert leaks == []
