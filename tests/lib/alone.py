"""One role process alone, with this test as its supervisor and as all its peers.

Gives it a configuration, listening sockets and links over descriptor 3 as `holdfast run` does, and speaks the
messages of src/ipc/messages with it. Encoding follows doc/formats/ipc.md from the same schema files.
"""

import fcntl
import importlib.util
import os
import select
import signal
import socket
import struct
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA = os.path.join(ROOT, "src", "ipc", "schema.py")
ROLE = {"edge": 1, "scout": 2, "sequencer": 3, "clerk": 4, "courier": 5, "watch": 6, "desk": 7, "auth": 8, "console": 11}
INTEGER = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i64": "<q", "bool": "<?"}
HEAD = struct.Struct("<4sBBHII")


def _load():
    spec = importlib.util.spec_from_file_location("schema", SCHEMA)
    schema = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema)
    folder = os.path.join(os.path.dirname(SCHEMA), "messages")
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".msg"):
            for s in schema.parse(os.path.join(folder, name)):
                found[s.name] = s
    return found


STRUCTS = _load()
BY_NUMBER = {s.number: s for s in STRUCTS.values() if s.number}


def _put(kind, value):
    if kind in INTEGER:
        return struct.pack(INTEGER[kind], value or 0)
    if kind == "span":
        value = value.encode() if isinstance(value, str) else value or b""
        return struct.pack("<I", len(value)) + value
    body = encode(kind, **(value or {}))
    return struct.pack("<I", len(body)) + body


def encode(name, /, **values):
    out = b""
    fields = STRUCTS[name].fields
    unknown = set(values) - {f.name for f in fields}
    assert not unknown, f"{name} has no {unknown}"
    for f in fields:
        if f.is_list:
            items = values.get(f.name) or []
            out += struct.pack("<I", len(items)) + b"".join(_put(f.kind, i) for i in items)
        else:
            out += _put(f.kind, values.get(f.name))
    return out


def _get(kind, data, at):
    if kind in INTEGER:
        n = struct.calcsize(INTEGER[kind])
        return struct.unpack_from(INTEGER[kind], data, at)[0], at + n
    n = struct.unpack_from("<I", data, at)[0]
    part = data[at + 4:at + 4 + n]
    return (part.decode(errors="surrogateescape") if kind == "span" else decode(kind, part)), at + 4 + n


def decode(name, data):
    out, at = {}, 0
    for f in STRUCTS[name].fields:
        if at >= len(data):
            break
        if f.is_list:
            count, at = struct.unpack_from("<I", data, at)[0], at + 4
            out[f.name] = []
            for _ in range(count):
                item, at = _get(f.kind, data, at)
                out[f.name].append(item)
        else:
            out[f.name], at = _get(f.kind, data, at)
    return out


def frame(name, /, **values):
    body = encode(name, **values)
    return HEAD.pack(b"HFip", 1, 0, STRUCTS[name].number, len(body), 0) + body


class Link:
    """One end of a SOCK_SEQPACKET pair."""

    def __init__(self, sock):
        self.sock, self.got = sock, []

    def send(self, name, /, fd=None, **values):
        fds = [] if fd is None else [fd]
        socket.send_fds(self.sock, [frame(name, **values)], fds)

    def pump(self):
        while select.select([self.sock], [], [], 0)[0]:
            try:
                data = self.sock.recv(1 << 17)
            except ConnectionResetError:
                return
            if not data:
                return
            magic, _, _, number, n, _ = HEAD.unpack_from(data)
            assert magic == b"HFip" and len(data) == HEAD.size + n
            name = BY_NUMBER[number].name
            self.got.append((name, decode(name, data[HEAD.size:])))

    def of(self, name):
        self.pump()
        return [values for kind, values in self.got if kind == name]


def wait_for(what, seconds=10, why="", every=0.02):
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds} s for {(why() if callable(why) else why) or what}"
        time.sleep(every)


class Alone:
    """config: the values of message Config. peers: role names to link with at the start."""

    def __init__(self, program, role, folder, config, peers=(), listen=()):
        self.program, self.role, self.folder = os.path.abspath(program), role, str(folder)
        self.config, self.peers, self.listen = config, peers, listen
        self.process = None
        for name in ("ledger", "publish", "run"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)

    def start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel, self.links = Link(ours), {}
        self.log_path = os.path.join(self.folder, "log")

        fd = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 10)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["/bin/bash", "-c", f'exec "$0" "$1" 3<&{fd} {fd}<&-', self.program, self.role],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(fd,), cwd=self.folder,
                                            env={**os.environ, "HOLDFAST_SECCOMP": "kill"})
        os.close(fd)
        theirs.close()
        self.send_config(False)
        for service, sock in self.listen:
            self.channel.send("ListenHere", fd=sock.fileno(), service=service)
        for peer in self.peers:
            self.link(peer)
        self.channel.send("Ready")
        wait_for(lambda: self.channel.of("Started") or self.process.poll() is not None, 10, lambda: "the role to start:\n" + self.log())
        assert self.process.poll() is None, f"ended with {self.process.poll()}: {self.log()}"
        return self

    def send_config(self, is_reload, **changes):
        self.config = {**self.config, **changes}
        fd = os.memfd_create("config", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.write(fd, encode("Config", **self.config))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.channel.send("ConfigNow", fd=fd, full_name=self.role, instance=0, is_reload=is_reload)
        os.close(fd)

    def link(self, peer, instance=0):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.send("LinkHere", fd=theirs.fileno(), peer=ROLE[peer], peer_instance=instance)
        theirs.close()
        self.links[peer] = Link(ours)
        return self.links[peer]

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()[-6000:]
        except OSError:
            return ""

    def stop(self, how=signal.SIGTERM):
        """Its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(timeout=15)
        self.channel.sock.close()
        for link in self.links.values():
            link.sock.close()
        self.process = None
        return status
