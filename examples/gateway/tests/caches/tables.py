"""What was found, as the tables of the manual's chapter on caches."""

from origin import KINDS, UNGUARDED
from scene import ROOT

CHAPTER = ROOT / "src" / "manual" / "caching.md"
ORDERS = {
    ("newcomers", "before"): "a hundred newcomers, the cache before the gateway",
    ("newcomers", "behind"): "a hundred newcomers, the cache behind it",
    ("regulars", "before"): "twenty clients with five requests each, before",
    ("regulars", "behind"): "twenty clients with five requests each, behind",
}


class Table:
    """A column for each cache, a row for each question."""

    def __init__(self, mark, corner, rows):
        self.mark, self.corner, self.rows = mark, corner, rows
        # By the cache's name and version.
        self.columns = {}

    def lines(self, columns):
        rows = [[self.corner, *columns], ["---", *["---"] * len(columns)]]
        rows += [[text, *(cells[row] for cells in columns.values())] for row, text in self.rows.items()]
        return [f"| {' | '.join(row)} |" for row in rows]

    def _place(self, chapter):
        """The lines of the chapter between the table's comment and the next empty line."""
        start = chapter.index(f"<!-- {self.mark}: examples/gateway/tests/caches/run --write -->") + 2
        return start, chapter.index("", start)

    def written(self):
        """The columns that the chapter has."""
        chapter = CHAPTER.read_text().split("\n")
        start, end = self._place(chapter)
        head, _, *rows = [line[2:-2].split(" | ") for line in chapter[start:end]] or [[""], []]
        return {title: [row[place] for row in rows] for place, title in enumerate(head) if place}

    def differences(self):
        """What the chapter says otherwise of the same caches; another version may differ."""
        written = self.written()
        for title, cells in self.columns.items():
            expected = [cells[row] for row in self.rows]
            if title not in written:
                print(f"{self.mark}: the chapter has no column {title}")
            elif written[title] != expected:
                yield f"{self.mark}: {title} is {expected}; the chapter has {written[title]}"

    def write(self):
        chapter = CHAPTER.read_text().split("\n")
        start, end = self._place(chapter)
        chapter[start:end] = self.lines(self.columns)
        CHAPTER.write_text("\n".join(chapter))


def tables():
    kinds = {key: kind.name for key, kind in KINDS.items()}
    return {
        "guarded": Table("guarded", "the response", kinds),
        "unguarded": Table("unguarded", "the response", {key: kind.name for key, kind in UNGUARDED.items()}),
        "order": Table("order", "requests that reach the endpoint", ORDERS),
    }
