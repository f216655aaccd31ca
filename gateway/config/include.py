"""One tree from the configuration's file and those that it includes.

`include` is a glob or a list of them, relative to the folder of the file and never leaving it. Included files include
nothing themselves; their sections are merged, and nothing may be said in two files.
"""

from collections.abc import Iterator
from collections.abc import Mapping as Environment
from pathlib import Path, PurePath

from gateway.config.interpolation import Interpolation
from gateway.config.problem import ConfigurationError, Place, Problem
from gateway.config.reader import UnreadableError, read
from gateway.config.tree import Mapping, Node, Scalar, Sequence

INCLUDE = "include"
MAX_FILE = 16 * 2**20


def read_all(path: Path, environ: Environment[str, str], problems: list[Problem]) -> tuple[Mapping, tuple[Path, ...]]:
    """The configuration as it is written, in however many files, and which these are.

    What is wrong with single values is added to `problems`. Raises `ConfigurationError` where a file cannot be read.
    """
    interpolation = Interpolation(environ, path.parent)
    paths, unreadable = [path], list[Problem]()
    main = _sections(path, interpolation, problems, unreadable)
    tree = main.lacking(INCLUDE)
    for pattern in _patterns(main, problems):
        for included in _matches(path.parent, pattern, problems):
            if not any(included.samefile(known) for known in paths):
                paths.append(included)
                tree = _joined(tree, _sections(included, interpolation, problems, unreadable), problems)
    if unreadable:
        raise ConfigurationError(problems + unreadable)
    return tree, tuple(paths)


def _sections(path: Path, interpolation: Interpolation, problems: list[Problem], unreadable: list[Problem]) -> Mapping:
    """What one file says; sections that hold nothing are left out."""
    try:
        tree = read(str(path), _content(path), interpolation, problems)
        if isinstance(tree, Mapping):
            return tree.lacking(*(key for key, node in tree.items.items() if _is_null(node)))
        if tree is not None and not _is_null(tree):
            unreadable.append(tree.place.problem((), "expected sections, such as sources: and targets:"))
    except UnreadableError as error:
        unreadable.append(error.problem)
    except OSError as error:
        unreadable.append(Place(str(path)).problem((), f"cannot be read: {error.strerror}"))
    return Mapping(Place(str(path), 1, 1))


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise UnreadableError(Place(str(path)).problem((), f"is larger than {MAX_FILE} bytes"))
    return content


def _patterns(tree: Mapping, problems: list[Problem]) -> Iterator[Scalar]:
    node = tree.items.get(INCLUDE)
    for item in node.items if isinstance(node, Sequence) else [node] if node else []:
        if isinstance(item, Scalar) and isinstance(item.value, str) and item.value:
            yield item
        else:
            problems.append(item.place.problem((INCLUDE,), "expected a glob, or a list of globs"))


def _matches(folder: Path, pattern: Scalar, problems: list[Problem]) -> list[Path]:
    glob = PurePath(str(pattern.value))
    if glob.is_absolute() or ".." in glob.parts:
        problems.append(pattern.place.problem((INCLUDE,), "only files beside or below this one can be included"))
        return []
    found = sorted(path for path in folder.glob(str(glob)) if path.is_file())
    if not found and not any(mark in str(glob) for mark in "*?["):
        problems.append(pattern.place.problem((INCLUDE,), f"there is no file {pattern.shown}"))
    return found


def _joined(tree: Mapping, included: Mapping, problems: list[Problem]) -> Mapping:
    if INCLUDE in included.items:
        problems.append(included.keys[INCLUDE].problem((INCLUDE,), "an included file includes nothing itself"))
    for name, node in included.lacking(INCLUDE).items.items():
        known = tree.items.get(name)
        if isinstance(known, Mapping) and isinstance(node, Mapping):
            _refuse_both(name, known, node, problems)
            items, keys = {**node.items, **known.items}, {**node.keys, **known.keys}
            tree = tree.having(name, tree.keys[name], Mapping(known.place, items, keys))
        elif known is not None:
            problems.append(included.keys[name].problem((name,), f"stands in {tree.keys[name]} too"))
        else:
            tree = tree.having(name, included.keys[name], node)
    return tree


def _refuse_both(section: str, known: Mapping, more: Mapping, problems: list[Problem]) -> None:
    both = known.items.keys() & more.items.keys()
    problems.extend(more.keys[key].problem((section, key), f"is defined in {known.keys[key]} too") for key in both)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None
