// H-01, H-03, H-04 of the HTML part: hostile mail through the portal's own sanitiser and frame, in a real browser, with and
// without the frame's policy and sandbox. Nothing runs, nobody is asked.
//
//   node --test browser/safe_test.mjs        HOLDFAST_VECTORS=FILE.json: a list of more HTML texts (published collections)
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { bundle, canary, launch, pages, read } from "./lib.mjs";
import { references, scripts } from "./vectors.mjs";

const OPEN = "<!doctype html><html><head></head><body></body></html>";
let browser, bird, site, page;
const ran = [];

before(async () => {
	const code = await bundle("browser/safe_page.ts");
	bird = await canary();
	site = await pages({
		"/": { body: `<!doctype html><html><head><meta charset="utf-8"></head><body><script src="/page.js"></script></body></html>` },
		"/page.js": { type: "text/javascript", body: code },
		"/open.html": { body: OPEN },
		"/frame.html": { body: read("portal/static/frame.html") },
		"/favicon.ico": { type: "image/gif", body: "" },
	});
	browser = await launch();
	page = await browser.newPage();
	await page.exposeBinding("ran", (_source, what) => { ran.push(what); });
	await page.addInitScript(() => {
		for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => { top.ran(String(document.URL)); };
	});
	await page.goto(site.url);
});

after(async () => {
	await browser?.close();
	await site?.close();
	await bird?.close();
});

const show = (html, how) => page.evaluate(([h, w]) => window.show(h, w), [html, how]);
const settle = () => page.evaluate(() => new Promise((r) => setTimeout(r, 150)));
const aimed = (html) => html.replaceAll("CANARY", bird.url).replaceAll("HOST", bird.url.slice(7));
const more = process.env.HOLDFAST_VECTORS ? JSON.parse(fs.readFileSync(process.env.HOLDFAST_VECTORS, "utf8")) : [];

test("the test sees what it looks for: unprotected, scripts run and the canary is asked", async () => {
	for (const html of [`<img src=x onerror=alert(1)>`, `<svg onload=alert(1)>`, `<p onclick=alert(1)>x</p>`]) {
		const had = ran.length;
		await page.evaluate((h) => window.raw(h), html);
		await settle();
		assert.ok(ran.length > had, html);
	}
	let seen = 0;
	const risky = /refresh|frameset|submit/; // would take the page away
	await Promise.all(references.filter(([, h]) => !risky.test(h)).map(([, h]) => page.evaluate((x) => window.raw(x), aimed(h))));
	await settle();
	seen = new Set(bird.asked.map((a) => /\/(\d+)/.exec(a)?.[1]).filter(Boolean)).size;
	assert.ok(seen >= 35, `${seen} kinds of reference ask the canary when nothing protects`);
	ran.length = 0;
	bird.asked.length = 0;
});

for (const how of ["portal", "no-sandbox", "no-csp", "text"]) {
	test(`H-01 ${scripts.length + more.length} vectors, ${how}: only what is listed, nothing runs`, async () => {
		const all = [...scripts, ...more];
		for (let at = 0; at < all.length; at += 60) {
			const told = await page.evaluate(([l, w]) => window.showAll(l, w), [all.slice(at, at + 60), how]);
			told.forEach((t, i) => assert.deepEqual(t?.strangers, [], `${all[at + i]}\n->\n${t?.html}`));
		}
		await settle();
		assert.deepEqual(ran, []);
		assert.equal(new URL(page.url()).pathname, "/");
	});

	test(`H-03 ${references.length} kinds of reference, ${how}: nobody is asked`, async () => {
		for (const [name, html] of references) {
			const told = await show(aimed(html), how);
			assert.deepEqual(told.strangers, [], `${name}: ${told.html}`);
			assert.ok(!told.html.replace(/>[^<]*| title="[^"]*"/g, ">").includes(bird.url.slice(7)), `${name} is left: ${told.html}`); // but as words
			assert.ok(!told.sheet.includes(bird.url.slice(7)), `${name} is left: ${told.sheet}`);
		}
		await settle();
		assert.deepEqual(bird.asked, []);
	});
}

test("remote pictures are counted, once each", async () => {
	const told = await show(aimed(`<img src="CANARY/1"><img src="//HOST/2"><p style="background:url(CANARY/3)">x</p>
		<table background="CANARY/4"></table><style>p{background:url(CANARY/5)}</style><img srcset="CANARY/6 2x"><img src="cid:here">`), "portal");
	assert.equal(told.remote, 6);
	assert.deepEqual(told.inline, ["here"]);
});

test("what is harmless stays: tables, colours, lists, links, pictures in the text", async () => {
	const gif = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=";
	const told = await show(`<html><body bgcolor="#eeeeee" style="color: rgb(10, 20, 30)"><table width="600" cellpadding=4><tr><td align=center style="padding: 4px; position: fixed">
		<b>Good</b> <a href="https://shop.example/x?y=1&amp;z=2">day</a><img src="${gif}" width=1 height=1 alt=dot></td></tr></table>
		<ol start=3><li>three</ol><style>td{color:red;background:url(x)} @media (max-width:500px){td{width:100%}}</style></body></html>`, "portal");
	for (const part of [`bgcolor="#eeeeee"`, "color: rgb(10, 20, 30)", `width="600"`, `cellpadding="4"`, "padding: 4px", "<b>Good</b>",
		`href="https://shop.example/x?y=1&amp;z=2"`, `rel="noopener noreferrer nofollow"`, `target="_blank"`, gif, `<ol start="3">`])
		assert.ok(told.html.includes(part), `${part} in ${told.html}`);
	assert.ok(!told.html.includes("position"));
	assert.match(told.sheet, /td\{color:red/);
	assert.match(told.sheet, /@media \(max-width: ?500px\)\{td\{width:100%\}/);
});

test("a link whose words name another place says where it leads", async () => {
	const rows = [
		[`<a href="https://evil.example/login">https://www.bank.example/login</a>`, "leads to evil.example"],
		[`<a href="https://www.bank.example@evil.example/"><b>www.bank</b>.example</a>`, "leads to evil.example"],
		[`<a href="https://www.bank.example/x">bank.example</a>`, null], [`<a href="https://evil.example/">click here</a>`, null],
		[`<a href="mailto:a@evil.example">a@bank.example</a>`, "leads to a@evil.example"], [`<a href="https://xn--bnk-sna.example/">bank.example</a>`, "leads to xn--bnk-sna.example"],
		[`<a href="https://docs.example/report.pdf">report.pdf</a>`, null],
	];
	for (const [html, said] of rows) {
		const told = await show(html, "portal");
		if (said) assert.ok(told.text.includes(said), `${html}: ${told.text}`);
		else assert.ok(!told.text.includes("leads to"), `${html}: ${told.text}`);
	}
});

test("no message can look like our own marks", async () => {
	const told = await show(`<span class="hf-leads x">leads to bank.example</span><p id="app" name="main">x</p>`, "portal");
	assert.ok(!/class="[^"]*hf-/.test(told.html) && !/ (id|name)=/.test(told.html), told.html);
});

test("too much is not shown as HTML, and much does not take for ever", async () => {
	assert.equal(await show("x".repeat((4 << 20) + 1), "portal"), null);
	const began = Date.now();
	await show("<div>".repeat(5000) + "<b>x</b>", "portal");
	await show("<p>x</p>".repeat(80_000), "portal");
	await show(`<style>${"a{color:red}".repeat(20_000)}</style>`, "portal");
	assert.ok(Date.now() - began < 20_000, `${Date.now() - began} ms`);
});
