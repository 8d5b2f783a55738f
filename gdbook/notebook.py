"""What the text of a chapter takes from its cells: numbers by name, and tables."""

import html
from numbers import Integral

__all__ = ["glue", "table"]

# Output under this prefix is kept for the text and not shown; MyST-NB looks for it there.
_KEPT = "application/papermill.record/"


def glue(name, value):
    """Keep a value under a name, so that the text can quote it: ``{glue:text}`name:.3f```.

    MyST-NB's function of that name does the same, and loads all of Sphinx into the kernel first.

    Parameters
    ----------
    name : str
        Its own in the whole book.
    value : str or number
        What is neither text nor whole is kept as a float.
    """
    from IPython.core.formatters import format_display_data
    from IPython.display import display

    if not isinstance(value, str):  # NumPy's numbers would be quoted as "np.float64(0.5)"
        value = int(value) if isinstance(value, Integral) else float(value)
    bundle, metadata = format_display_data(value)
    metadata["scrapbook"] = {"name": name, "mime_prefix": _KEPT}
    display({_KEPT + kind: data for kind, data in bundle.items()}, raw=True, metadata=metadata)


def table(columns, rows):
    """A table with a head, as the last value of a cell.

    Parameters
    ----------
    columns : sequence of str
    rows : sequence of sequence
        Numbers and texts, shown as they are.

    Returns
    -------
    IPython.display.HTML

    Examples
    --------
    >>> print(table(["n", "error"], [[1, "< 1"]]).data)
    <table class="table table-sm">
    <thead><tr><th scope="col">n</th><th scope="col">error</th></tr></thead>
    <tbody><tr><td>1</td><td>&lt; 1</td></tr></tbody>
    </table>
    """
    from IPython.display import HTML

    head = "".join(f'<th scope="col">{html.escape(str(text))}</th>' for text in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(text))}</td>" for text in row) + "</tr>"
        for row in rows
    )
    return HTML(
        f'<table class="table table-sm">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody>\n</table>"
    )
