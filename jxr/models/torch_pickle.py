"""Reads the pickle inside a PyTorch file as data: nothing that it names is imported or called.

A pickle is a program for a small stack machine, and Python's own machine may call anything. This
one has no way to: a name in the file stays text, and the few names that a state dict needs are
acted out below with tuples and dictionaries. What the operations mean is documented in the standard
library's `pickletools`, what PyTorch writes with them in its `torch/serialization.py`.
"""

import pickletools
from collections.abc import Iterator
from io import BufferedIOBase
from typing import IO, Any, NamedTuple, cast

# Bytes of a number, by the name of the storage class that the file gives.
STORAGES = {
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
}

# The last is how parameters were written in 2017, when the published VGG-16 was.
TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
PARAMETERS = ("torch._utils _rebuild_parameter", "torch.nn.parameter Parameter")
DICTIONARY = "collections OrderedDict"
ALLOWED = {
    DICTIONARY,
    *TENSORS,
    *PARAMETERS,
    *(f"{module} {name}" for module in ("torch", "torch.cuda") for name in STORAGES),
}

MOST_OPERATIONS = 100_000  # VGG-16 takes about 1,500: a longer one only keeps us busy


class RefusedError(Exception):
    """The pickle asks for something that tensors do not need; the message names it."""


class Storage(NamedTuple):
    """A row of numbers that lies elsewhere in the file, under `key`."""

    key: str
    dtype: str
    item_size: int  # bytes
    numel: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Name(NamedTuple):
    """What the file calls a class or a function: `module name`."""

    text: str


MARK = Name("a mark on the stack")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": MARK}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
}


def unpickle(file: BufferedIOBase) -> Any:
    """Returns the next pickle of `file` and leaves the file right behind it.

    The result is made of dictionaries (for OrderedDict too), lists, tuples, numbers, text, and
    `Tensor` and `Storage`.

    Raises:
        RefusedError: the pickle asks for something else than tensors need.
        Exception: of any kind, for bytes that are no pickle or a pickle that makes no sense.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    operations: Iterator[tuple[Any, Any, Any]] = pickletools.genops(cast(IO[bytes], file))
    for count, (operation, argument, _) in enumerate(operations):
        if count == MOST_OPERATIONS:
            raise RefusedError(f"more than {MOST_OPERATIONS} operations")
        match operation.name:
            case "PROTO" | "FRAME":
                pass
            case name if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case name if name in LITERALS:
                stack.append(argument)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "TUPLE":
                stack.append(tuple(above_mark(stack)))
            case "TUPLE1" | "TUPLE2" | "TUPLE3" as name:
                parts = [stack.pop() for _ in range(int(name[-1]))]
                stack.append(tuple(reversed(parts)))
            case "APPEND":
                item = stack.pop()
                extend(stack[-1], [item])
            case "APPENDS":
                items = above_mark(stack)
                extend(stack[-1], items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                update(stack[-1], [(key, value)])
            case "SETITEMS":
                items = above_mark(stack)
                update(stack[-1], list(zip(items[::2], items[1::2], strict=True)))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(allowed(argument))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(allowed(f"{module} {name}"))
            case "BINPERSID":
                stack.append(storage(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                arguments, called = stack.pop(), stack.pop()
                stack.append(made(called, arguments))
            case "BUILD":  # versions of layers, hooks and gradients: nothing of the numbers
                stack.pop()
                if not isinstance(stack[-1], dict | Tensor):
                    raise ValueError("a state for something that has none")
            case "STOP":
                return stack.pop()
            case name:
                raise RefusedError(f"the operation {name}, which no state dict needs")
    raise EOFError


def above_mark(stack: list[Any]) -> list[Any]:
    """Removes everything down to the last mark, and the mark; returns it without the mark."""
    place = max(i for i, item in enumerate(stack) if item is MARK)
    items = stack[place + 1 :]
    del stack[place:]
    return items


def extend(target: Any, items: list[Any]) -> None:
    """Appends to a list, and to nothing else."""
    if type(target) is not list:
        raise ValueError("append to what is no list")
    target.extend(items)


def update(target: Any, items: list[tuple[Any, Any]]) -> None:
    """Fills a dictionary, whose keys must be text: hashing a deep tuple could take for ever."""
    if type(target) is not dict or any(type(key) is not str for key, _ in items):
        raise ValueError("no dictionary, or a key that is no text")
    target.update(items)


def allowed(text: str) -> Name:
    """Returns `module name` as a name, if it is one that a state dict needs."""
    if text not in ALLOWED:
        raise RefusedError(f"{text.replace(' ', '.', 1)!r}, which no state dict needs")
    return Name(text)


def storage(identity: Any) -> Storage:
    """Returns the storage that a persistent id stands for."""
    kind, called, key, _, numel, *view = identity
    if kind != "storage" or type(key) is not str or type(numel) is not int or numel < 0:
        raise ValueError("no storage")
    if any(part is not None for part in view):
        raise RefusedError("storages inside of storages, as only PyTorch before 0.4 wrote them")
    dtype, item_size = STORAGES[called.text.split(" ")[1]]
    return Storage(key, dtype, item_size, numel)


def made(called: Any, arguments: Any) -> Any:
    """Returns what the call of an allowed name with these arguments stands for."""
    if type(called) is not Name or type(arguments) is not tuple:
        raise ValueError("no call")
    if called.text == DICTIONARY:
        result: dict[str, Any] = {}
        if arguments:  # as Python 2 wrote it: one list of pairs
            update(result, [(key, value) for key, value in arguments[0]])
        return result
    if called.text in TENSORS:
        return tensor(*arguments[:4])
    if called.text in PARAMETERS and type(arguments[0]) is Tensor:
        return arguments[0]
    raise ValueError("no call")


def tensor(whole: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """Returns a view of a storage, after a check that it lies within the storage."""
    if type(whole) is not Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise ValueError("no tensor")
    numbers = (offset, *shape, *strides)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a negative size")
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and offset + last >= whole.numel:
        raise ValueError("a tensor beyond its storage")
    return Tensor(whole, offset, shape, strides)
