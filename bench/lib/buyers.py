"""The buyers of the flash sale. Each wants one unit of one product, sends one order with one Idempotency-Key, and asks
again with the same key until it is told yes (201, 202) or no (409 sold_out): whatever breaks meanwhile, it must have
exactly one order, or none. They share a number of keep-alive connections to sluice."""

import asyncio
import json
import random
import time

PATIENCE_SECONDS = 120
ANSWER_SECONDS = 30
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class Sale:
    """What the buyers saw."""

    def __init__(self):
        self.orders = {}          # key: the order's id
        self.sold_out = 0
        self.times_sold, self.times_sold_out = [], []  # seconds from the first request to the answer that counted
        self.retries = {}         # why a buyer had to ask again: how often
        self.problems = []        # what must not be
        self.first_sale = self.last_sale = None

    def retry(self, why):
        self.retries[why] = self.retries.get(why, 0) + 1


class Connections:
    """Of all buyers: one is taken, used and given back; a broken one is thrown away."""

    def __init__(self, port, most):
        self.port, self.room, self.idle = port, asyncio.Semaphore(most), []

    async def ask(self, request):
        """(status, body); OSError or asyncio.TimeoutError when there is no answer."""
        async with self.room:
            reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            keep = False
            try:
                writer.write(request)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)).decode("latin-1")
                at = head.lower().find("\r\ncontent-length:")
                body = b""
                if at >= 0:
                    size = int(head[at + 17:].split("\r\n", 1)[0])
                    body = await asyncio.wait_for(reader.readexactly(size), ANSWER_SECONDS)
                    keep = "\r\nconnection: close" not in head.lower()
                return int(head[9:12]), body
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise OSError("the answer was cut") from error
            finally:
                if keep:
                    self.idle.append((reader, writer))
                else:
                    writer.close()

    def close(self):
        for _reader, writer in self.idle:
            writer.close()


def read_json(body):
    """What sluice itself answers is text."""
    try:
        found = json.loads(body)
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}


def order_request(key, user, product):
    body = json.dumps({"user_id": user, "items": [{"product_id": product, "quantity": 1}]})
    return (f"POST /orders HTTP/1.1\r\nHost: sale.example\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


async def buy(sale, connections, key, user, product):
    request = order_request(key, user, product)
    began, pause = time.monotonic(), FIRST_PAUSE
    while True:
        try:
            status, body = await connections.ask(request)
            answer, why = read_json(body), ""
        except asyncio.TimeoutError:
            status, answer, why = 0, {}, "no answer"
        except OSError:
            status, answer, why = 0, {}, "cut"
        now = time.monotonic()
        if status in (201, 202):
            if key in sale.orders:
                sale.problems.append(f"{key}: told yes twice")
            sale.orders[key] = answer["order_id"]
            sale.times_sold.append(now - began)
            sale.first_sale = sale.first_sale or now
            sale.last_sale = now
            return
        kind = str(answer.get("type", "")).rpartition("/")[2]
        if status == 409 and kind == "sold_out":
            sale.sold_out += 1
            sale.times_sold_out.append(now - began)
            return
        if status not in (0, 409, 429, 502, 503, 504):
            sale.problems.append(f"{key}: unexpected answer {status} {kind}")
            return
        if now - began > PATIENCE_SECONDS:
            sale.problems.append(f"{key}: no answer that counts within {PATIENCE_SECONDS} s, the last was {status} {kind}")
            return
        sale.retry(why or f"{status} {kind}".strip())
        await asyncio.sleep(pause * (0.5 + random.random()))
        pause = min(2 * pause, LONGEST_PAUSE)


async def wave(sale, connections, product, buyers, seconds, rng):
    """All who want this product, over so many seconds."""
    async def one(number):
        await asyncio.sleep(rng[number] * seconds)
        await buy(sale, connections, f"{product}-{number}", f"user-{product}-{number}", product)
    await asyncio.gather(*(one(number) for number in range(buyers)))
