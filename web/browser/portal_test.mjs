// The portal in Debian's Chromium against the small server in memory: every page without a violation (axe), all by keyboard, on a
// phone and a desk, without a connection, refused, logged out under an open page. node --test browser/portal_test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { axeSource, launch, WEB } from "./lib.mjs";
import { fake } from "../dev/fake.mjs";

let browser, out, f, url;
const open = [];

before(async () => {
	out = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-portal-"));
	execFileSync(process.execPath, [path.join(WEB, "build.mjs"), "--no-check", out], { stdio: "ignore" });
	browser = await launch();
});
after(async () => {
	await browser?.close();
	fs.rmSync(out, { recursive: true, force: true });
});
afterEach(async () => {
	for (const p of open.splice(0)) await p.context().close();
	await new Promise((r) => { f.server.closeAllConnections(); f.server.close(r); });
});

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
const DESK = { viewport: { width: 1280, height: 800 } };

async function start({ messages = 300, ...options } = {}) {
	f = fake({ out, messages });
	await new Promise((r) => f.server.listen(0, "127.0.0.1", r));
	url = `http://127.0.0.1:${f.server.address().port}/`;
	return tab({ ...DESK, locale: "en-GB", serviceWorkers: "block", ...options });
}

async function tab(options) {
	const context = await browser.newContext(options);
	context.setDefaultTimeout(10_000);
	const page = await context.newPage();
	page.faults = [];
	page.on("pageerror", (e) => page.faults.push(String(e)));
	page.on("console", (m) => { if (m.type() === "error" && !/40[13]|ERR_INTERNET|ERR_CONN|ERR_FAILED/.test(m.text())) page.faults.push(m.text()); });
	open.push(page);
	return page;
}

async function logIn(page) {
	await page.goto(url);
	await page.getByLabel("E-mail address").fill("anna@example.com");
	await page.getByLabel("Password", { exact: true }).fill("anna");
	await page.keyboard.press("Enter");
	await page.locator(".row-link").first().waitFor();
}

async function clean(page, what) {
	await page.waitForTimeout(250); // movements end
	await page.evaluate(axeSource());
	const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
	assert.deepEqual(found.violations.map((v) => `${what}: ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).slice(0, 3).join(" | ")}`), []);
	assert.deepEqual(page.faults, [], what);
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	assert.ok(wide <= 0, `${what}: ${wide} pixels too wide`);
}

const rowNames = (page) => page.locator(".row .what").allTextContents();

for (const [name, screen] of [["phone", PHONE], ["desk", DESK]])
	for (const colorScheme of ["light", "dark"])
		test(`every page is clean: ${name}, ${colorScheme}`, async () => {
			const page = await start({ ...screen, colorScheme });
			await page.goto(url);
			await page.getByLabel("Password", { exact: true }).waitFor();
			await clean(page, "log-in");
			await page.getByRole("button", { name: "invitation" }).click();
			await clean(page, "invitation");
			await logIn(page);
			await clean(page, "list");
			await page.locator(".face-button").first().click();
			await clean(page, "chosen");
			await page.keyboard.press("Escape");
			await page.locator(".row-link").nth(4).click();
			await page.locator(".message.open").first().waitFor();
			await clean(page, "message");
			for (const hash of ["#/settings", "#/search/invoice", "#/help", "#/write"]) {
				await page.goto(url + hash);
				await page.locator("#main").waitFor();
				await page.waitForTimeout(300);
				await clean(page, hash);
			}
		});

test("dialogs are clean and keep the focus", async () => {
	const page = await start();
	await logIn(page);
	await page.keyboard.press("?");
	await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
	await clean(page, "keys");
	await page.keyboard.press("Escape");
	await page.keyboard.press("j");
	await page.keyboard.press("v");
	await page.getByRole("heading", { name: "Move to" }).waitFor();
	await clean(page, "move");
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "You, settings and help" }).click();
	await clean(page, "menu");
	await page.keyboard.press("Escape");
	assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "You, settings and help");
});

test("all by keyboard: open, next, flag, unread, archive, undo, search, back", async () => {
	const page = await start();
	await logIn(page);
	const names = await rowNames(page);
	await page.keyboard.press("j");
	await page.keyboard.press("j");
	await page.waitForFunction(() => document.activeElement.closest("[data-at]")?.dataset.at === "1");
	await page.keyboard.press("Enter");
	await page.locator(".message.open").first().waitFor();
	await page.waitForFunction(() => document.activeElement.tagName === "H1"); // the subject has the focus
	const first = page.url();
	await page.keyboard.press("j");
	await page.waitForFunction((u) => location.href !== u, first);
	await page.keyboard.press("j"); // a row that has no flag yet
	await page.keyboard.press("s");
	await page.locator(".row.open [aria-pressed=true]").waitFor();
	await page.keyboard.press("e");
	await page.getByText("Archived.").waitFor();
	assert.ok(!/\/T/.test(page.url()), "back at the list");
	assert.deepEqual((await rowNames(page)).slice(0, 2), names.slice(0, 2));
	await page.keyboard.press("z");
	await page.waitForFunction((n) => [...document.querySelectorAll(".row .what")].length >= n, 5);
	assert.deepEqual((await rowNames(page)).slice(0, 5), names.slice(0, 5));
	await page.keyboard.press("/");
	await page.keyboard.type("invoice");
	await page.keyboard.press("Enter");
	await page.locator(".row mark").first().waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("heading", { name: "Inbox" }).waitFor();
	assert.deepEqual(page.faults, []);
});

test("ten thousand messages: one request, few rows, the end is there", async () => {
	const page = await start({ messages: 10_000 });
	await logIn(page);
	const asked = [];
	page.on("request", (r) => { if (r.url().endsWith("/jmap/api")) asked.push(JSON.parse(r.postData()).methodCalls.map((c) => c[0])); });
	await page.reload();
	await page.locator(".row-link").first().waitFor();
	assert.deepEqual(asked[0].slice(0, 3), ["Mailbox/get", "Email/query", "Email/get"], "folders and list in the first request");
	assert.ok((await page.locator(".row").count()) < 60);
	await page.locator(".rows").evaluate((e) => { e.scrollTop = e.scrollHeight; });
	await page.locator(".row-link").last().waitFor();
	const total = Number(await page.locator(".row-place").first().getAttribute("aria-setsize"));
	await page.locator(`[aria-posinset="${total}"] .row-link`).waitFor();
});

test("a phone: one pane, back to the same place, swiped away and undone", async () => {
	const page = await start(PHONE);
	await logIn(page);
	await page.locator(".rows").evaluate((e) => { e.scrollTop = 800; });
	await page.locator('[data-at="13"] .row-link').click();
	const place = await page.locator(".rows").evaluate((e) => e.scrollTop);
	assert.ok(place > 500);
	await page.locator(".message.open").first().waitFor();
	assert.equal(await page.locator(".list").evaluate((e) => getComputedStyle(e).visibility), "hidden");
	await page.goBack();
	await page.locator(".row-link").first().waitFor();
	assert.equal(await page.locator(".rows").evaluate((e) => e.scrollTop), place);
	await page.locator(".rows").evaluate((e) => { e.scrollTop = 0; });
	await page.locator('[data-at="0"] .row').waitFor();
	const before_ = await rowNames(page);
	await swipe(page, '[data-at="0"] .row', -260);
	await page.getByText("Moved to the trash.").waitFor();
	await page.getByRole("button", { name: "Undo" }).click();
	await page.waitForFunction((n) => document.querySelector('[data-at="0"] .what')?.textContent === n, before_[0]);
	await swipe(page, '[data-at="0"] .row', 40);
	assert.equal(await page.getByText("Archived.").count(), 0, "a little is not enough");
});

async function swipe(page, at, by) {
	const b = await page.locator(at).boundingBox();
	const cdp = await page.context().newCDPSession(page);
	const point = (x) => ({ touchPoints: [{ x, y: b.y + b.height / 2 }] });
	const from = b.x + b.width / 2 - by / 2;
	await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", ...point(from) });
	for (let i = 1; i <= 8; i++) await cdp.send("Input.dispatchTouchEvent", { type: "touchMove", ...point(from + (by * i) / 8) });
	await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
}

test("without a connection it says so, keeps what is done, and does it later", async () => {
	const page = await start();
	await logIn(page);
	await page.locator(".row-link").nth(2).click();
	await page.locator(".message.open").first().waitFor();
	await page.context().setOffline(true);
	await page.keyboard.press("e");
	await page.getByText(/No connection. \d+ changes? wait/).waitFor();
	await clean(page, "without a connection");
	const waiting = [...f.emails.values()].filter((e) => e.mailboxIds.F4).length;
	assert.equal(waiting, 0);
	await page.context().setOffline(false);
	await page.waitForFunction(() => !document.body.textContent.includes("No connection"));
	assert.ok([...f.emails.values()].some((e) => e.mailboxIds.F4));
});

test("what is refused is taken back with a message", async () => {
	const page = await start();
	await logIn(page);
	const names = await rowNames(page);
	f.refuse = 5;
	await page.locator(".face-button").first().click();
	await page.getByRole("button", { name: "Archive" }).first().click();
	await page.getByText(/not accepted and taken back/).waitFor();
	assert.deepEqual((await rowNames(page)).slice(0, 4), names.slice(0, 4));
	await clean(page, "refused");
});

test("a session that ended: the log-in is laid over the page, which stays", async () => {
	const page = await start();
	await logIn(page);
	await page.locator(".row-link").nth(3).click();
	await page.locator(".message.open").first().waitFor();
	const at = page.url();
	f.ended = true;
	await page.keyboard.press("s");
	await page.getByText("You were logged out.").waitFor();
	await clean(page, "logged out");
	await page.getByLabel("Password", { exact: true }).fill("anna");
	await page.keyboard.press("Enter");
	await page.locator(".login-over").waitFor({ state: "detached" });
	assert.equal(page.url(), at);
	await page.locator(".thread-tools [aria-pressed=true]").waitFor();
	await page.waitForTimeout(300);
	assert.ok([...f.emails.values()].some((e) => e.keywords.$flagged && page.url().endsWith(e.threadId)), "and what was done is done");
});

test("the second factor, and recovery codes; an invitation", async () => {
	const page = await start();
	await page.goto(url);
	await page.getByLabel("E-mail address").fill("bert@example.com");
	await page.getByLabel("Password", { exact: true }).fill("bert");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "One more step" }).waitFor();
	await page.getByLabel("Code", { exact: true }).fill("000000");
	await page.keyboard.press("Enter");
	await page.getByText("This code is not right").waitFor();
	await clean(page, "wrong code");
	await page.getByRole("button", { name: "use a recovery code" }).click();
	await page.getByLabel("Recovery code").fill("again");
	await page.keyboard.press("Enter");
	await page.locator(".row-link").first().waitFor();
	const other = await tab(PHONE);
	await other.goto(url);
	await other.getByRole("button", { name: "invitation" }).click();
	await other.getByLabel("E-mail address").fill("anna@example.com");
	await other.getByLabel("Invitation code").fill("WELCOME");
	await other.getByLabel("New password", { exact: true }).fill("short");
	await other.keyboard.press("Enter");
	await other.getByText("Please use at least 15 characters").waitFor();
	await other.getByLabel("New password", { exact: true }).fill("four small wooden boats");
	await other.keyboard.press("Enter");
	await other.locator(".row-link").first().waitFor();
});

test("the banner follows the usual server", async () => {
	const page = await start();
	await logIn(page);
	const say = (now) => page.evaluate((n) => fetch("/dev/now", { method: "POST", body: JSON.stringify(n) }), now);
	await page.getByText(/has not answered since/).waitFor();
	await say({ class: "operator" });
	await page.getByText(/paused by your administrators/).waitFor();
	await say({ state: "up", class: "", handback: { total: 400, done: 100, left: 300, eta_s: 240 } });
	await page.getByText("100 of 400 messages have moved back, the rest takes about 4 minutes.").waitFor();
	assert.equal(await page.locator("progress.bar").getAttribute("value"), "100");
	await clean(page, "hand-back");
	await say({ handback: null, continuity: "off" });
	await page.locator(".top-banners .banner").waitFor({ state: "detached" });
});

test("settings: a second factor from picture to codes; app password; sessions", async () => {
	const page = await start(PHONE);
	await logIn(page);
	await page.goto(`${url}#/settings/factor`);
	await page.getByRole("button", { name: "Set up" }).click();
	await page.getByRole("dialog").getByLabel("Present password", { exact: true }).fill("wrong");
	await page.keyboard.press("Enter");
	await page.getByText("This password is not right.").waitFor();
	await page.getByRole("dialog").getByLabel("Present password", { exact: true }).fill("anna");
	await page.keyboard.press("Enter");
	await page.getByRole("img", { name: /QR code/ }).waitFor();
	await clean(page, "QR code");
	await page.getByLabel("Code", { exact: true }).fill("123 456");
	await page.keyboard.press("Enter");
	await page.getByText("aaaa-bbbb").waitFor();
	await clean(page, "recovery codes");
	await page.getByRole("button", { name: "I have kept them" }).click();
	await page.getByLabel("For which program").fill("Phone");
	await page.getByRole("button", { name: "New app password" }).click();
	await page.getByRole("dialog").getByLabel("Present password", { exact: true }).fill("anna");
	await page.keyboard.press("Enter");
	await page.getByText("kiln-amber-otter").waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Log out: Safari, iPhone" }).click();
	await page.getByText("That one is logged out.").waitFor();
	assert.deepEqual(page.faults, []);
});

test("in German, too", async () => {
	const page = await start({ ...PHONE, locale: "de-DE" });
	await page.goto(url);
	await page.getByLabel("E-Mail-Adresse").fill("anna@example.com");
	await page.getByLabel("Passwort", { exact: true }).fill("anna");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Posteingang" }).waitFor();
	assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
	await page.locator(".row-link").first().waitFor();
	await clean(page, "German");
});

test("names and subjects that are markup stay text; nothing runs", async () => {
	const page = await start();
	await page.addInitScript(() => { window.alert = () => { window.ran = true; }; });
	await logIn(page);
	await page.getByText("<img src=x onerror=alert(1)>").first().waitFor();
	await page.goto(`${url}#/search/${encodeURIComponent("<script>alert(1)</script>")}`);
	await page.getByRole("heading", { name: "Search: <script>" }).waitFor();
	await page.locator(".row mark, .list-empty").first().waitFor();
	assert.equal(await page.evaluate(() => window.ran), undefined);
	assert.equal(await page.locator("main img, .list img, .list script").count(), 0);
});

test("folders: made, renamed, put in the trash, taken back, deleted for ever; a new one while moving", async () => {
	const page = await start();
	await logIn(page);
	const folder = (name) => page.locator(".side .folder-name", { hasText: name });
	const menu = async (name, what) => {
		await page.getByRole("button", { name: `What to do with the folder ${name}`, exact: true }).click();
		await page.getByRole("menuitem", { name: what }).click();
	};
	await page.locator(".side .new-folder").click();
	const dialog = page.getByRole("dialog");
	await dialog.getByRole("button", { name: "Make the folder" }).click();
	await dialog.getByText("Please give the folder a name.").waitFor();
	await dialog.getByLabel("Name of the folder").fill("Projects");
	await page.keyboard.press("Enter");
	await dialog.getByText("There is a folder of this name already.").waitFor();
	await clean(page, "folder, wrong name");
	await dialog.getByLabel("Name of the folder").fill("Travel");
	await page.keyboard.press("Enter");
	await folder("Travel").waitFor();
	await menu("Travel", "Rename or move");
	await dialog.getByLabel("Name of the folder").fill("Trips");
	await dialog.getByLabel("Lies in").selectOption({ label: "Projects" });
	await page.keyboard.press("Enter");
	await folder("Trips").waitFor();
	assert.equal([...f.boxes.values()].find((b) => b.name === "Trips").parentId, "F7");
	await page.getByRole("button", { name: "Undo" }).click();
	await folder("Travel").waitFor();

	await page.goto(`${url}#/mail/F7`);
	await page.getByRole("heading", { name: "Projects" }).waitFor();
	await menu("Projects", "Delete the folder");
	await page.getByText("lie in the trash").waitFor();
	await page.getByRole("heading", { name: "Inbox" }).waitFor();
	assert.equal(f.boxes.get("F7").parentId, "F5");
	await menu("Moon", "Delete for ever");
	await dialog.getByText("cannot be brought back").waitFor();
	await clean(page, "folder for ever");
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Undo" }).click();
	await page.waitForFunction(() => [...document.querySelectorAll(".side .first-own .folder-name")].some((e) => e.textContent === "Projects"));
	assert.equal(f.boxes.get("F7").parentId, null);

	await page.locator(".row-link").first().click();
	await page.locator(".message.open").first().waitFor();
	await page.keyboard.press("v");
	await page.getByLabel("Find a folder").fill("Offers");
	await page.getByRole("button", { name: "New folder “Offers”" }).click();
	await page.keyboard.press("Enter"); // the name is there already
	await page.getByText("Moved to Offers.").waitFor();
	const made = [...f.boxes.values()].find((b) => b.name === "Offers").id;
	await page.waitForTimeout(300);
	assert.ok([...f.emails.values()].some((e) => e.mailboxIds[made]));
	assert.deepEqual(page.faults, []);
});

test("folders on a phone: the menu is there to touch", async () => {
	const page = await start({ ...PHONE, locale: "de-DE" });
	await page.goto(url);
	await page.getByLabel("E-Mail-Adresse").fill("anna@example.com");
	await page.getByLabel("Passwort", { exact: true }).fill("anna");
	await page.keyboard.press("Enter");
	await page.locator(".row-link").first().waitFor();
	await page.getByRole("button", { name: "Ordner zeigen" }).tap();
	await clean(page, "drawer");
	await page.getByRole("button", { name: "Was mit dem Ordner Moon geschehen soll" }).tap();
	await clean(page, "menu of a folder");
	await page.getByRole("menuitem", { name: "Umbenennen" }).tap();
	await page.getByLabel("Name des Ordners").fill("Verwaltungsangelegenheiten der Liegenschaften");
	await clean(page, "renaming");
	await page.getByRole("button", { name: "Speichern" }).tap();
	await page.getByText("Der Ordner heißt jetzt").waitFor();
	await page.getByRole("button", { name: "Ordner zeigen" }).tap();
	if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/drawer.png` });
	await clean(page, "drawer with a long name");
});

test("before the log-in: it says that there is an outage, and that one is right here", async () => {
	const page = await start();
	await page.goto(url);
	await page.getByText("You are right here").waitFor();
	await clean(page, "log-in in an outage");
	await page.getByRole("link", { name: "What to do now" }).click();
	await page.getByRole("heading", { name: "What to do now" }).waitFor();
	assert.equal(await page.getByText("The usual mail works").count(), 0);
	await page.evaluate(() => fetch("/dev/now", { method: "POST", body: JSON.stringify({ state: "up", continuity: "off" }) }));
	await page.goto(url);
	await page.reload();
	await page.getByLabel("Password", { exact: true }).waitFor();
	await page.getByText("This is our replacement mail").waitFor();
	assert.equal(await page.getByText("You are right here").count(), 0);
});

test("the first log-in in a browser asks for folders and list in one request", async () => {
	const page = await start();
	const asked = [];
	page.on("request", (r) => { if (r.url().endsWith("/jmap/api")) asked.push(JSON.parse(r.postData()).methodCalls.map((c) => c[0])); });
	await logIn(page);
	assert.deepEqual(asked[0].slice(0, 3), ["Mailbox/get", "Email/query", "Email/get"]);
});
