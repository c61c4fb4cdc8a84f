// Writing in a real browser over the in-memory server: nothing typed is lost, nothing is sent twice or by mistake, one stream for
// all tabs, the page without a connection, and no violation of accessibility on the pages for writing, reading and help.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { axeSource, launch } from "./lib.mjs";
import { built, serve } from "./portal_page.mjs";

let site, browser, f, context, page, trouble;

before(async () => {
	site = built();
	browser = await launch();
});
after(async () => {
	await browser?.close();
	site?.drop();
});
beforeEach(async () => {
	f = await serve(site.out);
	context = await browser.newContext({ viewport: { width: 360, height: 740 }, locale: "en-GB", serviceWorkers: "block" });
	context.setDefaultTimeout(15_000);
	await f.enter(context);
	page = await context.newPage();
	trouble = [];
	page.on("pageerror", (e) => trouble.push(e.stack));
	page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource/.test(m.text())) trouble.push(m.text()); });
});
afterEach(async () => {
	await context.close();
	await f.stop();
	assert.deepEqual(trouble, []);
});

const drafts = () => [...f.emails.values()].filter((e) => e.keywords.$draft && e.subject !== "Draft about the rooms");
const sent = () => [...f.emails.values()].filter((e) => e.mailboxIds.F3 && /^S: /.test(e.subject ?? ""));
const text = (e) => Object.values(e.bodyValues)[0].value;
async function until(what, ms = 15_000) {
	for (const end = Date.now() + ms; ; await new Promise((r) => setTimeout(r, 50))) {
		const v = await what();
		if (v || Date.now() > end) return v;
	}
}
async function write(to = "clara.nguyen@example.org", subject = "S: hello") {
	await page.goto(`${f.url}/#/write`);
	await page.getByLabel("To", { exact: true }).last().fill(to);
	await page.keyboard.press("Enter");
	await page.getByLabel("Subject").fill(subject);
	await page.locator(".words").click();
	await page.keyboard.press("ControlOrMeta+Home");
	await page.keyboard.type("First words.");
}
const send = () => page.getByRole("button", { name: "Send" }).click();
async function axe(options = {}) {
	await page.evaluate(axeSource());
	const r = await page.evaluate((o) => globalThis.axe.run(document, o), options);
	return r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(" | ")}`);
}

test("a draft is on the server within seconds, one copy of it, and survives a reload", async () => {
	await write();
	assert.ok(await until(() => drafts().length === 1));
	await page.keyboard.type(" More words.");
	assert.ok(await until(() => drafts().length === 1 && text(drafts()[0]).includes("More words.")));
	await page.keyboard.type(" And the last ones.");
	await page.waitForTimeout(600); // kept here, not yet there
	await page.reload();
	assert.ok(await until(async () => (await page.locator(".words").inputValue()).includes("And the last ones.")));
	assert.equal(await page.getByLabel("Subject").inputValue(), "S: hello");
	assert.ok(await page.getByText("Clara", { exact: false }).or(page.getByText("clara.nguyen@example.org")).first().isVisible());
	assert.ok(await until(() => drafts().length === 1 && text(drafts()[0]).includes("last ones")), `${drafts().length}`);
});

test("without a connection nothing is lost: typed, reloaded, and sent when it is back", async () => {
	await page.goto(`${f.url}/#/mail`);
	await page.getByText("Lunch on Friday").first().waitFor();
	await write();
	assert.ok(await until(() => drafts().length === 1));
	await context.setOffline(true);
	await page.keyboard.type(" In the tunnel.");
	await page.getByText("Kept on this device").waitFor();
	await send();
	await page.getByText("will be sent when you are online again").or(page.getByText("is being sent")).first().waitFor();
	await page.waitForTimeout(8000);
	assert.equal(sent().length, 0);
	await context.setOffline(false);
	assert.ok(await until(() => sent().length === 1, 30_000));
	assert.ok(text(sent()[0]).includes("In the tunnel."));
	assert.ok(await until(() => drafts().length === 0));
});

test("sending can be undone for some seconds", async () => {
	await write();
	await send();
	await page.getByRole("button", { name: "Undo" }).click();
	assert.ok(await until(async () => (await page.locator(".words").inputValue()).includes("First words.")));
	await page.waitForTimeout(8000);
	assert.equal(sent().length, 0);
	await send();
	assert.ok(await until(() => sent().length === 1));
	await page.getByText("Sent to").first().waitFor();
	await page.waitForTimeout(1000);
	assert.equal(sent().length, 1);
	assert.equal(drafts().length, 0);
});

test("an answer quotes, keeps its thread, marks what it answers, and takes a file along", async () => {
	const [source] = [...f.emails.values()].filter((e) => e.mailboxIds.F1 && e.subject === "Lunch on Friday?");
	await page.goto(`${f.url}/#/write/reply/${source.id}`);
	await page.locator(".words").click();
	await page.keyboard.press("ControlOrMeta+Home");
	await page.keyboard.type("Gladly.");
	await page.getByLabel("Subject").fill("S: Re: Lunch");
	await page.locator("input[type=file]").setInputFiles({ name: "menu.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(50_000, 7) });
	await page.getByText("50 kB").waitFor();
	const seen = [];
	page.on("request", (r) => { if (r.url().endsWith("/jmap/api")) seen.push(r.postData()); });
	await send();
	assert.ok(await until(() => sent().length === 1));
	const made = seen.flatMap((s) => JSON.parse(s).methodCalls).filter(([n, a]) => n === "Email/set" && a.create).at(-1)[1].create.d;
	assert.deepEqual(made.inReplyTo, source.messageId);
	assert.equal(made.attachments[0].name, "menu.pdf");
	assert.equal(made.attachments[0].disposition, "attachment");
	assert.ok(Object.values(made.bodyValues)[0].value.startsWith("Gladly.") && Object.values(made.bodyValues)[0].value.includes("\n> "));
	assert.ok(await until(() => source.keywords.$answered));
});

test("formatted text: bold, a list, a link; undo of the editor works under Trusted Types; a text part comes along", async () => {
	await write();
	await page.getByLabel("Formatted text").check();
	await page.locator(".rich .words").click();
	await page.keyboard.press("ControlOrMeta+a");
	await page.getByRole("button", { name: "Bold" }).click();
	await page.waitForTimeout(300);
	await page.keyboard.press("ControlOrMeta+z");
	await page.waitForTimeout(200);
	await page.keyboard.press("ControlOrMeta+Shift+z");
	const seen = [];
	page.on("request", (r) => { if (r.url().endsWith("/jmap/api")) seen.push(r.postData()); });
	await send();
	assert.ok(await until(() => sent().length === 1));
	const made = seen.flatMap((s) => JSON.parse(s).methodCalls).filter(([n, a]) => n === "Email/set" && a.create).at(-1)[1].create.d;
	assert.match(made.bodyValues.h.value, /<b>First words\.<\/b>/);
	assert.match(made.bodyValues.t.value, /First words\./);
	assert.equal(made.htmlBody[0].type, "text/html");
});

test("what is refused is said, and stays a draft", async () => {
	await write();
	await page.route("**/jmap/api", async (route) => {
		const body = JSON.parse(route.request().postData());
		if (!body.methodCalls.some(([n]) => n === "EmailSubmission/set")) return route.continue();
		const id = body.methodCalls[0][2];
		await route.fulfill({ json: { sessionState: "s1", methodResponses: [["EmailSubmission/set", { accountId: "A1", oldState: "0", newState: "0", created: {}, updated: {}, destroyed: [],
			notCreated: { s: { type: "forbiddenFrom" } }, notUpdated: {}, notDestroyed: {} }, id]] } });
	});
	await send();
	await page.getByText("You may not send from this address").waitFor();
	await page.getByRole("button", { name: "Open" }).click();
	assert.ok(await until(async () => (await page.locator(".words").inputValue()).includes("First words.")));
	assert.equal(sent().length, 0);
});

test("an answer of the server that never came does not send twice", async () => {
	await write();
	let cut = 0;
	await page.route("**/jmap/api", async (route) => {
		if (!cut && route.request().postData().includes("EmailSubmission/set")) {
			cut++;
			await route.fetch(); // the server does it
			return route.abort();
		}
		return route.continue();
	});
	let submissions = 0;
	page.on("request", (r) => { if ((r.postData() ?? "").includes("EmailSubmission/set")) submissions++; });
	await send();
	await page.getByText("Sent to").first().waitFor({ timeout: 40_000 });
	assert.equal(cut, 1);
	assert.equal(submissions, 1);
	assert.equal(sent().length, 1);
});

test("addresses: completion by keyboard, lists by paste, and what is none is said", async () => {
	await page.goto(`${f.url}/#/write`);
	const to = page.getByRole("combobox", { name: "To" });
	await page.waitForTimeout(1500); // known people are learnt
	await to.fill("clar");
	await page.locator(".completions li").first().waitFor();
	await page.keyboard.press("Enter");
	assert.ok(await page.locator(".recipient", { hasText: "Clara" }).isVisible());
	await to.fill("not an address");
	await page.getByLabel("Subject").focus();
	await page.getByText("is not an e-mail address").waitFor();
	await to.fill('"Lee, Ann" <ann@x.example>, bob@y.example;');
	assert.equal(await page.locator(".recipient").count(), 3);
	await to.focus();
	await page.keyboard.press("Backspace");
	assert.equal(await page.locator(".recipient").count(), 2);
	await page.getByRole("button", { name: "Throw away" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Throw away" }).click();
});

test("two tabs share one stream, and the second goes on when the first is closed", async () => {
	await page.goto(f.url);
	await page.getByText("Lunch on Friday").first().waitFor();
	const other = await context.newPage();
	await other.goto(f.url);
	await other.getByText("Lunch on Friday").first().waitFor();
	await until(() => f.streams.size > 0);
	await page.waitForTimeout(1000);
	assert.equal(f.streams.size, 1);
	const began = Date.now();
	await f.post("/dev/deliver", { subject: "Pushed to both" });
	await Promise.all([page.getByText("Pushed to both").first().waitFor(), other.getByText("Pushed to both").first().waitFor()]);
	assert.ok(Date.now() - began < 2500, `${Date.now() - began} ms`);
	await page.close();
	assert.ok(await until(() => f.streams.size === 1));
	await f.post("/dev/deliver", { subject: "Only one is left" });
	await other.getByText("Only one is left").first().waitFor();
});

test("the page itself is there without a connection; mail is not kept by the worker", async () => {
	const own = await browser.newContext({ serviceWorkers: "allow", locale: "en-GB" });
	await f.enter(own);
	const p = await own.newPage();
	await p.goto(f.url);
	await p.getByText("Lunch on Friday").first().waitFor();
	await p.waitForFunction(() => navigator.serviceWorker.controller !== null, null, { timeout: 15_000 });
	const kept = await p.evaluate(async () => (await Promise.all((await caches.keys()).map(async (k) => (await (await caches.open(k)).keys()).map((r) => new URL(r.url).pathname)))).flat());
	assert.ok(kept.includes("/index.html") && kept.includes("/frame.html"));
	assert.ok(!kept.some((k) => k.startsWith("/api") || k.startsWith("/jmap")), kept.join());
	await own.setOffline(true);
	await p.reload();
	await p.getByText("No connection").first().waitFor();
	await own.close();
});

for (const colorScheme of ["light", "dark"]) {
	test(`no violation of accessibility: writing, reading, help (${colorScheme})`, async () => {
		await page.emulateMedia({ colorScheme });
		await page.goto(`${f.url}/#/write`);
		await page.locator(".words").waitFor();
		await page.getByRole("button", { name: "Add copies" }).click();
		await page.getByRole("combobox", { name: "To" }).fill("clara.nguyen@example.org,");
		assert.deepEqual(await axe(), []);
		await page.getByLabel("Formatted text").check();
		await page.getByRole("toolbar").waitFor();
		assert.deepEqual(await axe(), []);
		await page.goto(`${f.url}/#/help`);
		await page.getByRole("heading", { name: /What to do now/ }).waitFor();
		assert.deepEqual(await axe(), []);
		await f.post("/dev/deliver", { subject: "Look", attach: true, html: `<h1>x</h1><p style="color:red">Dear <a href="https://evil.example">bank.example</a></p><img src="https://x.example/1">` });
		const e = [...f.emails.values()].at(-1);
		await page.goto(`${f.url}/#/mail/F1/${e.threadId}`);
		await page.locator(".mail-frame").waitFor();
		await page.waitForTimeout(500);
		assert.deepEqual(await axe({ iframes: false }), []);
	});
}
