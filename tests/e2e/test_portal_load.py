"""Many people at the portal at once: those who only watch, and those whose line is bad, take nothing from the others (H-24)."""
import asyncio
import base64
import json
import os
import time

import peers
import people
import pytest
from conftest import SOAK
from people import trusting
from test_people import arrive

STREAMS, SLOW = (5000, 1000) if SOAK else (400, 80)
STREAMS, SLOW = (int(n) for n in os.environ.get("HOLDFAST_CROWD", f"{STREAMS},{SLOW}").split(","))
PEOPLE = max(20, STREAMS // 30)  # an account has 50 streams at a desk
MORE = """accounts: { sessions: 2000 }
roles: { desks: 2 }
"""


@pytest.fixture
def office(folder, started):
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx", more=MORE,
                              limits={"sessions": "20000", "sessions_per_source": "20000"}))
    o.add(*[f"p{i}" for i in range(PEOPLE)])
    yield o
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))


def authorization(person):
    return "Basic " + base64.b64encode(f"{person.address}:{person.password}".encode()).decode()


class Crowd:
    def __init__(self, office):
        self.office, self.tls = office, trusting()
        self.streams, self.slow, self.events = [], [], 0
        self.gate = asyncio.Semaphore(50)

    async def connect(self, limit=2**16):
        async with self.gate:
            return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.office.ports["https"], ssl=self.tls, limit=limit), 60)

    async def ask(self, person, path, body=None, head=""):
        reader, writer = await self.connect()
        method = "POST" if body else "GET"
        writer.write((f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization(person)}\r\n{head}"
                      + (f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else "") + "\r\n").encode() + (body or b""))
        return reader, writer

    async def stream(self, person):
        reader, writer = await self.ask(person, "/jmap/events?types=*&closeafter=no&ping=0")
        status = await asyncio.wait_for(reader.readline(), 60)
        assert b" 200 " in status, status
        self.streams.append(writer)

        async def read():
            try:
                while line := await reader.readline():
                    self.events += line.startswith(b"event: state")
            except (ConnectionError, asyncio.CancelledError):
                pass
        return asyncio.create_task(read())

    async def slow_reader(self, person, blob):
        """Asks for much and takes nothing of it."""
        reader, writer = await self.connect(limit=1024)
        writer.transport.get_extra_info("socket")
        writer.write(f"GET {blob} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization(person)}\r\n\r\n".encode())
        self.slow.append((reader, writer))

    async def request(self, person):
        """Milliseconds of one request of somebody at work: connection, login and first list."""
        began = time.monotonic()
        reader, writer = await self.ask(person, "/jmap/api", json.dumps({"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "methodCalls": [
            ["Mailbox/get", {"accountId": person.account, "ids": None}, "0"]]}).encode(), "Connection: close\r\n")
        text = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        assert b" 200 " in text[:40] and b"Mailbox/get" in text, text[:300]
        return (time.monotonic() - began) * 1000


async def be_many(office):
    crowd = Crowd(office)
    persons = list(office.people.values())
    for p in persons:
        mine = p.jmap()
        p.account = mine.account
        p.blob = mine.upload(os.urandom(1 << 20))
        mine.close()
    alone = [await crowd.request(p) for p in persons]
    readers = await asyncio.gather(*[crowd.stream(persons[i % PEOPLE]) for i in range(STREAMS)])
    for i in range(SLOW):
        p = persons[i % PEOPLE]
        await crowd.slow_reader(p, f"/jmap/download/{p.account}/{p.blob}/x?type=text/plain")
    desks = [pid for name, pid in office.roles().items() if name.startswith("desk")]
    bytes_ = sum(resident(pid) for pid in desks)
    times = []
    for round_ in range(10):
        if round_ == 5:
            await asyncio.to_thread(arrive, office.port, persons[0].address, 1, "News")
        times += [await crowd.request(p) for p in persons]
    end = time.monotonic() + 20
    wanted = len([i for i in range(STREAMS) if i % PEOPLE == 0])
    while crowd.events < wanted and time.monotonic() < end:
        await asyncio.sleep(0.05)
    for r in readers:
        r.cancel()
    for w in crowd.streams + [w for _, w in crowd.slow]:
        w.transport.abort()
    return sorted(alone), sorted(times), bytes_, crowd.events, wanted


def test_h_24_many_streams_and_slow_readers_leave_the_others_quick(office):
    alone, times, bytes_, events, wanted = asyncio.run(be_many(office))
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"{STREAMS} streams, {SLOW} slow readers: p50 {p50:.0f} ms, p99 {p99:.0f} ms (alone {alone[len(alone) // 2]:.0f} ms); desks {bytes_ >> 20} MiB")
    assert p99 < 1000, (p50, p99)
    assert events >= wanted, (events, wanted)  # the new message reached every stream of its person
    assert bytes_ < (100 << 20) + (STREAMS + SLOW) * (200 << 10), bytes_
