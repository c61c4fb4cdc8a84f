"""The whole day again, with nothing but the portal in a browser: the server dies, people read, write, file and throw away, and
everything goes home."""
import os

import peers
import people
import pytest
from browser import Browser
from portal import DESKTOP, PHONE, Portal
from test_day import Day, settle
from test_portal import attach, write_text

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")
AT_WORK = ("anna", "bert", "carl")


class PortalDay(Day):
    def write_by_portal(self, portal, name, to, subject, files=()):
        portal.open("#/write")
        portal("""const field = page.getByRole('combobox', {name: 'To', exact: true}).or(page.getByRole('textbox', {name: 'To', exact: true})).first(); await field.waitFor()
            for (const a of args.to) { await field.fill(a); await field.press('Enter') }
            await page.getByLabel('Subject').fill(args.subject)""", to=to, subject=subject)
        write_text(portal, f"This is {subject}.")
        attach(portal, files)
        portal.button("^Send")
        j = self.person(name).jmap()
        peers.wait_for(lambda: [e for e in j.emails("sent") if e["subject"] == subject], 20, f"{subject} in Sent")
        mid = "<" + next(e for e in j.emails("sent") if e["subject"] == subject)["messageId"][0] + ">"
        j.close()
        self.model.put(name, "Sent", mid, ["\\Seen"])
        for address in to:
            local, domain = address.split("@")
            if domain == "example.com":
                self.model.put(local, "INBOX", mid)
            else:
                self.model.world[mid] = self.model.world.get(mid, 0) + 1

    def work_by_portal(self, browser, i, name):
        model, person = self.model, self.person(name)
        mids = list(model.boxes[name]["INBOX"])[:7]
        m = person.imap()
        people.ok(m.create("Projects"))
        m.logout()
        portal = Portal(browser, person, PHONE if i % 2 else DESKTOP).login().inbox()

        def row(subject, action):
            portal.wait_subject(subject)
            portal("""const row = page.locator('.row', {hasText: args.subject}).first(); await row.hover()
                await row.getByRole('button', {name: args.action, exact: true}).click()""", subject=subject, action=action)
        portal.read("Morning 0")
        portal.body()
        model.mark(name, "INBOX", mids[0], "\\Seen")
        portal.open("#/mail/inbox").inbox()
        portal.read("Morning 1")
        portal.body()
        model.mark(name, "INBOX", mids[1], "\\Seen")
        portal("await page.getByRole('button', {name: 'Move to …', exact: true}).first().click()")
        portal("await page.getByRole('dialog').getByText('Projects').click()")
        model.move(name, mids[1], "INBOX", "Projects")
        portal.open("#/mail/inbox").inbox()
        row("During 1", "Flag")
        model.mark(name, "INBOX", mids[4], "\\Flagged")
        row("During 2", "Archive")
        model.move(name, mids[5], "INBOX", "Archive")
        row("During 3", "Delete")
        model.move(name, mids[6], "INBOX", "Trash")
        colleague = AT_WORK[(i + 1) % len(AT_WORK)]
        self.write_by_portal(portal, name, [f"{colleague}@example.com"], f"From {name} inside", [("plan.txt", "text/plain", b"one\n")])
        self.write_by_portal(portal, name, ["partner@world.example.net", f"{colleague}@example.com"], f"From {name} to the world")
        portal.open("#/write")
        portal("await page.getByLabel('Subject').fill('A draft')")
        write_text(portal, "Not yet.")
        j = person.jmap()
        peers.wait_for(lambda: [e["subject"] for e in j.emails("drafts") if "Not yet" in e["preview"]] == ["A draft"], 20, "the draft")
        portal.open("#/mail/inbox").inbox()
        peers.wait_for(lambda: len(j.emails("drafts")) == 1, 10, "one draft")
        draft = j.emails("drafts")[0]
        model.put(name, "Drafts", "<" + draft["messageId"][0] + ">", ["\\Draft", "\\Seen"])
        peers.wait_for(lambda: len(j.emails("trash")) == 1 and len(j.emails("archive")) == 1, 10, "all that was done")
        j.close()
        portal.assert_quiet()
        return portal


def test_the_whole_day_through_the_portal(folder, started):
    """I-18, P6, with a browser"""
    day = PortalDay(folder, started)
    day.morning()
    day.outage()
    with Browser() as browser:
        portals = [day.work_by_portal(browser, i, name) for i, name in enumerate(AT_WORK)]
        day.check_world()
        assert "has not answered since" in portals[0].banner()
        day.recovery()
        settle(day)
        portals[0]("await page.waitForFunction(() => !document.body.innerText.includes('has not answered since'), null, {timeout: 30000})")
    day.office.run("log", "verify", timeout=120)
