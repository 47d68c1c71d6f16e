"""What every page must be: whole, named and free of anything a strict content-security policy would stop."""

from html.parser import HTMLParser

VOID = set("area base br col embed hr img input link meta source track wbr".split())
DATA_BLOCKS = {"application/json", "application/ld+json"}


class Page(HTMLParser):
    """Collects the problems of a page and what tests like to ask about: `texts`, `links`, `ids`."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.labelled: set[str] = set()
        self.controls: list[dict] = []
        self.feed(html)
        self.close()
        self._finish()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self._scripts(tag, values)
        self._attributes(tag, values)
        if tag == "label" and values.get("for"):
            self.labelled.add(values["for"])
        if tag in {"input", "select", "textarea"}:
            self.controls.append({**values, "wrapped": "label" in self.open})
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._attributes(tag, dict(attrs))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1] if self.open else 'nothing'}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if data.strip() and not {"script", "style", "textarea"} & set(
            self.open
        ):  # a textarea holds what somebody typed
            self.texts.append(" ".join(data.split()))

    def _scripts(self, tag: str, values: dict) -> None:
        if tag == "style":
            self.problems.append("inline <style>")
        if tag == "script" and "src" not in values and values.get("type") not in DATA_BLOCKS:
            self.problems.append("inline <script>")
        address = values.get("src") if tag != "link" else values.get("href")
        if tag in {"script", "link", "iframe", "source"} and (address or "").startswith(("http:", "https:", "//")):
            self.problems.append(f"<{tag}> from another host: {address}")

    def _attributes(self, tag: str, values: dict) -> None:
        for name, value in values.items():
            if name == "style" or (name.startswith("on") and name.isalpha()) or name.startswith("hx-on"):
                self.problems.append(f'inline {name}="{value}" on <{tag}>')
            if (value or "").strip().lower().startswith("javascript:"):
                self.problems.append(f"script address in {name} of <{tag}>")
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img" and "alt" not in values:
            self.problems.append(f"<img> without alt: {values.get('src')}")

    def _finish(self) -> None:
        if self.open:
            self.problems.append(f"never closed: {self.open}")
        self.problems += [f"id {twice!r} appears twice" for twice in {i for i in self.ids if self.ids.count(i) > 1}]
        self.problems += [f"template code left over: {text[:60]}" for text in self.texts if _leftover(text)]
        for control in self.controls:
            named = control.get("aria-label") or control["wrapped"] or control.get("id") in self.labelled
            if not named and control.get("type") not in {"hidden", "submit"}:
                self.problems.append(f"no label for {control.get('name')}")

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def _leftover(text: str) -> bool:
    return any(mark in text for mark in ("{#", "#}", "{%", "%}", "{{", "}}"))


def assert_page_clean(response) -> Page:
    """Fails with every problem of a page: `response` is a test client's response or HTML text. Returns the parsed page.

    Checked: no inline script, style or handler; nothing from other hosts; tags nested properly; ids unique; every
    control labelled; pictures with alt; no template code left; and a response's policy allows nothing inline.
    """
    html = response if isinstance(response, str) else response.content.decode()
    page = Page(html)
    if not isinstance(response, str):
        policy = response.headers.get("Content-Security-Policy", "")
        if "unsafe" in policy or "default-src 'none'" not in policy:
            page.problems.append(f"weak content-security policy: {policy!r}")
    assert page.problems == []
    return page
