"""What the functions written in Python take: another type is refused as the compiled module does.

``typed`` stands before a function or a class, and reads what each parameter takes from its
annotation:

>>> from efa_sdk.arguments import typed
>>> @typed
... def wait(seconds: "float | None" = None) -> None: ...
>>> wait("5")
Traceback (most recent call last):
efa_sdk.errors.ArgumentTypeError: seconds is '5' (str), and must be a number or None
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from efa_sdk.errors import invalid_value, wrong_type

__all__ = ["typed"]

_T = TypeVar("_T", bound="Callable[..., Any]")


class _Kind(NamedTuple):
    """What a parameter takes: the test for it, and its alternatives in words, such as ``a str``."""

    alternatives: tuple[str, ...]
    fits: Callable[[Any], bool]

    @property
    def words(self) -> str:
        """All of them, such as ``a str or None``."""
        *others, last = self.alternatives
        return f"{', '.join(others)} or {last}" if others else last

    @property
    def items(self) -> str:
        """As what several things are, such as ``str or bytes``."""
        bare = (one.removeprefix("an ").removeprefix("a ") for one in self.alternatives)
        return " or ".join(bare)


def _one(words: str, fits: Callable[[Any], bool]) -> _Kind:
    return _Kind((words,), fits)


def typed(of: _T) -> _T:
    """The function, or the class with its constructor, public methods and setters, that raises
    ArgumentTypeError for an argument of another type than its annotation states."""
    if not isinstance(of, type):
        checked: _T = _checked(of)
        return checked
    for name, member in list(vars(of).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, property) and member.fset is not None:
            setattr(of, name, member.setter(_checked(member.fset)))
        elif isinstance(member, (classmethod, staticmethod)):
            setattr(of, name, type(member)(_checked(member.__func__)))
        elif inspect.isfunction(member):
            setattr(of, name, _checked(member))
    return of


class _Parameters(NamedTuple):
    """What a function takes. Binding a signature at each call would take longer than many calls."""

    #: What each must be; None where that is anything.
    kinds: Mapping[str, _Kind | None]
    positional: tuple[str, ...]
    by_name: frozenset[str]
    #: Whether it takes further arguments by position.
    more_positional: bool
    #: Whether it takes arguments of other names, and what they must be.
    more_by_name: bool
    kind_of_others: _Kind | None

    @classmethod
    def of(cls, function: Any) -> _Parameters:
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        kinds: dict[str, _Kind | None] = {}
        of_kind: dict[Any, list[str]] = {}
        for parameter in inspect.signature(function).parameters.values():
            of_kind.setdefault(parameter.kind, []).append(parameter.name)
            annotation = parameter.annotation
            kinds[parameter.name] = (
                _kind(annotation, scope) if isinstance(annotation, str) else None
            )
        one = inspect.Parameter
        both = of_kind.get(one.POSITIONAL_OR_KEYWORD, [])
        others = of_kind.get(one.VAR_KEYWORD, [])
        # Those of one name for many values are no arguments themselves.
        kind_of_others = kinds.pop(others[0], None) if others else None
        return cls(
            kinds,
            (*of_kind.get(one.POSITIONAL_ONLY, []), *both),
            frozenset([*both, *of_kind.get(one.KEYWORD_ONLY, [])]),
            one.VAR_POSITIONAL in of_kind,
            bool(others),
            kind_of_others,
        )

    def check(self, name: str, value: Any) -> None:
        kind = self.kinds.get(name, self.kind_of_others)
        if kind is not None and not kind.fits(value):
            raise wrong_type(name, value, kind.words)


def _checked(function: Any) -> Any:
    @functools.cache
    def parameters() -> _Parameters:
        return _Parameters.of(function)

    def check(given: tuple[Any, ...], by_name: dict[str, Any]) -> None:
        taken = parameters()
        names = taken.positional[: len(given)]
        # The call itself states which argument is unknown, given twice or one too many.
        if len(given) > len(names) and not taken.more_positional:
            return
        for name in by_name:
            if name in names or not (name in taken.by_name or taken.more_by_name):
                return
        for name, value in zip(names, given, strict=False):
            taken.check(name, value)
        for name, value in by_name.items():
            taken.check(name, value)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaits(*given: Any, **by_name: Any) -> Any:
            check(given, by_name)
            return await function(*given, **by_name)

        return awaits

    @functools.wraps(function)
    def calls(*given: Any, **by_name: Any) -> Any:
        check(given, by_name)
        return function(*given, **by_name)

    return calls


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: all(hasattr(value, name) for name in names)


def _is(*classes: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, classes)


def _is_number(value: Any, method: str) -> bool:
    """True is none, although Python takes it for 1."""
    return hasattr(value, method) and not isinstance(value, bool)


#: What wraps a client is one.
_CLIENT = _one("a Client", _has("describe", "verify"))
_PLAIN = {
    "AwaitingClient": _CLIENT,
    "Client": _CLIENT,
    "None": _one("None", lambda value: value is None),
    "TextIO": _one("a text file", _has("write", "flush")),
    "bool": _one("a bool", lambda value: type(value).__name__ in ("bool", "bool_")),
    "bytearray": _one("a bytearray", _is(bytearray)),
    "bytes": _one("bytes", _is(bytes)),
    "float": _one("a number", lambda value: _is_number(value, "__float__")),
    "int": _one("an int", lambda value: _is_number(value, "__index__")),
    "os.PathLike": _one("an os.PathLike", _is(os.PathLike)),
    "str": _one("a str", _is(str)),
}


def _kind(annotation: str, scope: Mapping[str, Any]) -> _Kind | None:
    """What an annotation allows; None where that is anything, or another function judges it."""
    first, *others = _divided(annotation, " | ")
    if others:
        return _either(_kind(first, scope), _kind(" | ".join(others), scope))
    head, bracket, inner = annotation.partition("[")
    if head in _PLAIN:
        return _PLAIN[head]
    if head == "Callable":
        return _one("a callable", callable)
    if bracket:
        return _container(head, [_kind(part, scope) for part in _divided(inner[:-1], ", ")])
    return _class(head, scope)


def _divided(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand in no brackets."""
    parts = [""]
    for piece in text.split(separator):
        if parts[-1].count("[") > parts[-1].count("]"):
            parts[-1] += separator + piece
        else:
            parts.append(piece)
    return parts[1:]


def _either(one: _Kind | None, other: _Kind | None) -> _Kind | None:
    if one is None or other is None:
        return None
    return _Kind(
        one.alternatives + other.alternatives,
        lambda value: one.fits(value) or other.fits(value),
    )


def _container(head: str, inner: list[_Kind | None]) -> _Kind | None:
    words = " to ".join("anything" if kind is None else kind.items for kind in inner)
    if head in ("Mapping", "dict"):
        key, item = inner
        return _one(
            f"a dict of {words}",
            lambda value: (
                isinstance(value, Mapping) and _all(key, value) and _all(item, value.values())
            ),
        )
    if head in ("Collection", "Iterable", "Sequence", "list"):
        (item,) = inner
        # An iterator is read by the function alone.
        takes: Any = Iterable if head == "Iterable" else Collection
        return _one(
            f"a list of {words}",
            lambda value: (
                isinstance(value, takes)
                and not isinstance(value, (str, bytes, bytearray, Mapping))
                and (not isinstance(value, (list, tuple)) or _all(item, value))
            ),
        )
    return None


def _all(kind: _Kind | None, values: Iterable[Any]) -> bool:
    return kind is None or all(kind.fits(value) for value in values)


def _class(name: str, scope: Mapping[str, Any]) -> _Kind | None:
    """Of a class: by itself, by its methods where it is a protocol, by its name where the module
    of the function does not import it."""
    if name in ("Any", "object"):
        return None
    last = name.rpartition(".")[2]
    words = f"{'an' if last[0] in 'AEIOU' else 'a'} {last}"
    first, *inner = name.split(".")
    found = scope.get(first)
    for part in inner:
        found = getattr(found, part, None)
    if isinstance(found, type) and getattr(found, "_is_protocol", False):
        return _one(words, _has(*(method for method in vars(found) if not method.startswith("_"))))
    if isinstance(found, type):
        return _one(words, _is(found))
    if found is not None:
        return None
    return _one(words, lambda value: any(base.__name__ == last for base in type(value).__mro__))


def require_rails(rails: int | None) -> None:
    """Refuses a number of rails below 1."""
    if rails is not None and rails < 1:
        raise invalid_value("rails", rails, "1 or more", "leave it out for all of each node")


def require_seconds(argument: str, seconds: float) -> None:
    """Refuses seconds below 0, and those that are no number."""
    if not seconds >= 0:
        raise invalid_value(argument, seconds, "seconds, from 0")
