"""A self-contained HTML page about a run, with tables of figures and the pictures inline."""

import base64
import html
import io
import json
from importlib import import_module

import matplotlib

from .. import files
from ..errors import ConfigError
from . import text

_PICTURES = {
    "heatmap": "Utilization over the grid",
    "stalls": "Where the PE-cycles went",
    "links": "Traffic per link",
    "timeline": "Over time",
    "schedule": "What the first PEs did, cycle by cycle",
}
_LARGE = 4096  # PEs; pictures of larger grids are PNG, because SVG files would be larger

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.15em; margin: 2em 0 .5em; }
table { border-collapse: collapse; }
td, th { padding: .2em 1.2em .2em 0; border-bottom: 1px solid #ddd; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } img { max-width: 100%; }
.columns { display: flex; flex-wrap: wrap; gap: 3em; } pre { background: #f5f5f5; padding: .8em; overflow: auto; }
"""


def write(run, path, kinds=None):
    """Write the page to `path`.

    kinds: names of pictures (modules of this package); None: all of `_PICTURES` that the run has data for.  Raises
    ConfigError if the file cannot be written.
    """
    kinds = kinds or [kind for kind in _PICTURES if _has(run, kind)]
    parts = [f"<h1>{html.escape(text.title(run))}</h1>", f"<p>{html.escape(text.duration(run))}</p>"]
    parts.append(f'<div class="columns"><div>{table(text.figures(run))}</div>')
    rows = [(text.cause_words(name), text.percent(share)) for name, share in text.shares(run).items()]
    parts.append(f"<div>{table(rows, 'cycles by cause')}</div></div>")
    for kind in kinds:
        parts.append(f"<h2>{html.escape(_PICTURES.get(kind, kind))}</h2>")
        parts.append(picture(import_module(f".{kind}", __package__).figure(run), _PICTURES.get(kind, kind), run))
    if run.meta:
        words = json.dumps(run.meta, indent=2, default=str, ensure_ascii=False)
        parts.append(f"<h2>How it was made</h2><pre>{html.escape(words)}</pre>")
    body = "\n".join(parts)
    page = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(text.title(run))}</title>'
    try:
        files.write_text(path, f"{page}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n")
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _has(run, kind):
    """Whether the run has the data that this picture shows."""
    if kind == "timeline":
        return run.series is not None and len(run.series) > 0 and run.cycles > 0
    if kind == "schedule":
        return run.events is not None and len(run.events) > 0
    return True


def table(rows, title=None):
    """HTML of a table of (name, value) rows, with an optional title."""
    head = f"<tr><th colspan=2>{html.escape(title)}</th></tr>" if title else ""
    cells = "".join(f'<tr><td>{html.escape(a)}</td><td class="number">{html.escape(b)}</td></tr>' for a, b in rows)
    return f"<table>{head}{cells}</table>"


def picture(fig, words, run):
    """HTML of a figure: an <img> element with the data inline.  words: its alternative text."""
    large = run.width * run.height > _LARGE
    data = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "wse"}):
        fig.savefig(data, format="png" if large else "svg", metadata=None if large else {"Date": None})
    code = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/{"png" if large else "svg+xml"};base64,{code}">'
