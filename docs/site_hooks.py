"""Hook of mkdocs: what the documents write for readers of the checkout, changed for the site.

Links from the documents to files outside docs/ are relative paths; in the site, they name the file.  Indexed
names such as S[j][i] are text; without the hook, mkdocstrings takes them for references.
"""

import re

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)\s]+\)")
CODE = re.compile(r"(^```.*?^```|^ {4}[^\n]*|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """`[text](../path)` becomes `text`, for the site holds only docs/; `][` outside of code is escaped."""
    parts = CODE.split(OUTSIDE.sub(r"\1", markdown))
    return "".join(part if number % 2 else part.replace("][", "]\\[") for number, part in enumerate(parts))
