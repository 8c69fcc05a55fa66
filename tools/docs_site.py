"""What MkDocs (mkdocs.yml) does not find in docs/: start page, model card, how-tos, API pages and the menu.

The start page is README.md, a how-to is an example of examples/, an API page lists a package of src/nbf: nothing is
written twice.
"""

import ast
import json
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from mkdocs.structure.files import File, Files

import nbf

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ("conventions.md", "files.md")
DATA_SETS = ("datasets.md", "provenance.md")
API = ("body", "geometry", "raster", "proxy", "solve", "export")
"""Packages that may be used from outside."""
ADOPTED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "src/nbf/assets/MODEL_CARD.md": "model_card.md",
}
"""Pages that live outside of docs/."""


def on_config(config: Any) -> Any:
    """The menu."""
    guides = [path.name for path in sorted((ROOT / "docs").glob("*.md")) if path.name not in REFERENCE + DATA_SETS]
    sets = [f"datasets/{path.name}" for path in sorted((ROOT / "docs" / "datasets").glob("*.md"))]
    answers = [f"experiments/{path.name}" for path in sorted((ROOT / "docs" / "experiments").glob("*.md"))]
    config.nav = [
        {"Start": "index.md"},
        {"How to": [{_title(path): f"how-to/{path.stem}.md"} for path in _examples()]},
        {"Guides": [*guides, "model_card.md", "security.md", "contributing.md"]},
        {"Data sets": [*DATA_SETS, *sets]},
        {"Experiments": answers},
        {
            "Reference": [
                *REFERENCE,
                {"nbf": "api/nbf.md"},
                *({f"nbf.{name}": f"api/{name}.md"} for name in _packages()),
            ]
        },
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages, and the other files of the repository that they link to."""
    pages = {f"how-to/{path.stem}.md": _page(path) for path in _examples()}
    pages |= {f"api/{name}.md": package_page(name) for name in _packages()} | {"api/nbf.md": public_names()}
    for path, page in ADOPTED.items():
        text, linked = relinked((ROOT / path).read_text("utf-8"), path)
        pages |= {page: text} | {f"{name}.txt": (ROOT / name).read_text("utf-8") for name in linked}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def how_to(source: str, name: str) -> str:
    """An example as a page: comments at the margin become text, what is between them stays code."""
    lead, _, call = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    paragraphs = [f"# {_title(Path(name))}", lead, *(f"    {line}" for line in call.splitlines())]
    for block in re.split(r"(?m)^((?:# .*\n)+)", source.split('"""', 2)[2]):
        if block.startswith("# "):
            paragraphs.append(" ".join(line.removeprefix("# ") for line in block.splitlines()))
        elif block.strip():
            paragraphs.append("```python\n" + block.strip("\n") + "\n```")
    return "\n\n".join(paragraphs) + "\n"


def notebook_page(source: str) -> str:
    """A notebook as a page: its text, and its code."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(source)["cells"]]
    return "\n\n".join(f"```python\n{text}\n```" if kind == "code" else text for kind, text in cells) + "\n"


def package_page(name: str) -> str:
    """Everything that a package of nbf has."""
    return f"# nbf.{name}\n\n::: nbf.{name}\n    options:\n      show_submodules: true\n"


def public_names() -> str:
    """The names of `nbf` itself, each from where it is defined, or a link to the page of that package."""
    blocks = ["# Public names", "`import nbf`, then `nbf.NAME`."]
    for name, home in sorted(nbf._HOME.items()):
        elsewhere = home.split(".")[1] in _packages()
        blocks.append(f"## [nbf.{name}][{home}.{name}]" if elsewhere else f"::: {home}.{name}")
    return "\n\n".join(blocks) + "\n"


def relinked(text: str, path: str) -> tuple[str, set[str]]:
    """The text of a file of the repository with its links as pages have them, and the other files that it links to."""
    others = set()

    def link(match: re.Match[str]) -> str:
        if "://" in match[1]:
            return match[0]
        target = normpath(str(PurePosixPath(path).parent / match[1]))
        if target in ADOPTED or target.startswith("docs/"):
            return f"]({ADOPTED.get(target) or target.removeprefix('docs/')})"
        others.add(target)
        return f"]({target}.txt)"

    return re.sub(r"\]\(([^)#]+)\)", link, text), others


def _examples() -> list[Path]:
    return sorted((ROOT / "examples").glob("[0-9]*.*"))


def _page(example: Path) -> str:
    text = example.read_text("utf-8")
    return notebook_page(text) if example.suffix == ".ipynb" else how_to(text, example.name)


def _packages() -> list[str]:
    return [name for name in API if (ROOT / "src" / "nbf" / name / "__init__.py").exists()]


def _title(example: Path) -> str:
    return example.stem.partition("_")[2].replace("_", " ").capitalize()
