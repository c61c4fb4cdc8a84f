"""An administrator's browser without the browser: logs in to the console with a second factor and asks what its pages ask."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import ssl
import struct
import time
import urllib.parse

import peers
import people


def totp(secret, at=None):
    """RFC 6238, SHA-1, 30 s, 6 digits; the secret in base32."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int((at or time.time()) // 30)), hashlib.sha1).digest()
    at = digest[-1] & 15
    return "%06d" % ((struct.unpack_from(">I", digest, at)[0] & 0x7fffffff) % 1000000)


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Browser:
    def __init__(self, port):
        self.port, self.cookies, self.token = port, {}, ""

    def ask(self, method, path, body=None, headers=None):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        sent = {"Host": f"127.0.0.1:{self.port}", "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if body is not None:
            sent.update({"Content-Type": "application/json", "Origin": f"https://127.0.0.1:{self.port}", "Sec-Fetch-Site": "same-origin",
                         "X-Holdfast-Token": self.token})
            body = json.dumps(body)
        sent.update(headers or {})
        c.request(method, path, body, {k: v for k, v in sent.items() if v})
        r = c.getresponse()
        answer = Answer(r, r.read())
        for line in r.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            assert "HttpOnly" in line and "Secure" in line and "SameSite=Strict" in line, line
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value
        c.close()
        return answer

    def get(self, path, **parameters):
        query = urllib.parse.urlencode({k: v for k, v in parameters.items() if v is not None})
        return self.ask("GET", path + ("?" + query if query else ""))

    def post(self, path, **body):
        return self.ask("POST", path, body)

    def login(self, account, password, secret):
        a = self.post("/api/login", account=account, password=password)
        assert a.status == 200 and a.json["state"] == "factor", (a.status, a.body)
        a = self.post("/api/login/factor", code=totp(secret))
        assert a.status == 200 and a.json["state"] == "in", (a.status, a.body)
        me = self.get("/api/me").json
        self.token = me["token"]
        return me


class Headquarters(people.Office):
    """An office with the console: `admin` is its port."""

    def __init__(self, folder, primary_port, **kwargs):
        self.admin = peers.free_port()
        more = kwargs.pop("more", "")
        super().__init__(folder, primary_port, more=more, **kwargs)
        with open(self.config) as f:
            text = f.read()
        with open(self.config, "w") as f:
            f.write(text.replace("listen:\n", f'listen:\n  admin: ["127.0.0.1:{self.admin}"]\n', 1))

    def signal_role(self, role, number):
        os.kill(self.roles()[role], number)

    def administrator(self, name="root"):
        """An account with a second factor that may use the console, and its browser, logged in."""
        person, = self.add(name)
        begun = self.json("user", "totp", person.address, "begin")
        secret = begun.get("secret") or urllib.parse.parse_qs(urllib.parse.urlparse(begun["uri"]).query)["secret"][0]
        # The code of the step before: the present one is for the log-in (each is good once).
        self.run("user", "totp", person.address, "confirm", totp(secret, time.time() - 30))
        self.run("user", "admin", person.address, "on")
        browser = Browser(self.admin)
        browser.secret, browser.person = secret, person
        browser.login(person.address, person.password, secret)
        return browser
