"""Reads a page back: its tags, which must nest, and the text inside scripts, styles and the map."""

import html.parser
from collections.abc import Sequence


class Page(html.parser.HTMLParser):
    """The parts of a page.

    Attributes:
        tags: names and attributes.
        inside: contents of scripts and styles.
        map: the text inside the element with the id ``text``.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.map = ""
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] in self.inside:
            self.inside[self._open[-1][0]].append(data)
        if any(identity == "text" for _, identity in self._open):
            self.map += data

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    @property
    def policy(self) -> str:
        (found,) = [a["content"] for tag, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"]
        return str(found)
