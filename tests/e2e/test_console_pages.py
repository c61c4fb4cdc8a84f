"""The console's pages in Debian's Chromium: an operator's night, and strings that would like to be more than text (H-04)."""
import os
import smtplib
import time

import console
import peers
import primaries
import pytest
from browser import Browser

HOSTILE = [
    ("<script>document.title='owned'</script>", "=?utf-8?q?=3Cimg_src=3D//evil.example/x_onerror=3D\"document.title=3D'owned'\"=3E?="),
    ("javascript:alert(1)", "=?utf-8?q?invoice_=E2=80=AEfdp.exe?="),
    ("</title><svg onload=alert(1)>", "\" onmouseover=alert(1) x=\""),
    ("{{7*7}}${7*7}", "=?utf-8?b?%s?=" % "AAECAxtbMzFtcmVk"),
]
FIND = "return (await page.textContent('body')).includes(args.text)"


@pytest.fixture(scope="module")
def browser():
    with Browser() as b:
        yield b


@pytest.fixture
def hq(folder, started):
    """A site that worked a moment ago and is down, with mail held and people who have no way in yet."""
    primary = primaries.Primary().start()
    hq = started(console.Headquarters(os.path.join(folder, "holdfast"), primary.port))
    hq.primary_port = primary.port
    hq.wait_state("up")
    primary.stop()
    hq.wait_state("down")
    hq.add("anna")
    hq.run("user", "add", "carl@example.com", "--no-password", "--name", "<b>Carl</b>")
    return hq


def send(hq, subject, name="Writer", rcpt="anna@example.com"):
    with smtplib.SMTP("127.0.0.1", hq.port, timeout=20) as s:
        s.sendmail("writer@example.org", [rcpt], f'From: "{name}" <writer@example.org>\r\nSubject: {subject}\r\nMessage-ID: <{time.time_ns()}@x>\r\n\r\nx\r\n')


def log_in(hq, page):
    secret = hq.administrator().secret
    root = hq.people["root"]
    page.goto(f"https://127.0.0.1:{hq.admin}/")
    page.fill("E-mail address", root.address)
    page("await page.getByLabel('Password', {exact: true}).fill(args.text)", text=root.password)
    page.button("^Log in$")
    page("await page.getByLabel(/Code from your app/).waitFor()")
    # The code of this half minute was used by administrator(): the next one is good, too (RFC 6238 s5.2).
    page.fill("Code from your app", console.totp(secret, time.time() + 30))
    page.button("^Confirm$")
    page.see("head-office")


def violations(page):
    """Of what stands still: colours of what is fading in say nothing."""
    page("await page.evaluate(() => Promise.all(document.getAnimations().filter(a => a.effect.getTiming().iterations !== Infinity).map(a => a.finished.catch(() => 0))))")
    return page.axe()


def go(hq, page, where):
    page("await page.goto(args.to); await page.waitForSelector('main h1')",
         to=f"https://127.0.0.1:{hq.admin}/#/{where}")


def test_a_night_at_the_console(hq, browser):
    for i in range(3):
        send(hq, f"number {i}")
    peers.wait_for(lambda: hq.site().get("held") == 3, 20, "three held", every=0.1)
    page = browser.page("operator", viewport=(360, 740))
    log_in(hq, page)
    page.see("The site takes no mail. 3 deliveries are held.")
    assert violations(page) == []

    go(hq, page, "site/head-office")
    page("await page.waitForSelector('.chart canvas')")
    assert page("return page.locator('.marks li').count()") >= 2
    page.see("failed probes in a row")
    assert page("return await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)")
    page.button("^Hold: Change")
    page.see("all mail for head-office is kept here")
    page.button("^Turn on$")
    page.see("Say why, in a few words.")  # nothing is ordered without a reason
    assert violations(page) == []
    assert hq.json("status")["sites"][0]["hold"]["mode"] == "auto"
    page("await page.getByLabel('Reason').fill('disk swap')")
    page.button("^Turn on$")
    page.see("On by order: mail is kept here.")
    hold = hq.json("status")["sites"][0]["hold"]
    assert (hold["mode"], hold["reason"]) == ("on", "disk swap") and "administrator root@example.com" in hold["by"]
    page.button("^Hold: Change")
    page.button("^Make automatic$")
    page.see("Decided by the probes.")

    go(hq, page, "queue")
    page.see("3 deliveries")
    page.button("^Act on number 0$")
    page("await page.getByRole('menuitem', {name: /Discard/}).click()")
    page.see("This cannot be undone.")
    page("await page.locator('dialog').getByLabel('Reason').fill('spam')")
    page("await page.locator('dialog').getByRole('button', {name: 'Discard'}).click()")
    page.see("2 deliveries")
    assert violations(page) == []

    go(hq, page, "people")
    page.button("^Invite all who cannot log in")
    page("await page.locator('dialog').getByRole('button', {name: 'Invite', exact: true}).click()")
    page("await page.waitForSelector('dialog tbody tr code')")
    code = page("return page.textContent('dialog tbody tr code')")
    assert len(code) > 10 and violations(page) == []
    page("await page.locator('dialog .dialog-foot').getByRole('button', {name: 'Close'}).click()")
    page.see("1 has an invitation")
    assert not page(FIND, text=code)

    go(hq, page, "trace")
    page("await page.getByLabel('To', {exact: true}).fill('anna'); await page.getByLabel('Why you look').fill('ticket 7')")
    page.button("^Find$")
    page.see("In anna@example.com's mailbox here: INBOX")
    assert violations(page) == []

    go(hq, page, "audit")
    for text in ("disk swap", "spam", "ticket 7"):
        page.see(text)
    assert violations(page) == []

    primaries.Primary(port=hq.primary_port).start()
    go(hq, page, "overview")
    page.see("The site takes mail. Nothing is held.")
    page.see("handed back, 0 duplicates")
    bad = [line for line in page.console() if not line.startswith(("log:", "info:", "debug:")) and "401" not in line]
    assert bad == []


def test_h_04_hostile_strings_are_text(hq, browser):
    for name, subject in HOSTILE:
        send(hq, subject, name.replace('"', ""))
    hq.run("hold", "head-office", "on", "--reason", "<img src=x onerror=document.title='owned'>")
    peers.wait_for(lambda: hq.site().get("held") == len(HOSTILE), 20, "them to be held", every=0.1)
    page = browser.page("victim")
    log_in(hq, page)
    page("page.on('dialog', d => { globalThis.dialogs = (globalThis.dialogs ?? 0) + 1; d.dismiss() })")
    shown = 0
    for where in ("overview", "site/head-office", "queue", "trace", "people", "audit", "account", "queue/%3Cimg%20src%3Dx%3E", "audit/<svg onload=alert(1)>"):
        go(hq, page, where)
        if where == "trace":
            page("await page.getByLabel('From', {exact: true}).fill('writer')")
            page.button("^Find$")
            page("await page.waitForSelector('article')")
        page("await page.waitForTimeout(300)")
        text = page("return await page.textContent('body')")
        shown += "<img src=" in text
        assert "\u202e" not in text and "\x1b" not in text, where
        assert page("return await page.evaluate(() => document.querySelectorAll('main img, main script, main svg[onload], [onerror], [onmouseover]').length)") == 0, where
        assert "owned" not in page("return await page.title()")
    assert shown >= 4, "they were to be seen, as text"
    assert page("return globalThis.dialogs ?? 0") == 0
    assert not [u for u in page.requests() if not u.startswith(f"https://127.0.0.1:{hq.admin}/")]
