"""What the handlers of all routes work with."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.runtime.feed import Feed
from gateway.runtime.health import Health
from gateway.runtime.intake import Intake
from gateway.runtime.pausing import Pausing
from gateway.runtime.rejections import Rejections
from gateway.runtime.reload import Reload
from gateway.runtime.scheduling import Scheduling
from gateway.runtime.scrape import Scrape
from gateway.runtime.settings import Server
from gateway.runtime.snapshot import Current
from gateway.runtime.watch import Watch
from gateway.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a client may take, in seconds, before its connection is given to somebody else."""

    head: float = 15.0
    """For the head of a request, and between two requests."""
    body: float = 10.0
    reader: float = 15.0
    """For taking the next part of an answer."""
    linger: float = 2.0
    """For the rest of a body that nobody wants, so that the answer is seen."""


@dataclass(slots=True, kw_only=True)
class Streams:
    """The answers of this node that go on, of which there are only so many."""

    limit: int = 500
    open: int = 0

    @contextmanager
    def another(self) -> Iterator[None]:
        """One more. Raises `Unavailable`."""
        if self.open >= self.limit:
            raise Unavailable("too many streams are open on this node", retry_after=5)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The parts of the gateway as the handlers see them."""

    database: Database
    current: Current
    intake: Intake
    pausing: Pausing
    scheduling: Scheduling
    rejections: Rejections
    health: Health
    scrape: Scrape
    reload: Reload
    watch: Watch
    feed: Feed
    streams: Streams = field(default_factory=Streams)
    deadlines: Deadlines = Deadlines()
    ignored: Counter[str] = field(default_factory=Counter)
    """The events that each source was told to ignore, as long as this node is up: nothing else is kept of them."""

    @property
    def server(self) -> Server:
        """As the configuration in force has it."""
        return self.current.snapshot.server

    @property
    def held(self) -> dict[str, str]:
        """The targets that are held back at this moment, and the windows that do it."""
        snapshot = self.current.snapshot
        return snapshot.held(snapshot.targets, self.database.now())


EDGE = web.AppKey("edge", Edge)
