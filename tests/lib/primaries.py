"""A primary that misbehaves on purpose (N-03, N-05, S-18) or keeps what it gets. One thread a connection, standard library only."""
import socket
import ssl
import struct
import threading

import peers

REPLIES = {"banner": b"220 primary.example.com ESMTP\r\n", "ehlo": b"250-primary.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n",
           "mail": b"250 2.1.0 ok\r\n", "rcpt": b"250 2.1.5 ok\r\n", "data": b"354 go on\r\n", "dot": b"250 2.0.0 queued as FAKE\r\n",
           "rset": b"250 ok\r\n", "noop": b"250 ok\r\n", "quit": b"221 bye\r\n"}


class Primary:
    """replies: what to answer instead, by stage: bytes, or "hang", "reset", "close". Changeable while it runs.

    refuse_rcpt: a function of the address that gives a reply, or None to go by `replies`.
    tls: an ssl.SSLContext; STARTTLS is offered then."""

    def __init__(self, port=None, replies=None, refuse_rcpt=None, tls=None):
        self.tls, self.tls_mails = tls, 0
        self.port, self.replies, self.refuse_rcpt = port or peers.free_port(), dict(replies or {}), refuse_rcpt
        self.messages, self.lock, self.socket, self.stopping = [], threading.Lock(), None, threading.Event()
        self.connections = 0
        self.mails = []  # (envelope sender) in the order of MAIL

    def start(self):
        self.stopping.clear()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(200)
        threading.Thread(target=self._accept, args=(self.socket,), daemon=True).start()
        return self

    def stop(self):
        self.stopping.set()
        if self.socket:
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
            self.socket = None

    def _accept(self, listener):
        while not self.stopping.is_set():
            try:
                s, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _answer(self, s, stage):
        what = self.replies.get(stage, REPLIES[stage])
        if what == "hang":
            self.stopping.wait(120)
            raise ConnectionError
        if what == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionError
        if what == "close":
            raise ConnectionError
        if stage == "ehlo" and self.tls and not isinstance(s, ssl.SSLSocket):
            what = what.replace(b"\r\n", b"\r\n250-STARTTLS\r\n", 1)
        s.sendall(what)
        return what

    def _serve(self, s):
        s.settimeout(120)
        try:
            self._answer(s, "banner")
            while self._dialogue(s, s.makefile("rb")):
                s = self.tls.wrap_socket(s, server_side=True)
        except (OSError, ConnectionError, ValueError):
            pass
        finally:
            s.close()

    def _dialogue(self, s, lines):
        sender, rcpts = None, []
        for line in lines:
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                self._answer(s, "ehlo")
            elif verb == b"STAR" and self.tls:
                s.sendall(b"220 2.0.0 go on\r\n")
                return True
            elif verb == b"MAIL":
                sender, rcpts = line, []
                with self.lock:
                    self.mails.append(line)
                    self.tls_mails += isinstance(s, ssl.SSLSocket)
                self._answer(s, "mail")
            elif verb == b"RCPT":
                address = line.split(b"<", 1)[1].split(b">", 1)[0].decode()
                refusal = self.refuse_rcpt(address) if self.refuse_rcpt else None
                if refusal:
                    s.sendall(refusal)
                elif self._answer(s, "rcpt").startswith(b"2"):
                    rcpts.append(address)
            elif verb == b"DATA":
                if not rcpts:
                    s.sendall(b"503 5.5.1 no recipients\r\n")
                elif self._answer(s, "data").startswith(b"354"):
                    self._data(s, lines, sender, rcpts)
            elif verb == b"QUIT":
                self._answer(s, "quit")
                return False
            else:
                self._answer(s, "rset" if verb == b"RSET" else "noop")
        return False

    def _data(self, s, lines, sender, rcpts):
        body = []
        for line in lines:
            if line == b".\r\n":
                break
            body.append(line[1:] if line.startswith(b".") else line)
        else:
            raise ConnectionError
        stage = self.replies.get("dot", REPLIES["dot"])
        if stage == "take and close":  # kept, but the sender never learns: UNSURE
            with self.lock:
                self.messages.append((sender, rcpts, b"".join(body)))
            raise ConnectionError
        if self._answer(s, "dot").startswith(b"2"):
            with self.lock:
                self.messages.append((sender, rcpts, b"".join(body)))
