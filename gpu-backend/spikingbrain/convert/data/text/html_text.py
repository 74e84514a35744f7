"""Running text out of an HTML page."""

import re
from html.parser import HTMLParser

BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "li",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "dt",
        "dd",
        "table",
        "ul",
        "ol",
        "section",
        "article",
        "blockquote",
    ]
)
# What surrounds a page's text: scripts, menus, headers and footers.
SKIPPED = frozenset(["script", "style", "head", "nav", "footer"])


class _TextOf(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SKIPPED:
            self._skipping += 1
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in SKIPPED:
            self._skipping = max(0, self._skipping - 1)
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._skipping == 0:
            self.parts.append(data)


def text_of_html(page: str) -> str:
    """The page's text with a line for each block; see `tidy`."""
    parser = _TextOf()
    parser.feed(page)
    return tidy("".join(parser.parts))


def tidy(text: str) -> str:
    """Runs of blanks become one, runs of empty lines one empty line; Sphinx's paragraph marks go."""
    text = text.replace("\r", "").replace("\u00b6", "")
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" *\n *", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
