"""JMAP (RFC 8620, 8621) by the standard library, for what the tests say to desk themselves."""
import base64
import http.client
import json
import threading
import urllib.parse

from people import trusting

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"]


class Jmap:
    """One program of a person, by Basic authentication; keeps its connection."""

    def __init__(self, office, address, password, service="https"):
        self.address = address
        self.authorization = "Basic " + base64.b64encode(f"{address}:{password}".encode()).decode()
        self.port, self.connection = office.ports[service], None
        self.session = self.get("/.well-known/jmap")
        self.account = next(iter(self.session["accounts"]))

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def raw(self, method, path, body=None, headers=None):
        """(status, headers, bytes)."""
        if not self.connection:
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=trusting(), timeout=60)
        try:
            self.connection.request(method, path, body, {"Authorization": self.authorization, **(headers or {})})
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path):
        status, _, text = self.raw("GET", path)
        assert status == 200, (path, status, text[:500])
        return json.loads(text)

    def call(self, *calls, using=USING):
        """Method responses: [(name, arguments)]."""
        request = {"using": using, "methodCalls": [[name, {"accountId": self.account, **arguments}, str(i)] for i, (name, arguments) in enumerate(calls)]}
        status, _, text = self.raw("POST", urllib.parse.urlsplit(self.session["apiUrl"]).path, json.dumps(request), {"Content-Type": "application/json"})
        assert status == 200, (status, text[:500])
        return [(name, arguments) for name, arguments, _ in json.loads(text)["methodResponses"]]

    def one(self, name, **arguments):
        (got, answer), *_ = self.call((name, arguments))
        assert got == name, (got, answer)
        return answer

    def boxes(self):
        """{role or name: id}."""
        return {b["role"] or b["name"]: b["id"] for b in self.one("Mailbox/get", ids=None)["list"]}

    def emails(self, box=None, properties=("subject", "keywords", "mailboxIds", "messageId", "receivedAt", "preview", "threadId")):
        """Emails of a mailbox (its role or name), the newest first."""
        filter_ = {"inMailbox": self.boxes()[box]} if box else None
        ids = self.one("Email/query", filter=filter_, sort=[{"property": "receivedAt", "isAscending": False}])["ids"]
        return self.one("Email/get", ids=ids, properties=["id", *properties])["list"] if ids else []

    def upload(self, data, type_="application/octet-stream"):
        path = urllib.parse.urlsplit(self.session["uploadUrl"].replace("{accountId}", self.account)).path
        status, _, text = self.raw("POST", path, data, {"Content-Type": type_})
        assert status in (200, 201), (status, text[:500])
        return json.loads(text)["blobId"]

    def download(self, blob, name="x", type_="application/octet-stream", headers=None):
        url = self.session["downloadUrl"]
        for key, value in (("accountId", self.account), ("blobId", blob), ("name", name), ("type", type_)):
            url = url.replace("{" + key + "}", urllib.parse.quote(value, safe=""))
        parts = urllib.parse.urlsplit(url)
        return self.raw("GET", f"{parts.path}?{parts.query}", headers=headers)


class Events:
    """The EventSource stream of a person: what came, in order, as (event, data)."""

    def __init__(self, jmap, types="*", closeafter="no", ping=0):
        self.seen, self.changed = [], threading.Condition()
        self.connection = http.client.HTTPSConnection("127.0.0.1", jmap.port, context=trusting(), timeout=120)
        self.connection.request("GET", f"/jmap/events?types={types}&closeafter={closeafter}&ping={ping}",
                                headers={"Authorization": jmap.authorization, "Accept": "text/event-stream"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, (self.answer.status, self.answer.read()[:300])
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        event, data = "message", []
        try:
            for line in self.answer:
                line = line.decode().rstrip("\r\n")
                if not line:
                    if data:
                        with self.changed:
                            self.seen.append((event, json.loads("\n".join(data))))
                            self.changed.notify_all()
                    event, data = "message", []
                elif line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].strip())
        except (OSError, ValueError, http.client.HTTPException):
            pass
        with self.changed:
            self.seen.append(("closed", None))
            self.changed.notify_all()

    def wait(self, good, seconds=10):
        """The first event for which good(event, data)."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(good(*e) for e in self.seen), seconds), self.seen
            return next(e for e in self.seen if good(*e))

    def close(self):
        self.connection.close()
