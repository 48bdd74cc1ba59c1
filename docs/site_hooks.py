"""Hook of mkdocs: links from the documents to files outside docs/ become links to the files in the repository.

The documents are read in the checkout too, where such links are relative paths.  In the site, they name the file.
"""

import re

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)\s]+\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """`[text](../path)` becomes `text`: the site holds only what lies in docs/."""
    return OUTSIDE.sub(r"\1", markdown)
