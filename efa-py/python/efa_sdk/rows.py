"""Lists and texts that notebooks show as tables.

``Catalog.find``, ``Client.clusters`` and the parts of reports give a ``Rows``, which is a list:

>>> import efa_sdk as efa
>>> found = efa.Catalog.bundled().find(name="p5*.48xlarge")
>>> found == list(found), [t.name for t in found][:2]
(True, ['p5.48xlarge', 'p5e.48xlarge'])
>>> found.rows()[0]["maximum_efa_interfaces"]
32
"""

from __future__ import annotations

from types import GetSetDescriptorType

from efa_sdk import _efa_sdk

# Every list that a query gives needs this module: what only notebooks need is imported for them.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")
else:
    _T = object

__all__ = ["Rows", "Table"]

#: On the left, where notebooks put cells on the right; lines are never broken.
_CELL = 'style="text-align:left;white-space:nowrap"'
#: Cells of a notebook's table are cut off here.
_LONGEST = 60


def frame(rows: list[dict[str, Any]]) -> Any:
    """Rows as a ``pandas.DataFrame``, for every ``to_pandas``."""
    import importlib

    from efa_sdk.errors import MissingExtraError

    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise MissingExtraError(
            "python.missing_package",
            f"to_pandas needs pandas ({error})",
            "pip install pandas, or use rows()",
            {"package": "pandas"},
        ) from error
    return pandas.DataFrame(rows)


class Rows(list[_T]):
    """A list of values of one class, which notebooks show as a table with a column per field."""

    def rows(self) -> list[dict[str, Any]]:
        """Returns a dict per value: its fields by name, those of an inner value as ``field.name``.

        Numbers keep their units: the fields' names or docstrings name them.
        """
        return [_fields(value) for value in self]

    def to_pandas(self) -> Any:
        """Returns ``rows()`` as a ``pandas.DataFrame``, in the order of the list.

        Raises MissingExtraError without pandas.
        """
        return frame(self.rows())

    def _repr_html_(self) -> str:
        """The table; columns in which no row has a value are left out."""
        if self and all(isinstance(value, _efa_sdk.InstanceType) for value in self):
            # All of their fields are too many for a page.
            types: list[Any] = list(self)
            return _efa_sdk.instance_type_table(types)._repr_html_()
        rows = self.rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        names = [name for name in names if any(row.get(name) not in _EMPTY for row in rows)]
        if not names:
            return f"<p>{len(self)} rows</p>"
        head = "".join(f"<th {_CELL}>{_escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td {_CELL}>{_cell(row.get(name))}</td>" for name in names) + "</tr>"
            for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_EMPTY: tuple[Any, ...] = (None, "", [], {})


def _fields(value: Any) -> dict[str, Any]:
    """The properties of a value of the compiled module; another value is a field by itself."""
    names = [
        name
        for name, member in vars(type(value)).items()
        if isinstance(member, GetSetDescriptorType) and not name.startswith("_")
    ]
    if not names:
        return {"value": value}
    import json

    # As the value is declared, which is the order of its JSON; what is derived comes last.
    declared = list(json.loads(value.to_json())) if hasattr(value, "to_json") else []
    names.sort(key=lambda name: (declared.index(name) if name in declared else len(declared), name))
    fields: dict[str, Any] = {}
    for name in names:
        field = getattr(value, name)
        if _is_value(field):
            fields.update({f"{name}.{inner}": held for inner, held in _fields(field).items()})
        else:
            fields[name] = field
    return fields


def _escape(text: str) -> str:
    import html

    return html.escape(text)


def _is_pair(one: Any) -> bool:
    return isinstance(one, tuple)


def _is_value(field: Any) -> bool:
    return type(field).__module__ == "efa_sdk._efa_sdk"


def _cell(field: Any) -> str:
    if isinstance(field, (list, tuple)):
        text = ", ".join(" ".join(map(str, one)) if _is_pair(one) else str(one) for one in field)
    elif isinstance(field, dict):
        text = ", ".join(f"{key}: {held}" for key, held in field.items())
    else:
        text = "" if field is None else f"{field:g}" if isinstance(field, float) else str(field)
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return _escape(cut)


class Table(str):
    """A text that terminals show as the table that it is, and notebooks as one of HTML.

    >>> Table("a  b\\n1  2", "<table></table>")
    a  b
    1  2
    """

    _html: str

    def __new__(cls, text: str, html: str) -> Table:
        """``text``: for terminals; ``html``: the same for notebooks."""
        table = super().__new__(cls, text)
        table._html = html
        return table

    def __repr__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type[Table], tuple[str, str]]:
        return Table, (str(self), self._html)

    def _repr_html_(self) -> str:
        return self._html
