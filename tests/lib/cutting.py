"""A TCP proxy before an IMAP server that ends the connection when the server has taken an APPEND and before its OK is told."""
import re
import socket
import threading


class Cutting:
    """cuts: of how many more APPENDs the answer is lost. port: where it listens."""

    def __init__(self, server_port):
        self.server_port, self.cuts, self.cut = server_port, 0, 0
        self.lock = threading.Lock()
        self.listener = None

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                client.close()
                continue
            tags = set()  # of APPENDs
            threading.Thread(target=self._up, args=(client, server, tags), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, tags), daemon=True).start()

    def _up(self, client, server, tags):
        try:
            while data := client.recv(65536):
                tags.update(m.group(1) for m in re.finditer(rb"(?m)^(\S+) APPEND ", data))
                server.sendall(data)
        except OSError:
            pass
        self._end(client, server)

    def _down(self, client, server, tags):
        try:
            while data := server.recv(65536):
                if any(data.startswith(t + b" OK") or b"\r\n" + t + b" OK" in data for t in list(tags)) and self._takes():
                    break
                client.sendall(data)
        except OSError:
            pass
        self._end(client, server)

    def _takes(self):
        with self.lock:
            if not self.cuts:
                return False
            self.cuts -= 1
            self.cut += 1
            return True

    @staticmethod
    def _end(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
