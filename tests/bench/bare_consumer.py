"""What consuming is compared with: the least that aio-pika can do, which is to acknowledge each message.

Run as `bare_consumer.py URL QUEUE PREFETCH COUNT`; prints the seconds from the first to the last of so many messages.
"""

import asyncio
import sys
import time

from aio_pika import connect
from aio_pika.abc import AbstractIncomingMessage


async def consume(url: str, queue: str, prefetch: int, count: int) -> float:
    arrivals: list[float] = []
    done = asyncio.Event()

    async def acknowledge(message: AbstractIncomingMessage) -> None:
        arrivals.append(time.monotonic())
        await message.ack()
        if len(arrivals) == count:
            done.set()

    async with await connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        await (await channel.get_queue(queue)).consume(acknowledge)
        await done.wait()
    return arrivals[-1] - arrivals[0]


if __name__ == "__main__":
    address, name, *numbers = sys.argv[1:]
    print(asyncio.run(consume(address, name, *map(int, numbers))))
