"""Debian's Chromium for the tests, through playwright-core in node (tests/e2e/node/browser.mjs). Steps are written in JavaScript, with
`page`, `context`, `args` and `tools` at hand; what they return comes back.

    with Browser() as browser:
        phone = browser.page("anna", viewport=(360, 740))
        phone("await page.goto(args.url)", url=...)
"""
import json
import os
import selectors
import shutil
import subprocess
import threading

NODE = os.path.join(os.path.dirname(__file__), "..", "e2e", "node")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


class BrowserError(AssertionError):
    pass


class Browser:
    def __init__(self, args=""):
        self.args, self.last, self.lock = args, 0, threading.Lock()

    def __enter__(self):
        self.node = subprocess.Popen(["node", "browser.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     env={**os.environ, "CHROMIUM": CHROMIUM, "CHROMIUM_ARGS": self.args}, text=True)
        return self

    def __exit__(self, *_):
        try:
            self.node.stdin.close()
            self.node.wait(15)
        except (OSError, subprocess.TimeoutExpired):
            self.node.kill()
            self.node.wait()
        self.node.stdout.close()

    def page(self, name, page="first", viewport=(1280, 800), **options):
        """name: of the person's browser (cookies, storage); page: of the tab in it."""
        return Page(self, name, page, {"viewport": {"width": viewport[0], "height": viewport[1]}, "locale": "en-GB", **options})

    def ask(self, order, timeout=90):
        with self.lock:
            self.last += 1
            self.node.stdin.write(json.dumps({"id": self.last, **order}) + "\n")
            self.node.stdin.flush()
            with selectors.DefaultSelector() as waiting:
                waiting.register(self.node.stdout, selectors.EVENT_READ)
                if not waiting.select(timeout):
                    raise BrowserError(f"no answer in {timeout} s to: {order['code'][:300]}")
            line = self.node.stdout.readline()
        if not line:
            raise BrowserError(f"the browser ended with {self.node.poll()}")
        answer = json.loads(line)
        assert answer["id"] == self.last, answer
        if "error" in answer:
            raise BrowserError(f"{answer['error'][:3000]}\nin: {order['code'][:500]}")
        return answer["value"]


class Page:
    def __init__(self, browser, name, page, options):
        self.browser, self.name, self.page, self.options = browser, name, page, options

    def __call__(self, code, /, **args):
        return self.browser.ask({"code": code, "name": self.name, "page": self.page, "options": self.options, "args": args})

    def tab(self, page):
        """Another tab of the same person."""
        return Page(self.browser, self.name, page, self.options)

    def goto(self, url):
        self("await page.goto(args.url)", url=url)

    def button(self, name):
        self("await page.getByRole('button', {name: new RegExp(args.name, 'i')}).first().click()", name=name)

    def fill(self, label, text):
        self("await page.getByLabel(new RegExp(args.label, 'i')).first().fill(args.text)", label=label, text=text)

    def see(self, text):
        """Waits until the text is shown."""
        self("await page.getByText(args.text).first().waitFor()", text=text)

    def shot(self, path):
        self("await page.screenshot({path: args.path})", path=path)

    def axe(self):
        """Violations; none is wanted."""
        return self("return await tools.axe(page)")

    def console(self):
        return self("return tools.seen.console")

    def requests(self):
        return self("return tools.seen.requests")
