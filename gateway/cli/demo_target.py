"""`gateway demo-target`."""

import asyncio
import time
from datetime import timedelta

import click
import orjson
from aiohttp import web

from gateway.cli.failure import Exit, Failure
from gateway.cli.parameters import DURATION
from gateway.core.printable import one_line, safe_json

HOST = "127.0.0.1"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8090, show_default=True)
@click.option(
    "--fail", type=click.IntRange(min=0), default=0, metavar="N", help="Answer 503 to the first N attempts of a run."
)
@click.option("--delay", type=DURATION, default="0s", show_default=True, help="Of every answer.")
def command(*, port: int, fail: int, delay: timedelta) -> None:
    """An endpoint to be called, which prints every call.

    It answers POST /sync. With --fail one can watch the gateway back off, with --delay events merge while a run is on.
    """
    click.echo(f"Waiting for calls at http://{HOST}:{port}/sync; Ctrl-C ends it.")
    try:
        web.run_app(demo(fail, delay), host=HOST, port=port, print=None, access_log=None, shutdown_timeout=1)
    except OSError as error:
        raise Failure(f"Cannot listen on port {port}: {one_line(error.strerror or str(error))}", Exit.USAGE) from error


def demo(fail: int, delay: timedelta) -> web.Application:
    """The endpoint: answers 503 to the first `fail` attempts of a run."""

    async def sync(request: web.Request) -> web.Response:
        body = await request.read()
        run_id = request.headers.get("X-Gateway-Run-Id", "by hand")
        attempt = request.headers.get("X-Gateway-Attempt", "")
        fails = attempt.isdecimal() and int(attempt) <= fail
        _print_call(run_id, attempt, body, fails=fails)
        await asyncio.sleep(delay.total_seconds())
        if fails:
            return web.json_response({"error": "told to fail"}, status=503)
        return web.json_response({"ok": True, "run": run_id})

    app = web.Application()
    app.router.add_post("/sync", sync)
    return app


def _print_call(run_id: str, attempt: str, body: bytes, *, fails: bool) -> None:
    verdict = click.style("503", fg="yellow") if fails else click.style("200", fg="green")
    called = f"attempt {one_line(attempt)}" if attempt else "no attempt"
    click.echo(f"{time.strftime('%H:%M:%S')}  run {one_line(run_id)}  {called}  → {verdict}\n{_pretty(body)}")


def _pretty(body: bytes) -> str:
    """JSON set in, and anything else as one line."""
    try:
        text = safe_json(orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode())
    except (ValueError, TypeError):
        text = one_line(body.decode(errors="backslashreplace"))
    return "\n".join(f"    {line}" for line in text.splitlines())
