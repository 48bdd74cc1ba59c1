"""A run as HTML for notebooks: its figures, its cycles by cause and a heat map."""

import base64
import html as markup
import io

from . import figure as base
from . import heatmap, stalls, text

_DPI = 80
_ROWS = 9  # of the table of figures


def html(run):
    """HTML of a run; Run._repr_html_."""
    rows = "".join(
        f'<tr><td style="text-align:left">{markup.escape(name)}</td><td>{markup.escape(value)}</td></tr>'
        for name, value in text.figures(run)[:_ROWS]
    )
    title = markup.escape(text.title(run))
    words = f"{title}: heat map of the utilization, and PE-cycles by cause"
    image = f'<img alt="{words}" src="data:image/png;base64,{picture(run)}">' if run.cycles else ""
    return f"<div><b>{title}</b><table>{rows}</table>{image}</div>"


def picture(run):
    """The heat map and the causes as a PNG in base64."""
    fig = base.new(10.5, 4.2)
    left, right = fig.subplots(1, 2)
    heatmap.draw(left, run, pixels=400, small=True)
    stalls.draw(right, run)
    data = io.BytesIO()
    fig.savefig(data, format="png", dpi=_DPI)
    return base64.b64encode(data.getvalue()).decode()
