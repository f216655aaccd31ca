"""Exports spans over OTLP, by the standard variables of the environment: the extra `otel`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway import __version__
from gateway.runtime import tracing
from gateway.runtime.tracing import Kind, Span

NAME = "trigger-gateway"
LAST_WORDS = 5.0
"""Seconds for what is not exported yet when the gateway stops."""
_KINDS = {Kind.SERVER: SpanKind.SERVER, Kind.INTERNAL: SpanKind.INTERNAL, Kind.CLIENT: SpanKind.CLIENT}


@asynccontextmanager
async def exporting() -> AsyncIterator[None]:
    """Exports from a thread of its own; what a collector does not take in time is dropped, and nothing waits for it."""
    # that a try has failed is no news, that a batch was given up is
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    exporter = Exporter(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.tell(exporter.tell)
    try:
        yield
    finally:
        tracing.tell(None)
        ending = Thread(target=exporter.end, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, LAST_WORDS)


class _GivenIds(IdGenerator):
    """The ids of the span that is made next, which are known already."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class Exporter:
    """Makes spans of the library's, and hands them to a processor."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._ids = _GivenIds()
        # sampling is the sender's business, or the collector's: one that decides span by span would tear traces apart
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=_resource(), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(NAME, __version__)

    def tell(self, span: Span) -> None:
        """Exports a span, unless the sender of its trace wants none."""
        if not span.trace.sampled:
            return
        self._ids.trace_id, self._ids.span_id = int(span.trace.id, 16), int(span.id, 16)
        started = self._tracer.start_span(
            span.name,
            context=_parent(span),
            kind=_KINDS[span.kind],
            attributes=_present(span.attributes),
            start_time=_nanoseconds(span.began),
        )
        if span.error is not None:
            started.set_status(Status(StatusCode.ERROR, span.error))
        started.end(_nanoseconds(span.ended))

    def end(self) -> None:
        """Exports what is waiting; takes as long as the collector."""
        self._provider.shutdown()


def _resource() -> Resource:
    """As the environment has it; where that has no name for us, our own."""
    resource = Resource.create({SERVICE_VERSION: __version__})
    is_named = not str(resource.attributes[SERVICE_NAME]).startswith("unknown_service")
    return resource if is_named else resource.merge(Resource({SERVICE_NAME: NAME}))


def _parent(span: Span) -> Context:
    """An empty one, for a span that begins its trace: the library would look for one by itself."""
    if span.parent is None:
        return Context()
    context = SpanContext(
        int(span.trace.id, 16), int(span.parent, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _present(attributes: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000) * 1000
