/* Cache, synchronisation and actions of the portal against the small server in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fake, run } from "../dev/fake.mjs";
import { ApiError, OfflineError } from "../common/api";
import { Actions } from "../portal/mail/actions";
import { Mail, sortedBoxes } from "../portal/mail/sync";
import type { Jmap, Mailbox } from "../common/jmap";

type Fake = ReturnType<typeof fake>;

/** Jmap.call over the fake: calls of one moment are one request, as in common/jmap.ts. */
class Wire {
	requests: string[][] = [];
	fails: (() => unknown)[] = []; // what the next requests throw
	private queue: { name: string; args: Record<string, unknown>; id: string; resolve: (v: unknown) => void; reject: (e: unknown) => void }[] = [];
	private n = 0;
	constructor(readonly f: Fake) {}
	call = ((name: string, args: Record<string, unknown>) => {
		const id = `c${this.n++}`;
		const p = new Promise((resolve, reject) => {
			this.queue.push({ name, args, id, resolve, reject });
			if (this.queue.length === 1) queueMicrotask(() => queueMicrotask(() => this.flush()));
		});
		return Object.assign(p, { ref: (path: string) => ({ resultOf: id, name, path }) });
	}) as unknown as Jmap["call"];
	private flush(): void {
		const calls = this.queue;
		this.queue = [];
		this.requests.push(calls.map((c) => c.name));
		const fail = this.fails.shift();
		if (fail) return calls.forEach((c) => c.reject(fail()));
		const out = run(this.f, structuredClone(calls.map((c) => [c.name, c.args, c.id]))) as [string, unknown, string][];
		calls.forEach((c, i) => c.resolve(structuredClone(out[i]![1])));
	}
}

function office(messages = 200) {
	const f = fake({ messages });
	const wire = new Wire(f);
	let kept = "";
	const mail = new Mail(wire as unknown as Jmap, { get: () => kept, set: (id) => { kept = id; } });
	const actions = new Actions(mail, () => Promise.resolve());
	return { f, wire, mail, actions };
}

const settled = async () => { for (let i = 0; i < 50; i++) await new Promise((r) => setImmediate(r)); };
/** Places in the list whose conversation is one message. */
const alone = (mail: Mail) => { const l = mail.boxList("F1"); return l.ids.map((id, i) => [id, i] as const).filter(([id]) => id && mail.cache.conversation(mail.cache.email(id)!.threadId).length === 1).map(([, i]) => i); };
const inbox = (f: Fake) => [...f.emails.values()].filter((e) => e.mailboxIds.F1);

test("folders and the first list are one request once the inbox is known, two before", async () => {
	const { wire, mail } = office();
	await mail.start("inbox");
	assert.equal(wire.requests.length, 2);
	const again = new Mail(wire as unknown as Jmap, { get: () => "F1", set: () => {} });
	wire.requests = [];
	await again.start("inbox");
	await settled();
	assert.deepEqual(wire.requests, [["Mailbox/get", "Email/query", "Email/get", "Thread/get", "Email/get"]]);
	const l = again.boxList("F1");
	assert.ok(l.total! > 100);
	assert.equal(l.ids.filter(Boolean).length, 30);
	assert.equal(again.cache.email(l.ids[0]!)!.mailboxIds.F1, true);
});

test("what is scrolled to is asked for, a page at a time, once", async () => {
	const { wire, mail } = office(400);
	await mail.start("F1");
	const l = mail.boxList("F1");
	await settled();
	wire.requests = [];
	mail.show(l, 145, 160);
	mail.show(l, 145, 161);
	await settled();
	assert.equal(wire.requests.length, 1, "two pages travel together"); // both were asked for in one moment
	assert.equal(wire.requests[0]!.filter((n) => n === "Email/query").length, 2);
	for (let i = 145; i <= 161; i++) assert.ok(l.ids[i], `row ${i}`);
	mail.show(l, 145, 161);
	await settled();
	assert.equal(wire.requests.length, 1);
});

test("a change shows at once, is sent once, and counts follow", async () => {
	const { f, wire, mail, actions } = office();
	await mail.start("F1");
	await settled();
	const e = inbox(f).find((x) => !x.keywords.$seen)!;
	const before = mail.cache.box("F1")!.unreadEmails;
	actions.setKeyword([mail.cache.email(e.id)!], "$seen", true);
	assert.equal(mail.cache.email(e.id)!.keywords.$seen, true);
	assert.equal(mail.cache.box("F1")!.unreadEmails, before - 1);
	assert.equal(f.emails.get(e.id).keywords.$seen, undefined, "not yet at the server");
	wire.requests = [];
	await settled();
	assert.equal(f.emails.get(e.id).keywords.$seen, true);
	assert.deepEqual(wire.requests, [["Email/set", "Mailbox/get"]]);
	assert.equal(mail.cache.waiting, 0);
	assert.equal(mail.cache.box("F1")!.unreadEmails, before - 1);
});

test("what is archived leaves the list; undo brings it back to its place", async () => {
	const { f, mail, actions } = office();
	await mail.start("F1");
	await settled();
	const l = mail.boxList("F1");
	const at = alone(mail)[2]!, id = l.ids[at]!, total = l.total!;
	const done = actions.move([mail.cache.email(id)!], "F1", "F4");
	assert.equal(l.ids.includes(id), false);
	assert.equal(l.total, total - 1);
	await settled();
	assert.deepEqual(f.emails.get(id).mailboxIds, { F4: true });
	done.undo();
	assert.equal(l.ids[at], id);
	assert.equal(l.total, total);
	await settled();
	assert.deepEqual(f.emails.get(id).mailboxIds, { F1: true });
});

test("undo before anything was sent sends nothing", async () => {
	const { f, wire, mail, actions } = office();
	await mail.start("F1");
	await settled();
	wire.fails = Array.from({ length: 3 }, () => () => new OfflineError());
	const l = mail.boxList("F1");
	const [a, b] = [l.ids[0]!, l.ids[1]!];
	actions.setKeyword([mail.cache.email(a)!], "$flagged", true); // stands in the way
	const done = actions.move([mail.cache.email(b)!], "F1", "F5");
	done.undo();
	assert.equal(l.ids[1], b);
	await settled();
	assert.deepEqual(f.emails.get(b).mailboxIds, { F1: true });
	assert.equal(f.emails.get(a).keywords.$flagged, true);
});

test("without a connection changes wait, in order, and are done when it is back", async () => {
	const { f, wire, mail, actions } = office();
	await mail.start("F1");
	await settled();
	wire.fails = Array.from({ length: 20 }, () => () => new OfflineError());
	const l = mail.boxList("F1");
	const id = l.ids[0]!;
	actions.setKeyword([mail.cache.email(id)!], "$flagged", true);
	actions.move([mail.cache.email(id)!], "F1", "F7");
	assert.equal(actions.waiting.value, 2);
	await settled();
	assert.equal(actions.waiting.value, 0);
	assert.deepEqual(f.emails.get(id).mailboxIds, { F7: true });
	assert.equal(f.emails.get(id).keywords.$flagged, true);
});

test("a session that ended keeps what was done, too", async () => {
	const { f, wire, mail, actions } = office();
	await mail.start("F1");
	await settled();
	wire.fails = Array.from({ length: 12 }, () => () => new ApiError(401, "login", "Please log in."));
	const id = mail.boxList("F1").ids[0]!;
	actions.setKeyword([mail.cache.email(id)!], "$flagged", true);
	await settled();
	assert.equal(f.emails.get(id).keywords.$flagged, true);
});

test("what is refused is taken back and said; the rest of the same order stays", async () => {
	const { f, mail, actions } = office();
	await mail.start("F1");
	await settled();
	const said: [string, number][] = [];
	actions.onRefused = (why, n) => said.push([(why as { type: string }).type, n]);
	const l = mail.boxList("F1");
	const [i, k] = alone(mail).filter((x, n, all) => all[n + 1] === x + 1 || all[n - 1] === x - 1) as [number, number], before = [...l.ids];
	const [a, b] = [l.ids[i]!, l.ids[k]!];
	assert.equal(k, i + 1);
	f.refuse = 1;
	actions.move([mail.cache.email(a)!, mail.cache.email(b)!], "F1", "F5");
	assert.equal(l.ids[i], before[i + 2]);
	await settled();
	assert.deepEqual(said, [["forbidden", 1]]);
	assert.equal(l.ids[i], a, "back where it was");
	assert.equal(l.ids[k], before[i + 2]);
	assert.deepEqual(mail.cache.email(a)!.mailboxIds, { F1: true });
	assert.equal(mail.cache.waiting, 0);
});

test("a server that says no to all of it is believed", async () => {
	const { wire, mail, actions } = office();
	await mail.start("F1");
	await settled();
	const said: number[] = [];
	actions.onRefused = (_, n) => said.push(n);
	wire.fails = [() => new ApiError(403, "token", "no")];
	const l = mail.boxList("F1"), id = l.ids[0]!, unread = mail.cache.box("F1")!.unreadEmails;
	actions.move([mail.cache.email(id)!], "F1", "F4");
	await settled();
	assert.deepEqual(said, [1]);
	assert.equal(l.ids[0], id);
	assert.equal(mail.cache.box("F1")!.unreadEmails, unread);
});

test("new mail comes to the top, and is announced", async () => {
	const { f, mail } = office();
	await mail.start("F1");
	await settled();
	const l = mail.boxList("F1");
	mail.show(l, 0, 10);
	const names: string[] = [];
	mail.onArrived = (e) => names.push(...e.map((x) => x.subject ?? ""));
	const id = deliver(f, "Just in");
	mail.pushed({ Email: String(f.state), Mailbox: String(f.state) });
	await settled();
	assert.equal(l.ids[0], id);
	assert.deepEqual(names, ["Just in"]);
	names.length = 0;
	mail.pushed({ Email: String(f.state) });
	await settled();
	assert.deepEqual(names, []);
});

test("what another program changed or deleted is seen", async () => {
	const { f, mail } = office();
	await mail.start("F1");
	await settled();
	const l = mail.boxList("F1"), [a, b] = [l.ids[0]!, l.ids[1]!];
	mail.show(l, 0, 10);
	run(f, [["Email/set", { update: { [a]: { "keywords/$flagged": true } }, destroy: [b] }, "x"]]);
	mail.pushed({ Email: String(f.state) });
	await settled();
	assert.equal(mail.cache.email(a)!.keywords.$flagged, true);
	assert.equal(mail.cache.email(b), undefined);
	assert.equal(l.ids.includes(b), false);
});

test("a push while a change is under way does not show the old state", async () => {
	const { f, wire, mail, actions } = office();
	await mail.start("F1");
	await settled();
	const l = mail.boxList("F1"), id = l.ids[alone(mail)[0]!]!;
	mail.show(l, 0, 10);
	wire.fails = [() => new OfflineError()];
	actions.move([mail.cache.email(id)!], "F1", "F4");
	deliver(f, "meanwhile");
	void mail.refresh().catch(() => {});
	for (let i = 0; i < 3; i++) await new Promise((r) => setImmediate(r));
	assert.equal(l.ids.includes(id), false);
	await settled();
	assert.equal(l.ids.includes(id), false);
	assert.deepEqual(f.emails.get(id).mailboxIds, { F4: true });
});

test("a conversation is read with its bodies in one request, then from memory", async () => {
	const { wire, mail } = office();
	await mail.start("F1");
	await settled();
	const e = mail.cache.email(mail.boxList("F1").ids.find((id) => (mail.cache.threads.get(mail.cache.email(id!)!.threadId) ?? []).length > 1)!)!;
	wire.requests = [];
	await mail.read(e.threadId);
	await mail.read(e.threadId);
	assert.deepEqual(wire.requests, [["Thread/get", "Email/get"]]);
	const all = mail.cache.conversation(e.threadId);
	assert.ok(all.length > 1);
	for (const m of all) assert.ok(mail.full.get(m.id)!.bodyValues["1"]!.value);
	for (let i = 1; i < all.length; i++) assert.ok(all[i - 1]!.receivedAt <= all[i]!.receivedAt);
});

test("search asks outside of trash and junk, with snippets", async () => {
	const { f, mail } = office();
	await mail.start("F1");
	await settled();
	const l = mail.searchList("invoice");
	await mail.load(l, 0, 50);
	assert.ok(l.total! > 0);
	for (const id of l.ids) assert.match(f.emails.get(id).subject + f.emails.get(id).bodyValues[1].value, /invoice/i);
	assert.match(mail.snippets.get(l.ids[0]!)!.subject!, /<mark>/);
});

test("folders: known ones first, each below its parent", () => {
	const box = (id: string, name: string, role: string | null, parentId: string | null = null) => ({ id, name, role, parentId, sortOrder: 0 } as Mailbox);
	const order = sortedBoxes([box("7", "Zebra", null), box("8", "Moon", null, "9"), box("9", "Ant", null), box("5", "Trash", "trash"), box("1", "INBOX", "inbox"), box("4", "Orphan", null, "77")]);
	assert.deepEqual(order.map((b) => b.name), ["INBOX", "Trash", "Ant", "Moon", "Orphan", "Zebra"]);
});

function deliver(f: Fake, subject: string): string {
	run(f, [["Email/set", { create: { a: { mailboxIds: { F1: true }, from: [{ name: "C", email: "c@x" }], to: [], subject, bodyValues: { 1: { value: "hello" } } } } }, "x"]]);
	const id = [...f.emails.keys()].pop()!;
	delete f.emails.get(id).keywords.$seen;
	return id;
}
