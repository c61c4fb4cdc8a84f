"""The portal in a browser, in the words of its English texts."""
import itertools
import time

PHONE = (360, 740)
DESKTOP = (1280, 800)
serial = itertools.count()


class Portal:
    """One person's browser (or another tab of it) at an office's portal."""

    def __init__(self, browser, person, viewport=DESKTOP, page=None, **options):
        self.person, self.office = person, person.office
        self.page = page or browser.page(f"{person.name}-{next(serial)}", viewport=viewport, **options)
        self.url = f"https://127.0.0.1:{self.office.ports['https']}/"

    def __call__(self, code, /, **args):
        return self.page(code, **args)

    def open(self, fragment=""):
        self.page.goto(self.url + fragment)
        return self

    def tab(self):
        """A second tab of the same browser."""
        return Portal(None, self.person, page=self.page.tab(f"tab-{time.monotonic_ns()}")).open()

    def login(self, password=None):
        self.open()
        self("""await page.getByLabel('E-mail address').fill(args.address)
            await page.getByLabel('Password', {exact: true}).fill(args.password)
            await page.getByRole('button', {name: 'Log in', exact: true}).click()""", address=self.person.address, password=password or self.person.password)
        return self

    def inbox(self):
        self("await page.locator('.row-link').first().or(page.getByText('No mail here yet')).waitFor()")
        return self

    def subjects(self):
        return self("return await page.locator('.row-subject .what').allTextContents()")

    def wait_subject(self, subject, seconds=10):
        self("await page.locator('.row-link', {hasText: args.subject}).first().waitFor({timeout: args.ms})", subject=subject, ms=seconds * 1000)

    def read(self, subject):
        """Opens a conversation from the list."""
        self("""await page.locator('.row-link', {hasText: args.subject}).first().click()
            await page.getByRole('heading', {name: args.subject}).first().waitFor()""", subject=subject)

    def body(self):
        """The text that is shown of the open message, in its frame or outside it."""
        return self("""
            const frame = page.locator('.message.open iframe').last(), text = page.locator('.message.open .plain-body').last()
            await frame.or(text).waitFor()
            if (!await frame.count()) return await text.innerText()
            const inside = frame.contentFrame().locator('body')
            await inside.getByText(/./).first().waitFor()
            return await inside.innerText()""")

    def see(self, text):
        self.page.see(text)

    def button(self, name):
        self.page.button(name)

    def banner(self):
        return self("return (await page.locator('.banner').allTextContents()).join(' ')")

    def assert_accessible(self, where):
        found = self.page.axe()
        assert found == [], (where, found)

    def assert_quiet(self):
        """Nothing was refused by the page's own policy, nothing broke, and nobody else was asked."""
        strange = [u for u in self.page.requests() if not u.startswith((self.url, "data:", "blob:"))]
        assert strange == [], strange
        bad = [line for line in self.page.console() if "Content Security Policy" in line or line.startswith("pageerror")]
        assert bad == [], bad
