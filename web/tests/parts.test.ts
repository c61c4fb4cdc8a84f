/* Small pure parts: search language, snippets, addresses of pages, names, QR codes, texts, the JMAP client's requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { filterOf, pieces } from "../portal/mail/search";
import { clean, initials } from "../portal/mail/names";
import { parse, path } from "../portal/router";
import { correction, qr } from "../portal/settings/qr";
import { agentName } from "../portal/settings/agent";
import { Jmap, JmapError, pathOf } from "../common/jmap";
import { ApiError, OfflineError } from "../common/api";
import * as en from "../texts/en";
import * as de from "../texts/de";

test("what is typed becomes a filter", () => {
	const rows: [string, unknown][] = [
		["", null], ["  ", null], ["report", { text: "report" }], ["two words", { operator: "AND", conditions: [{ text: "two" }, { text: "words" }] }],
		['"two words"', { text: "two words" }], ['"open', { text: "open" }], ["from:bert", { from: "bert" }], ['from:"Bert Brandt"', { from: "Bert Brandt" }], ["von:bert", { from: "bert" }],
		["has:attachment", { hasAttachment: true }], ["ist:ungelesen", { notKeyword: "$seen" }], ["is:flagged", { hasKeyword: "$flagged" }], ["http://x", { text: "http://x" }], ["Re:", { text: "Re:" }],
		["is:nonsense", { text: "is:nonsense" }], ["after:nonsense", { text: "after:nonsense" }],
	];
	for (const [typed, want] of rows) assert.deepEqual(filterOf(typed), want, typed);
	assert.deepEqual(filterOf("x", "F1"), { operator: "AND", conditions: [{ text: "x" }, { inMailbox: "F1" }] });
	assert.deepEqual(filterOf("x", "", ["F5"]), { operator: "AND", conditions: [{ text: "x" }, { inMailboxOtherThan: ["F5"] }] });
	const when = filterOf("after:2026-11-20") as { after: string };
	assert.equal(new Date(when.after).getDate(), 20);
	assert.deepEqual(filterOf("nach:20.11.2026"), when);
	assert.ok((filterOf("a ".repeat(100)) as { conditions: unknown[] }).conditions.length <= 20);
});

test("snippets are text, whatever they hold", () => {
	assert.deepEqual(pieces("a &lt;b&gt; <mark>c &amp; d</mark>"), [{ text: "a <b> ", isHit: false }, { text: "c & d", isHit: true }]);
	assert.deepEqual(pieces("<img src=x onerror=alert(1)>"), [{ text: "<img src=x onerror=alert(1)>", isHit: false }]);
	assert.deepEqual(pieces("&amp;lt;"), [{ text: "&lt;", isHit: false }]);
});

test("addresses of pages go there and back", () => {
	for (const hash of ["#/mail/F12", "#/mail/F12/T3", "#/search/from%3Abert%20x%2Fy", "#/settings/apps", "#/help", "#/write/reply/M4", "#/mail/inbox"]) assert.equal(path(parse(hash)), hash);
	assert.deepEqual(parse(""), { page: "mail", box: "inbox", thread: "" });
	assert.deepEqual(parse("#/nothing/here"), { page: "none" });
	assert.deepEqual(parse("#/search/%E0%A4%A"), { page: "search", words: "", thread: "" });
});

test("names cannot turn or break what stands beside them", () => {
	assert.equal(clean("a\u202egnp.exe\r\n\u0000b"), "a gnp.exe b");
	assert.equal(initials("Bert Brandt"), "BB");
	assert.equal(initials("<img src=x>"), "IS");
	assert.equal(initials("…"), "?");
	assert.equal(initials("山田 太郎"), "山太");
});

test("QR: correction bytes and picture of a known code", () => {
	// ISO/IEC 18004 annex I: "01234567", version 1-M
	const data = Uint8Array.from([0x10, 0x20, 0x0c, 0x56, 0x61, 0x80, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11]);
	assert.deepEqual([...correction(data, 10)], [0xa5, 0x24, 0xd4, 0xc1, 0xed, 0x36, 0xc7, 0x87, 0x2c, 0x55]);
	for (const [n, side] of [[1, 21], [14, 21], [15, 25], [106, 41], [122, 45], [152, 49], [180, 53], [213, 57]] as const) {
		const m = qr("x".repeat(n))!;
		assert.equal(m.length, side);
		for (const [y, x] of [[0, 0], [0, side - 7], [side - 7, 0]] as const) { // the three finders
			assert.ok(m[y]![x] && m[y + 3]![x + 3] && m[y + 6]![x + 6]);
			assert.ok(!m[y + 1]![x + 1]);
		}
		assert.ok(m[side - 8]![8], "the dark module");
	}
	assert.equal(qr("x".repeat(214)), null);
});

test("programs people know by name", () => {
	assert.equal(agentName("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"), "Firefox, Linux");
	assert.equal(agentName("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Mobile Safari/537.36"), "Chrome, Android");
	assert.equal(agentName("curl/8\u202e.0"), "curl/8 .0");
});

test("every text is there in every language, and says something", () => {
	const leaves = (o: object, at = ""): [string, unknown][] => Object.entries(o).flatMap(([k, v]) => (v && typeof v === "object" ? leaves(v as object, `${at}.${k}`) : [[`${at}.${k}`, v] as [string, unknown]]));
	for (const app of Object.keys(en) as (keyof typeof en)[]) {
		const e = new Map(leaves(en[app])), d = new Map(leaves((de as typeof en)[app]));
		assert.deepEqual([...d.keys()].sort(), [...e.keys()].sort());
		for (const [k, v] of d) {
			assert.equal(typeof v, typeof e.get(k), k);
			if (typeof v === "string") assert.equal(v.trim() === "", (e.get(k) as string).trim() === "", k);
		}
	}
});

/* ---- the JMAP client ---- */

type Sent = { methodCalls: [string, Record<string, unknown>, string][] };
function client(answers: (sent: Sent) => unknown, status = 200) {
	const sent: Sent[] = [];
	const session = { username: "a", apiUrl: "https://elsewhere.example/jmap/api", state: "s", primaryAccounts: { "urn:ietf:params:jmap:mail": "A1" } };
	globalThis.fetch = (async (url: string, init?: { body?: string }) => {
		if (url === "/.well-known/jmap") return new Response(JSON.stringify(session));
		assert.equal(url, "/jmap/api", "never another host than the page's");
		const body = JSON.parse(init!.body!) as Sent;
		sent.push(body);
		const a = answers(body);
		if (a instanceof Error) throw a;
		return new Response(JSON.stringify(a), { status });
	}) as typeof fetch;
	return { jmap: new Jmap(), sent };
}

test("calls of one moment are one request, with references and the account", async () => {
	const { jmap, sent } = client((s) => ({ sessionState: "s", methodResponses: s.methodCalls.map(([n, , id]) => [n, { said: n }, id]) }));
	const q = jmap.call("Email/query", { filter: null });
	const g = jmap.call("Email/get", { "#ids": q.ref("/ids") });
	assert.deepEqual(await Promise.all([q, g]), [{ said: "Email/query" }, { said: "Email/get" }]);
	assert.equal(sent.length, 1);
	const [a, b] = sent[0]!.methodCalls;
	assert.equal(a![1].accountId, "A1");
	assert.deepEqual(b![1]["#ids"], { resultOf: a![2], name: "Email/query", path: "/ids" });
});

test("an error of one call is that call's", async () => {
	const { jmap } = client((s) => ({ sessionState: "s", methodResponses: [["Email/query", {}, s.methodCalls[0]![2]], ["error", { type: "invalidArguments", description: "why" }, s.methodCalls[1]![2]]] }));
	const [a, b] = await Promise.allSettled([jmap.call("Email/query", {}), jmap.call("Email/get", {})]);
	assert.equal(a!.status, "fulfilled");
	assert.ok(b!.status === "rejected" && b!.reason instanceof JmapError && b!.reason.type === "invalidArguments");
});

test("no connection, and a session that is over", async () => {
	const off = client(() => new TypeError("fetch failed"));
	const seen: boolean[] = [];
	off.jmap.onOnline = (on) => seen.push(on);
	await assert.rejects(off.jmap.call("Core/echo", {}), OfflineError);
	assert.deepEqual(seen, [false]);
	const out = client(() => ({ type: "login", title: "Please log in." }), 401);
	let ended = 0;
	out.jmap.onLoggedOut = () => ended++;
	await assert.rejects(out.jmap.call("Core/echo", {}), (e: unknown) => e instanceof ApiError && e.loggedOut);
	assert.equal(ended, 1);
});

test("URLs keep to the page's own host", () => assert.equal(pathOf("https://x.example:99/jmap/api?x"), "/jmap/api?x"));
