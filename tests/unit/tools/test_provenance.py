"""tools/provenance.py: the page says what the manifest says."""

from provenance import PAGE, page

from nbf.data.manifest import read_manifest


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_manifest()), "run python tools/provenance.py"


def test_every_set_and_source_is_on_it() -> None:
    sets = read_manifest()
    text = page(sets)
    for each in sets.values():
        assert f"\n## {each.name}\n" in text
        assert all(f"[{source.where}]" in text or f"| {source.where} |" in text for source in each.sources)
