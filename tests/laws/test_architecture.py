"""The shape of the code: arrows point one way, nothing goes in circles, files stay small, no machine's paths leak."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
# Nothing may import from a later row.
LAYERS = (
    {"errors"},
    {"geometry"},
    {"body"},
    {"raster", "losses", "certainty"},
    {"nets", "refine", "synth", "data", "render", "export", "sources", "people", "facts", "evidence", "results"},
    {"settling", "checks", "locate", "suppression"},
    {"predictor", "train", "evaluate"},
    {"cli", "web"},
)
MOST_LINES = 500


def modules() -> list[str]:
    files = sorted((SOURCES / "nbf").rglob("*.py"))
    return [".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__") for file in files]


def path_of(module: str) -> Path:
    file = SOURCES.joinpath(*module.split("."))
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


def layer(module: str) -> int | None:
    names = module.split(".")
    return next((i for i, row in enumerate(LAYERS) if len(names) > 1 and names[1] in row), None)


def imports(module: str) -> set[str]:
    """Modules of nbf that a module needs before it can run: imports at its top level."""
    found = set()
    for node in ast.parse(path_of(module).read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nbf":
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & set(modules())


def test_nothing_imports_upwards():
    upwards = [
        f"{module} imports {target}"
        for module in modules()
        for target in sorted(imports(module))
        if module != "nbf" and (layer(target) or 0) > (layer(module) or 0)
    ]
    assert upwards == []


def test_every_module_has_a_layer():
    assert [name for name in modules() if name != "nbf" and layer(name) is None] == []


def test_no_circles():
    graph = {module: imports(module) - {module} for module in modules()}
    # A package's own file runs before its modules, which is no circle unless that file imports them back.
    TopologicalSorter(
        {name: {target for target in targets if target != "nbf"} for name, targets in graph.items()}
    ).prepare()


def test_files_stay_small():
    lines = {module: len(path_of(module).read_text().splitlines()) for module in modules()}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


def test_no_paths_of_a_machine():
    homes = [f"/{name}/" for name in ("work", "root", "home")]
    texts = [path for pattern in ("*.py", "*.md", "*.toml", "*.json", "Makefile") for path in ROOT.glob(pattern)]
    for folder in ("src", "tests", "tools", "docs", "examples", "benchmarks"):
        texts += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".json", ".toml")]
    leaks = [path.name for path in texts if any(home in path.read_text() for home in homes)]
    assert leaks == []
