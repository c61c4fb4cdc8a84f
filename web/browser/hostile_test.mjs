// H-04: payloads in everything that strangers can write (names, subjects, addresses, file names and types, message ids, plain text,
// snippets of the search) and in what comes from the server (folders, identities, contacts, the organisation's words), through the
// whole portal, with the page's policy on and off: inert words everywhere; nothing runs, nobody is asked.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { canary, launch } from "./lib.mjs";
import { built, serve } from "./portal_page.mjs";

let site, browser, bird;
before(async () => {
	site = built();
	browser = await launch();
	bird = await canary();
});
after(async () => {
	await browser?.close();
	await bird?.close();
	site?.drop();
});

const payloads = (canaryUrl) => [
	`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `'-alert(1)-'`, `<svg/onload=alert(1)>`, `</title><script>alert(1)</script>`, `javascript:alert(1)`,
	`<iframe srcdoc="<script>parent.alert(1)</script>">`, `\${alert(1)}{{alert(1)}}<%=alert(1)%>`, `<img src="${canaryUrl}/p.gif">`, `<style>@import url(${canaryUrl}/s.css)</style>`,
	`\u202Efdp.exe\u202C <a href="${canaryUrl}/a" ping="${canaryUrl}/ping">x</a>`, `<mark><img src=x onerror=alert(1)></mark>`, `&lt;img src=x onerror=alert(1)&gt;`, `\u0000<b>\uD800\uFFFE`,
	`__proto__`, `constructor`, `<template><img src=x onerror=alert(1)></template>`, `]]><script>alert(1)</script>`, `data:text/html,<script>alert(1)</script>`, `/../../api/logout`,
];

function poison(f, list) {
	const files = [`invoice.pdf.exe`, `\u202Egpj.exe`, `a".pdf\r\nX-Evil: 1`];
	list.forEach((p, i) => {
		const box = [...f.emails.values()].filter((e) => e.mailboxIds.F1);
		const e = box.at(-1 - i); // the newest stand on top
		const who = [{ name: p, email: i % 2 ? `x@evil.example` : `${p.replace(/[^\w.]/g, "") || "x"}@evil.example` }, { name: null, email: p }];
		Object.assign(e, { subject: `trap ${p}`, preview: `trap ${p}`, from: i % 3 ? who : [who[1]], to: who, cc: who, bcc: who, replyTo: who, sender: who, messageId: [p], inReplyTo: [p], references: [p, p],
			hasAttachment: true, headers: [{ name: p, value: p }, { name: "Received", value: p }] });
		e.bodyValues[1].value = `trap ${p}\nhttps://x.example/${p}\n> ${p}\n> ${p}\n> ${p}\n> ${p}\n-- \n${p}`;
		e.attachments = [p, ...files].map((name, k) => ({ partId: `${k}`, blobId: `G${p}`, type: k % 2 ? p : "text/html", size: 10, name, charset: p, disposition: p, cid: p }));
		if (i % 2) {
			e.bodyValues[2] = { value: `<p title="${p.replaceAll('"', "&quot;")}">${p}</p><img src="cid:${p.replaceAll('"', "")}">`, isEncodingProblem: false, isTruncated: i % 4 === 1 };
			e.htmlBody = [{ ...e.textBody[0], partId: "2", type: "text/html" }];
		}
		f.boxes.set(`FX${i}`, { id: `FX${i}`, name: p, role: null, parentId: null, sortOrder: 10, isSubscribed: true });
	});
	return [...f.emails.values()].filter((e) => (e.subject ?? "").startsWith("trap "));
}

/** Elements that only a payload can have made. */
const made = () => [...document.querySelectorAll("img[src=x], script:not([src]), iframe:not(.mail-frame), svg[onload], style, template, object, embed, base, a[ping], [onerror], [onload]")].map((e) => e.outerHTML.slice(0, 200));

for (const bypassCSP of [false, true]) {
	test(`hostile words everywhere are words (the page's policy ${bypassCSP ? "off" : "on"})`, { timeout: 280_000 }, async () => {
		const f = await serve(site.out, 60);
		const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, locale: "en-GB", bypassCSP, serviceWorkers: "block" });
		try {
			const list = payloads(bird.url);
			const traps = poison(f, list);
			assert.ok(traps.length >= list.length);
			await f.enter(context);
			const page = await context.newPage();
			const ran = [], faults = [];
			await page.exposeBinding("ran", (_s, what) => { ran.push(what); });
			await page.addInitScript(() => { for (const n of ["alert", "confirm", "prompt"]) window[n] = () => { top.ran(document.URL); }; });
			page.on("pageerror", (e) => faults.push(e.stack));
			page.on("dialog", (d) => { ran.push("dialog"); void d.dismiss(); });
			const words = list[0];
			await page.route("**/api/portal", (r) => r.fulfill({ json: { organisation: words, version: words, contacts: list.map((p) => ({ name: p, phone: p, mail: p, note: p })), words: { en: { welcome: words, outage: words, help: words } } } }));
			const clean = async (where) => {
				await page.waitForTimeout(120);
				assert.deepEqual(await page.evaluate(made), [], where);
				assert.equal(new URL(page.url()).origin, f.url, where);
				assert.deepEqual(ran, [], where);
			};
			await page.goto(f.url);
			await page.getByText("trap").first().waitFor();
			await clean("list");
			for (const [i, e] of traps.entries()) {
				await page.goto(`${f.url}/#/mail/F1/${encodeURIComponent(e.threadId)}`);
				await page.locator(i % 2 ? ".message-body .mail-frame, .message-body .plain-body" : ".message-body").first().waitFor();
				const all = page.locator(".message-to").first();
				if (await all.isVisible()) await all.click();
				for (const fold of await page.locator(".folded > summary").all()) await fold.click();
				await clean(`reading ${e.subject}`);
			}
			for (const e of traps.slice(0, list.length)) {
				for (const kind of ["replyall", "forward"]) {
					await page.goto(`${f.url}/#/write/${kind}/${e.id}`);
					await page.locator(".words").waitFor();
					await clean(`${kind} ${e.subject}`);
				}
			}
			await page.getByLabel("Formatted text").check();
			await page.locator(".tools").waitFor();
			await clean("formatted");
			await page.getByRole("combobox", { name: "To" }).fill("evil");
			await clean("completion");
			for (const where of ["#/search/trap", "#/help", "#/settings", "#/write/to/" + encodeURIComponent(list[0]), "#/mail/" + encodeURIComponent(list[1]), "#/" + encodeURIComponent(list[2]), "#/settings/" + encodeURIComponent(list[0])]) {
				await page.goto(`${f.url}/${where}`);
				await page.waitForTimeout(500);
				await clean(where);
			}
			await page.waitForTimeout(300);
			assert.deepEqual(bird.asked, []);
			assert.deepEqual(faults, []);
		} finally {
			await context.close();
			await f.stop();
		}
	});
}
