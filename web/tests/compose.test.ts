/* Writing, without a page: who an answer goes to, what goes to the server, and that nothing is sent twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OfflineError } from "../common/api";
import type { Args, FullEmail, Identity, Jmap } from "../common/jmap";
import { begin, emailOf, emptyDraft, forwardSubject, identityFor, isAddress, isBlank, parseList, recipients, reopened, replySubject, type QuoteTexts } from "../portal/compose/draft";
import { LocalDrafts } from "../portal/compose/local";
import { Outbox } from "../portal/compose/outbox";
import { People } from "../portal/compose/people";
import { Saver } from "../portal/compose/saver";

const t: QuoteTexts = { wrote: (d, n) => `On ${d}, ${n} wrote:`, forwardHead: "--- forwarded", forwardLines: (m) => [`From: ${m.from}`, `Subject: ${m.subject}`] };
const identity = (id: string, email: string, textSignature = ""): Identity => ({ id, name: "Anna", email, replyTo: null, bcc: null, textSignature, htmlSignature: "", mayDelete: false });
const mine = [identity("I1", "anna@example.com", "Anna\nOffice"), identity("I2", "office@example.com")];

function mail(part: Partial<FullEmail>): FullEmail {
	return { id: "M1", blobId: "G1", threadId: "T1", mailboxIds: {}, keywords: {}, size: 1, receivedAt: "2026-11-22T00:00:00Z", from: [{ name: "Bert", email: "bert@x.example" }],
		to: [{ name: null, email: "anna@example.com" }], cc: null, bcc: null, replyTo: null, sender: null, subject: "Hello", preview: "", hasAttachment: false, messageId: ["1@x"], inReplyTo: null,
		references: ["0@x"], sentAt: null, bodyValues: { 1: { value: "line\n> old\n\n-- \nBert", isEncodingProblem: false, isTruncated: false } },
		textBody: [{ partId: "1", blobId: "G1p1", size: 1, name: null, type: "text/plain", charset: "utf-8", disposition: null, cid: null }], htmlBody: [], attachments: [], ...part } as FullEmail;
}

function storage(): Storage {
	const m = new Map<string, string>();
	return { getItem: (k) => m.get(k) ?? null, setItem: (k, v) => void m.set(k, v), removeItem: (k) => void m.delete(k), key: (i) => [...m.keys()][i] ?? null, clear: () => m.clear(), get length() { return m.size; } };
}

test("subjects gather no marks", () => {
	assert.equal(replySubject("Re: AW: re[2]: Hello"), "Re: Hello");
	assert.equal(replySubject(null), "Re:");
	assert.equal(replySubject("Rest: x"), "Re: Rest: x");
	assert.equal(forwardSubject("Fwd: WG: Hello"), "Fwd: Hello");
	assert.equal(replySubject("a\u202Eb"), "Re: ab");
});

test("who an answer goes to", () => {
	const all = mail({ to: [{ name: null, email: "ANNA@example.com" }, { name: "C", email: "c@x.example" }], cc: [{ name: null, email: "d@x.example" }, { name: null, email: "bert@x.example" }] });
	const me = mine.map((i) => i.email);
	assert.deepEqual(recipients(all, false, me), { to: [{ name: "Bert", email: "bert@x.example" }], cc: [] });
	assert.deepEqual(recipients(all, true, me), { to: [{ name: "Bert", email: "bert@x.example" }], cc: [{ name: "C", email: "c@x.example" }, { name: null, email: "d@x.example" }] });
	assert.deepEqual(recipients(mail({ replyTo: [{ name: null, email: "list@x.example" }] }), false, me).to, [{ name: null, email: "list@x.example" }]);
	assert.deepEqual(recipients(mail({ from: [{ name: "Anna", email: "anna@example.com" }], to: [{ name: null, email: "z@x.example" }] }), false, me).to, [{ name: null, email: "z@x.example" }]);
	assert.equal(identityFor(mail({ to: [{ name: null, email: "Office@example.com" }] }), mine)?.id, "I2");
	assert.equal(identityFor(null, mine)?.id, "I1");
});

test("an answer begins with room, signature and quote; a forwarded message takes the files along", () => {
	const d = begin("reply", mail({}), mine, t, "today");
	assert.equal(d.text, "\n\n\n-- \nAnna\nOffice\n\nOn today, Bert wrote:\n> line\n>> old\n>\n".replace(">\n", "> \n"));
	assert.deepEqual(d.references, ["0@x", "1@x"]);
	assert.deepEqual(d.inReplyTo, ["1@x"]);
	assert.equal(d.sourceKeyword, "$answered");
	const f = begin("forward", mail({ attachments: [{ partId: "2", blobId: "G1p2", size: 9, name: "a.pdf", type: "application/pdf", charset: null, disposition: "attachment", cid: null }] }), mine, t, "today");
	assert.deepEqual(f.files, [{ blobId: "G1p2", name: "a.pdf", type: "application/pdf", size: 9, cid: null }]);
	assert.equal(f.inReplyTo, null);
	assert.equal(f.to.length, 0);
	assert.ok(f.text.includes("From: Bert <bert@x.example>"));
});

test("what goes to the server", () => {
	const d = { ...emptyDraft("new"), to: [{ name: "C", email: "c@x.example" }], subject: "s", text: "words", files: [{ blobId: "U1", name: "a", type: "", size: 1, cid: "p1" }] };
	const plain = emailOf(d, "F2", mine[0]) as Args & { attachments: Args[] };
	assert.deepEqual(plain.mailboxIds, { F2: true });
	assert.deepEqual(plain.from, [{ name: "Anna", email: "anna@example.com" }]);
	assert.ok(!("htmlBody" in plain) && !("cc" in plain));
	assert.deepEqual(plain.attachments, [{ blobId: "U1", type: "application/octet-stream", name: "a", disposition: "attachment" }]);
	const rich = emailOf({ ...d, isRich: true, html: '<img src="cid:p1">' }, "F2", mine[0]) as Args & { attachments: Args[] };
	assert.deepEqual(rich.attachments[0], { blobId: "U1", type: "application/octet-stream", name: "a", cid: "p1", disposition: "inline" });
	assert.deepEqual(rich.htmlBody, [{ partId: "h", type: "text/html" }]);
	assert.ok(isBlank({ ...emptyDraft("new"), html: "<div><br></div>", text: " \n" }));
	assert.ok(!isBlank(d));
	const back = reopened(mail({ from: [{ name: null, email: "office@example.com" }], bcc: [{ name: null, email: "b@x.example" }] }), mine);
	assert.equal(back.identityId, "I2");
	assert.equal(back.serverId, "M1");
	assert.equal(back.bcc[0]?.email, "b@x.example");
});

test("addresses as people type and paste them", () => {
	for (const good of ["a@b", "a.b+c@x.example", "ü@bücher.example", "o'neil@x.example"]) assert.ok(isAddress(good), good);
	for (const bad of ["", "a", "@b", "a@", "a b@x", "a@x..y", "a@-x.y", "a@x.y\n", "<a@x.y>", `${"a".repeat(65)}@x.y`, "a@x.y,b@x.y", "a@x.y>\r\nBcc: z@x.y"]) assert.ok(!isAddress(bad), bad);
	assert.deepEqual(parseList('"Lee, Ann" <ann@x.example>; Bob <bob@y.example>,\nc@z.example, nonsense'), {
		good: [{ name: "Lee, Ann", email: "ann@x.example" }, { name: "Bob", email: "bob@y.example" }, { name: null, email: "c@z.example" }], rest: "nonsense" });
	const began = Date.now();
	parseList('"'.repeat(50_000) + "<".repeat(50_000) + "\\".repeat(50_000));
	assert.ok(Date.now() - began < 3000);
});

test("the copy in the browser: per account, found by key and by the id on the server; a full or broken store breaks nothing", () => {
	const s = storage();
	const l = new LocalDrafts("a@x", s);
	assert.ok(l.put({ ...emptyDraft("reply.M1"), serverId: "M9", changedAt: 2 }));
	l.put({ ...emptyDraft("new"), changedAt: 5 });
	assert.equal(l.get("reply.M1")?.serverId, "M9");
	assert.equal(l.ofServer("M9")?.key, "reply.M1");
	assert.deepEqual(l.all().map((d) => d.key), ["new", "reply.M1"]);
	assert.equal(new LocalDrafts("b@x", s).all().length, 0);
	s.setItem("draft.a@x.broken", "{");
	assert.equal(l.all().length, 2);
	l.drop("new");
	assert.equal(l.get("new"), null);
	const full = new LocalDrafts("a@x", { ...s, setItem: () => { throw new Error("full"); } });
	assert.equal(full.put(emptyDraft("x")), false);
});

/* A server that keeps drafts and submissions, and can break at any call: before it did something, or after. */
function server() {
	const s = { drafts: new Map<string, Args>(), sent: [] as string[], calls: [] as string[], breaks: "" as "" | "before" | "after", at: "", refuses: "", n: 0 };
	const call = async (name: string, args: Args): Promise<unknown> => {
		s.calls.push(name);
		const isHit = s.at === name && s.breaks;
		if (isHit === "before") { s.breaks = ""; throw new OfflineError(); }
		const r = work(name, args);
		if (isHit === "after") { s.breaks = ""; throw new OfflineError(); }
		return r;
	};
	const work = (name: string, a: Args): unknown => {
		if (name === "Mailbox/get") return { list: [{ id: "F2", role: "drafts" }, { id: "F3", role: "sent" }] };
		if (name === "Email/get") return { list: (a.ids as string[]).filter((i) => s.drafts.has(i) || s.sent.includes(i)).map((id) => ({ id, keywords: s.sent.includes(id) ? {} : { $draft: true } })) };
		if (name === "Email/set") {
			const created: Args = {};
			for (const [k, e] of Object.entries((a.create ?? {}) as Args)) {
				const id = `M${++s.n}`;
				s.drafts.set(id, e as Args);
				created[k] = { id };
			}
			for (const id of (a.destroy ?? []) as string[]) s.drafts.delete(id);
			return { created, notCreated: {}, updated: {}, destroyed: a.destroy ?? [] };
		}
		const id = ((a.create as Args).s as Args).emailId as string;
		if (s.refuses) return { created: {}, notCreated: { s: { type: s.refuses } } };
		s.sent.push(id);
		s.drafts.delete(id);
		return { created: { s: { id: "S1" } }, notCreated: {} };
	};
	return { ...s, s, jmap: { call } as unknown as Pick<Jmap, "call"> };
}

test("saving: first the new copy, then the old one goes; never none, in the end one", async () => {
	const { s, jmap } = server();
	let d = { ...emptyDraft("new"), text: "one", changedAt: 1 };
	const saver = new Saver(jmap, () => d, () => mine[0], (id, at) => { d = { ...d, serverId: id, savedAt: at }; });
	await saver.save();
	d = { ...d, text: "two", changedAt: 2 };
	const both = saver.save();
	d = { ...d, text: "three", changedAt: 3 };
	await Promise.all([both, saver.save()]);
	assert.equal(s.drafts.size, 1);
	assert.equal(((([...s.drafts.values()][0] as Args).bodyValues as Args).t as Args).value, "three");
	s.at = "Email/set";
	s.breaks = "before";
	d = { ...d, text: "four", changedAt: 4 };
	await assert.rejects(saver.save(), OfflineError);
	assert.equal(s.drafts.size, 1);
	await saver.end();
	d = { ...d, changedAt: 9 };
	await saver.save();
	assert.equal(s.drafts.size, 1);
});

const passing = (box: Outbox) => new Promise<void>((resolve) => {
	box.wake();
	const look = () => (box.entries.value.length ? setTimeout(() => { box.wake(); look(); }, 5) : resolve());
	look();
});

test("sending at every break of the line: exactly once", async () => {
	for (const at of ["Email/set", "EmailSubmission/set", "Email/get", "Mailbox/get"])
		for (const breaks of ["before", "after"] as const) {
			const { s, jmap } = server();
			s.at = at;
			s.breaks = breaks;
			const done: string[] = [];
			const box = new Outbox(jmap, "outbox", storage());
			box.onSent = (e) => done.push(e.id);
			box.add({ ...emptyDraft("new"), text: at, to: [{ name: null, email: "c@x.example" }] }, mine[0]!, 0);
			await passing(box);
			assert.equal(s.sent.length, 1, `${at} ${breaks}`);
			assert.equal(done.length, 1, `${at} ${breaks}`);
		}
});

test("what waits is taken up by the page that comes after a reload", async () => {
	const store = storage();
	const { s, jmap } = server();
	new Outbox(jmap, "outbox", store).add({ ...emptyDraft("new"), text: "x" }, mine[0]!, 60_000);
	const later = new Outbox(jmap, "outbox", store, () => Date.now() + 120_000);
	assert.equal(later.entries.value.length, 1);
	await passing(later);
	assert.equal(s.sent.length, 1);
});

test("undo takes back what has not gone; a refusal ends it, and the draft is known", async () => {
	const { s, jmap } = server();
	const box = new Outbox(jmap, "outbox", storage());
	const e = box.add({ ...emptyDraft("new"), text: "x" }, mine[0]!, 60_000);
	assert.equal(box.undo(e.id)?.text, "x");
	assert.equal(box.undo(e.id), null);
	s.refuses = "forbiddenFrom";
	let why = "", draft = "";
	box.onRefused = (x, w) => { why = w.type; draft = x.draft.serverId ?? ""; };
	box.add({ ...emptyDraft("new"), text: "y" }, mine[0]!, 0);
	await passing(box);
	assert.equal(why, "forbiddenFrom");
	assert.ok(s.drafts.has(draft));
	assert.equal(s.sent.length, 0);
});

test("completion: beginnings first, those written to before those seen, no machines", () => {
	const p = new People("people", storage());
	p.saw([{ name: "Clara Nguyen", email: "c.nguyen@x.example" }, { name: null, email: "no-reply@shop.example" }, { name: "Nora Clark", email: "nora@y.example" }], 1);
	p.saw([{ name: "Nora Clark", email: "nora@y.example" }], 5);
	assert.deepEqual(p.find("cla", []).map((a) => a.email), ["c.nguyen@x.example", "nora@y.example"]);
	assert.deepEqual(p.find("n", []).map((a) => a.email), ["nora@y.example", "c.nguyen@x.example"]);
	assert.deepEqual(p.find("shop", []), []);
	assert.deepEqual(p.find("cla", ["c.nguyen@x.example"]).map((a) => a.email), ["nora@y.example"]);
});
