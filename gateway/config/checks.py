"""What no section can see alone: names that lead nowhere, things that exclude each other."""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.config.model import Config
from gateway.config.problem import Path, Problem
from gateway.config.tree import Mapping, Scalar, Sequence, find, place
from gateway.config.validation import Broken
from gateway.core.once import Until
from gateway.core.trigger import GATEWAY, Match
from gateway.core.wording import did_you_mean
from gateway.sources import webhook

API = "api"
_BUILT_IN_SOURCES = (API, GATEWAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A configuration as far as it is sound; `written` is all that the user wrote, `broken` what is left out of it."""

    config: Config
    tree: Mapping
    written: Mapping
    broken: Broken

    def names(self, section: str) -> set[str]:
        """What is defined in a section, sound or not."""
        entries = self.written.items.get(section)
        return set(entries.items) if isinstance(entries, Mapping) else set()

    def problem(self, path: Path, message: str) -> Problem:
        path = self._as_written(path)
        return place(self.tree, path).problem(path, message)

    def unknown(self, path: Path, what: str, known: Iterable[str]) -> Problem:
        """A problem with a name that leads nowhere."""
        node = find(self.tree, self._as_written(path))
        name = node.shown if isinstance(node, Scalar) else None
        return self.problem(path, f"there is no {what} {name!r}{did_you_mean(name, known)}")

    def _as_written(self, path: Path) -> Path:
        """As much of a path as there is: `on: netbox` is short for `on: {source: netbox}`."""
        while find(self.tree, path) is None:
            path = path[:-1]
        return path


def errors(checked: Checked) -> Iterator[Problem]:
    """Everything for which the gateway refuses to start."""
    yield from _what_triggers_listen_to(checked)
    yield from _targets_of_triggers(checked)
    yield from _windows_of_targets(checked)
    yield from _shared_paths(checked)
    yield from _open_to_everybody(checked)
    yield from _missing_certificates(checked)
    yield from _namesakes_among_tokens(checked)


def warnings(checked: Checked) -> Iterator[Problem]:
    """What may be meant, and may surprise."""
    for name, trigger in checked.config.triggers.items():
        if trigger.until not in (None, Until.STARTED):
            message = "drops changes by choice: what comes while the key is held is not run again"
            yield checked.problem(("triggers", name, "once", "until"), message)


def _what_triggers_listen_to(checked: Checked) -> Iterator[Problem]:
    sources = checked.names("sources").union(_BUILT_IN_SOURCES)
    makers = checked.names("triggers") | checked.names("targets")
    for path, match in _matches(checked):
        if match.source is not None and match.source not in sources:
            yield checked.unknown((*path, "source"), "source", sources)
        if match.run is not None and match.run not in makers:
            yield checked.unknown((*path, "run"), "trigger or target", makers)


def _matches(checked: Checked) -> Iterator[tuple[Path, Match]]:
    for name, trigger in checked.config.triggers.items():
        on: Path = ("triggers", name, "on")
        is_list = isinstance(find(checked.tree, on), Sequence)
        for index, match in enumerate(trigger.on):
            yield (*on, index) if is_list else on, match


def _targets_of_triggers(checked: Checked) -> Iterator[Problem]:
    targets = checked.names("targets")
    for name, trigger in checked.config.triggers.items():
        if trigger.target not in targets:
            yield checked.unknown(("triggers", name, "target"), "target", targets)


def _windows_of_targets(checked: Checked) -> Iterator[Problem]:
    windows = checked.names("windows")
    for name, target in checked.config.targets.items():
        if target.hold is not None and target.hold not in windows:
            yield checked.unknown(("targets", name, "hold"), "window", windows)


def _shared_paths(checked: Checked) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, source in checked.config.sources.items():
        if isinstance(source, webhook.Settings):
            path = source.path or f"/hooks/{name}"
            owner = owners.setdefault(path, name)
            if owner != name:
                yield checked.problem(("sources", name, "path"), f"the source {owner!r} has this path")


def _open_to_everybody(checked: Checked) -> Iterator[Problem]:
    host, tokens = checked.config.server.host, checked.config.access.tokens
    may_have_tokens = tokens or any(path[0] == "access" for path in checked.broken)
    if not may_have_tokens and not _is_loopback(host):
        yield checked.problem(("server", "host"), "without access.tokens only a loopback address is allowed: 127.0.0.1")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _missing_certificates(checked: Checked) -> Iterator[Problem]:
    tls = checked.config.server.tls
    for key, file in {"cert": tls.cert, "key": tls.key}.items() if tls else ():
        if not file.is_file():
            yield checked.problem(("server", "tls", key), "there is no such file")


def _namesakes_among_tokens(checked: Checked) -> Iterator[Problem]:
    names: set[str] = set()
    for index, token in enumerate(checked.config.access.tokens):
        if token.name in names:
            yield checked.problem(("access", "tokens", index, "name"), "another token has this name")
        names.add(token.name)
