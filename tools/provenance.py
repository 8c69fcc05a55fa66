"""Writes docs/provenance.md from the manifest of training data: python tools/provenance.py"""

from pathlib import Path

from nbf.data.manifest import Material, Source, address, read_manifest
from nbf.files import replacing

PAGE = Path(__file__).resolve().parents[1] / "docs" / "provenance.md"

_HEAD = """# Provenance

Where the files are from that this project's networks were trained with and its drawn people are made of. Made by
`python tools/provenance.py` from the manifest in `src/nbf/assets` (`training_data.json` is told by hand, its hashes and
`training_files.csv` are taken by `tools/list_training_data.py`); licences are quoted as their owners state them. The
files themselves are not distributed here. What the bundled weights and the body model come from beside these is in the
file NOTICE.

`nbf data fetch` brings what has a public home, `nbf data check DIR` says what a folder lacks
([Data sets](datasets.md)).

"""


def page(sets: dict[str, Material]) -> str:
    """The text of the page."""
    rows = [
        "| set | what | files | MB | licence | `nbf data fetch` |",
        "|---|---|---|---|---|---|",
        *(
            f"| [{each.name}](#{each.name}) | {each.title} | {each.count} | {each.bytes / 1e6:.1f} | {each.licence} | "
            f"{'no' if each.derived else 'yes'} |"
            for each in sets.values()
        ),
    ]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n".join(_section(each) for each in sets.values())


def _section(material: Material) -> str:
    lines = [
        f"## {material.name}",
        "",
        f"{material.title}: {_counted(material.count)}, {material.bytes / 1e6:.1f} MB, in `{material.folder}` of the "
        "shared folder.",
        "",
        f"- For: {material.purpose}.",
        f"- Licence: {material.licence}.",
        f"- Fetched: {_fetched(material)}.",
        f"- Without it: {material.without}.",
        f"- SHA-256 of the list of names and hashes: `{material.sha256}`.",
        "",
        "| source | version | licence as stated | what |",
        "|---|---|---|---|",
        *map(_row, material.sources),
        "",
    ]
    return "\n".join(lines)


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _fetched(material: Material) -> str:
    if not material.files:
        return f"cannot be: {material.derived}"
    text = f"{len(material.files)} files, {sum(file.bytes for file in material.files) / 1e6:.1f} MB, such as "
    text += f"<{address(material.files[0])}>"
    shrunk = sum(bool(file.ours) for file in material.files)
    return text + (
        f"; {shrunk} of them are full-size pictures, of which the bundled networks saw smaller copies with the colours "
        "of seen texels spread over unseen ones"
    )


def _row(source: Source) -> str:
    where = f"[{source.where}](https://github.com/{source.where})" if "/" in source.where else source.where
    return f"| {where} | {source.version or 'not noted'} | {source.licence} | {source.what} |"


def main() -> None:
    with replacing(PAGE) as draft:
        draft.write_text(page(read_manifest()), encoding="utf-8")


if __name__ == "__main__":
    main()
