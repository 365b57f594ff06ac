"""A page of HTML, read as a browser would."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """The texts of a page by their innermost tag, its tables and what it loads; all that is opened must be closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.tables, self.images, self.loaded, self.bold = [], [], [], [], [], []
        self._open = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.loaded += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "img":
            self.images.append(attributes)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data
        if "td" in self._open and "b" in self._open:
            self.bold.append(data)

    def table(self, *titles):
        """The rows below the titles, of the table that begins with these."""
        return next(rows[1:] for rows in self.tables if rows[0][: len(titles)] == list(titles))
