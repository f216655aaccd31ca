"""What no section can see alone: names that lead nowhere, things that exclude each other."""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.config.model import Config
from gateway.config.problem import Path, Problem
from gateway.config.tree import Mapping, Scalar, Sequence, find, place
from gateway.config.validation import Broken
from gateway.core.once import Until
from gateway.core.timing import instant_of
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
    yield from _unknown_targets(checked)
    yield from _unknown_schedules(checked)
    yield from _unknown_windows(checked)
    yield from _successes_that_are_forgotten(checked)
    yield from _names_of_sources_and_schedules(checked)
    yield from _shared_paths(checked)
    yield from _open_to_everybody(checked)
    yield from _one_address_twice(checked)
    yield from _missing_certificates(checked)
    yield from _namesakes_among_tokens(checked)


def warnings(checked: Checked) -> Iterator[Problem]:
    """What may be meant, and may surprise."""
    yield from _holds_that_drop_changes(checked)
    yield from _schedules_that_are_over(checked)
    yield from _schedules_that_do_nothing(checked)


def _holds_that_drop_changes(checked: Checked) -> Iterator[Problem]:
    for name, trigger in checked.config.triggers.items():
        if trigger.until not in (None, Until.STARTED):
            message = "drops changes by choice: what comes while the key is held is not run again"
            yield checked.problem(("triggers", name, "once", "until"), message)


def _schedules_that_are_over(checked: Checked) -> Iterator[Problem]:
    now = datetime.now(UTC)  # noqa: TID251 - there is no database yet whose clock could be asked
    for name, schedule in checked.config.schedules.items():
        for field, moment in {"at": schedule.at, "end": schedule.end}.items():
            if moment is not None and instant_of(moment, schedule.timezone) <= now:
                yield checked.problem(("schedules", name, field), "is over already: there will be no tick")


def _schedules_that_do_nothing(checked: Checked) -> Iterator[Problem]:
    heard = {match.source for _, match in _matches(checked)}
    for name, schedule in checked.config.schedules.items():
        if schedule.target is None and name not in heard:
            yield checked.problem(("schedules", name), "has no target, and no trigger listens to it")


def _what_triggers_listen_to(checked: Checked) -> Iterator[Problem]:
    schedules = checked.names("schedules")
    sources = checked.names("sources").union(schedules, _BUILT_IN_SOURCES)
    makers = checked.names("triggers").union(schedules, checked.names("targets"))
    for path, match in _matches(checked):
        if match.source is not None and match.source not in sources:
            yield checked.unknown((*path, "source"), "source or schedule", sources)
        if match.run is not None and match.run not in makers:
            yield checked.unknown((*path, "run"), "trigger, schedule or target", makers)


def _matches(checked: Checked) -> Iterator[tuple[Path, Match]]:
    for name, trigger in checked.config.triggers.items():
        on: Path = ("triggers", name, "on")
        is_list = isinstance(find(checked.tree, on), Sequence)
        for index, match in enumerate(trigger.on):
            yield (*on, index) if is_list else on, match


def _unknown_targets(checked: Checked) -> Iterator[Problem]:
    targets = checked.names("targets")
    alerts = checked.config.alerts.items()
    wanted: dict[Path, str | None] = {
        **{("triggers", name, "target"): trigger.target for name, trigger in checked.config.triggers.items()},
        **{("schedules", name, "target"): schedule.target for name, schedule in checked.config.schedules.items()},
        **{("alerts", name, "target"): alert.target for name, alert in alerts},
        **{("alerts", name, "targets", at): one for name, alert in alerts for at, one in enumerate(alert.targets)},
    }
    for path, target in wanted.items():
        if target is not None and target not in targets:
            yield checked.unknown(path, "target", targets)


def _unknown_schedules(checked: Checked) -> Iterator[Problem]:
    schedules = checked.names("schedules")
    for name, alert in checked.config.alerts.items():
        for index, schedule in enumerate(alert.schedules):
            if schedule not in schedules:
                yield checked.unknown(("alerts", name, "schedules", index), "schedule", schedules)


def _unknown_windows(checked: Checked) -> Iterator[Problem]:
    windows = checked.names("windows")
    wanted: dict[Path, str | None] = {
        **{("targets", name, "hold"): target.hold for name, target in checked.config.targets.items()},
        **{("schedules", name, "not_during"): one.not_during for name, one in checked.config.schedules.items()},
    }
    for path, window in wanted.items():
        if window is not None and window not in windows:
            yield checked.unknown(path, "window", windows)


def _successes_that_are_forgotten(checked: Checked) -> Iterator[Problem]:
    for name, target in checked.config.targets.items():
        if target.stale_after is not None and target.stale_after > checked.config.retention.runs:
            yield checked.problem(("targets", name, "stale_after"), "is longer than runs are kept: see retention.runs")


def _names_of_sources_and_schedules(checked: Checked) -> Iterator[Problem]:
    for name in checked.names("sources") & checked.names("schedules"):
        yield checked.problem(("schedules", name), "a source has this name, and the two share their names")


def _shared_paths(checked: Checked) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, source in checked.config.sources.items():
        if isinstance(source, webhook.Settings):
            path = source.path or f"/hooks/{name}"
            owner = owners.setdefault(path, name)
            if owner != name:
                yield checked.problem(("sources", name, "path"), f"the source {owner!r} has this path")


def _open_to_everybody(checked: Checked) -> Iterator[Problem]:
    """Hooks have proofs of their own: it is where the API is served that matters."""
    server, tokens = checked.config.server, checked.config.access.tokens
    path: Path = ("server", "admin", "host") if server.admin else ("server", "host")
    may_have_tokens = tokens or any(path[0] == "access" for path in checked.broken)
    if not may_have_tokens and not _is_loopback((server.admin or server).host):
        yield checked.problem(path, "without access.tokens only a loopback address is allowed: 127.0.0.1")


def _one_address_twice(checked: Checked) -> Iterator[Problem]:
    server = checked.config.server
    if server.admin and server.port and (server.host, server.port) == (server.admin.host, server.admin.port):
        yield checked.problem(("server", "admin", "port"), "server.port is the same: the hooks are served there")


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
