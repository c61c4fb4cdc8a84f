// A server in memory to work on the pages without Holdfast: node dev/fake.mjs OUT [PORT] [MESSAGES]. For development only.
//
// Serves OUT/portal with the headers of the real one, a subset of /api and of JMAP. anna@example.com / anna; invitation code
// "WELCOME"; bert@example.com / bert has a second factor: 123456, recovery code "again". POST /dev/now {...} sets the banner,
// POST /dev/deliver {subject} lets a message come in, POST /dev/refuse {n} refuses the next n changes.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-src 'self' blob:; " +
	"manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const FRAME_CSP = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; " +
	"sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".webmanifest": "application/manifest+json", ".json": "application/json" };

export function fake({ out = "", messages = 10_000 } = {}) {
	const f = { state: 1, accounts: structuredClone(ACCOUNTS), boxes: new Map(), emails: new Map(), threads: new Map(), log: [], refuse: 0, streams: new Set(), uploads: new Map(), requests: 0,
		now: { site: "head-office", state: "down", since: new Date(Date.now() - 100 * 60_000).toISOString(), class: "refused", continuity: "on", held: 412,
			handback: null, mode: "backup-mx", sends: "direct" } };
	const roles = [["F1", "INBOX", "inbox"], ["F2", "Drafts", "drafts"], ["F3", "Sent", "sent"], ["F4", "Archive", "archive"], ["F5", "Trash", "trash"],
		["F6", "Junk", "junk"], ["F7", "Projects", null], ["F8", "Moon", null, "F7"]];
	for (const [id, name, role, parentId = null] of roles) f.boxes.set(id, { id, name, role, parentId, sortOrder: 10, isSubscribed: true });
	fill(f, messages);
	f.server = http.createServer((q, r) => void answer(f, out, q, r).catch((e) => send(r, 500, { type: "fault", title: String(e) })));
	return f;
}

const PEOPLE = [["Bert Brandt", "bert@example.com"], ["Clara Nguyen", "clara.nguyen@example.org"], ["Förderverein Nord e. V.", "post@foerderverein.example"],
	["Dr. Emilia Østergård", "emilia@clinic.example"], ["Printer 3rd floor", "printer@example.com"], ["", "no-reply@shop.example"], ["Omar Haddad", "omar@example.net"],
	["<img src=x onerror=alert(1)>", "mallory@evil.example"], ["Grace Hopper", "grace@navy.example"], ["山田 太郎", "yamada@example.jp"]];
const SUBJECTS = ["Minutes of Monday's meeting", "Angebot für die neuen Räume", "Invoice 2041", "Re: Schedule for next week", "Lunch on Friday?",
	"Delivery of the spare parts, and what remains to be decided before the end of the month", "<b>Bold</b> & <script>alert(1)</script>", "Urlaubsplanung", "", "Test results"];
const WORDS = ("the quick report is attached please have a look and tell me what you think we could meet on Thursday in the large room " +
	"or later if that suits you better kind regards from all of us here").split(" ");

function fill(f, n) {
	const start = Date.now() - 3 * 60_000;
	for (let i = n - 1; i >= 0; i--) {
		const [name, email] = PEOPLE[(i * 7) % PEOPLE.length];
		const inThread = i % 9 === 4 ? 3 : i % 9 === 5 ? 2 : 1;
		const thread = `T${i}`;
		for (let k = 0; k < inThread; k++) {
			const mine = k === 1;
			add(f, { threadId: thread, box: mine ? "F3" : i % 41 === 0 ? "F7" : "F1", at: start - i * 17 * 60_000 - (inThread - 1 - k) * 240_000, seen: mine || i > 12 || i % 3 === 1,
				flagged: i % 23 === 3, from: mine ? [["Anna Ahrens", "anna@example.com"]] : [[name, email]], to: mine ? [[name, email]] : [["Anna Ahrens", "anna@example.com"], ["Bert Brandt", "bert@example.com"]],
				subject: (k ? "Re: " : "") + SUBJECTS[i % SUBJECTS.length], text: text(i), attach: i % 6 === 2 });
		}
	}
	add(f, { box: "F2", draft: true, seen: true, at: start, from: [["Anna Ahrens", "anna@example.com"]], to: [["", "clara.nguyen@example.org"]], subject: "Draft about the rooms", text: "Dear Clara,\n\n" });
}

const text = (i) => Array.from({ length: 3 + (i % 4) }, (_, p) => Array.from({ length: 20 + ((i * p) % 30) }, (_, w) => WORDS[(i * 3 + p * 5 + w) % WORDS.length]).join(" ") + ".").join("\n\n") +
	(i % 5 === 0 ? "\n\nhttps://example.org/a/page?with=query\n\n> quoted before\n> second line\n\n-- \nsignature\n" : "\n");

let count = 0;
function add(f, o) {
	const id = `M${++count}`;
	const people = (l) => (l ?? []).map(([name, email]) => ({ name: name || null, email }));
	const e = { id, blobId: `G${count}`, threadId: o.threadId ?? `T${id}`, mailboxIds: { [o.box]: true }, keywords: {}, size: o.text.length + 600, receivedAt: new Date(o.at).toISOString(),
		sentAt: new Date(o.at).toISOString(), from: people(o.from), to: people(o.to), cc: null, bcc: null, replyTo: null, sender: null, subject: o.subject || null, preview: o.text.slice(0, 200).replace(/\s+/g, " "),
		hasAttachment: !!o.attach, messageId: [`${id}@example`], inReplyTo: null, references: null, bodyValues: { 1: { value: o.text, isEncodingProblem: false, isTruncated: false } },
		textBody: [{ partId: "1", blobId: `G${count}p1`, type: "text/plain", size: o.text.length, name: null, charset: "utf-8", disposition: null, cid: null }], htmlBody: [], attachments: [],
		"header:Authentication-Results:asText": `mx2.example.net; spf=${count % 4 ? "pass" : "softfail"} smtp.mailfrom=example.org; dkim=pass; dmarc=${count % 4 ? "pass" : "fail"}` };
	e.htmlBody = e.textBody;
	if (o.html) {
		e.bodyValues[2] = { value: o.html, isEncodingProblem: false, isTruncated: false };
		e.htmlBody = [{ ...e.textBody[0], partId: "2", type: "text/html" }];
	}
	if (o.attach) e.attachments = [{ partId: "9", blobId: `G${count}p9`, type: "application/pdf", size: 184_211, name: "report with a rather long name 2026.pdf", charset: null, disposition: "attachment", cid: null }];
	if (o.seen) e.keywords.$seen = true;
	if (o.flagged) e.keywords.$flagged = true;
	if (o.draft) e.keywords.$draft = true;
	f.emails.set(id, e);
	if (!f.threads.has(e.threadId)) f.threads.set(e.threadId, []);
	f.threads.get(e.threadId).push(id);
	f.log.push([++f.state, id, "created"]);
	return e;
}

function counts(f) {
	const c = new Map([...f.boxes.keys()].map((k) => [k, [0, 0, new Set(), new Set()]]));
	for (const e of f.emails.values())
		for (const b of Object.keys(e.mailboxIds)) {
			const x = c.get(b);
			x[0]++;
			x[2].add(e.threadId);
			if (!e.keywords.$seen) x[1]++, x[3].add(e.threadId);
		}
	return c;
}

const holds = (s, w) => (s ?? "").toLowerCase().includes(w.toLowerCase());
const who = (l) => (l ?? []).map((a) => `${a.name ?? ""} ${a.email}`).join(" ");
function matches(e, q) {
	if (!q) return true;
	if (q.operator) {
		const r = q.conditions.map((c) => matches(e, c));
		return q.operator === "AND" ? r.every(Boolean) : q.operator === "OR" ? r.some(Boolean) : !r.some(Boolean);
	}
	return Object.entries(q).every(([k, v]) => ({
		inMailbox: () => e.mailboxIds[v], inMailboxOtherThan: () => Object.keys(e.mailboxIds).some((b) => !v.includes(b)), hasKeyword: () => e.keywords[v], notKeyword: () => !e.keywords[v],
		text: () => holds(`${e.subject} ${who(e.from)} ${who(e.to)} ${e.bodyValues[1].value}`, v), from: () => holds(who(e.from), v), to: () => holds(who(e.to), v), subject: () => holds(e.subject, v),
		body: () => holds(e.bodyValues[1].value, v), hasAttachment: () => e.hasAttachment === v, before: () => e.receivedAt < v, after: () => e.receivedAt >= v }[k] ?? (() => true))());
}

const methods = {
	"Core/echo": (_, a) => a,
	"Mailbox/get": (f) => {
		const c = counts(f);
		return { state: `${f.state}`, notFound: [], list: [...f.boxes.values()].map((b) => ({ ...b, totalEmails: c.get(b.id)[0], unreadEmails: c.get(b.id)[1], totalThreads: c.get(b.id)[2].size,
			unreadThreads: c.get(b.id)[3].size, myRights: { mayReadItems: true, mayAddItems: true, mayRemoveItems: true, mayDelete: !b.role, mayRename: !b.role, maySetSeen: true, maySetKeywords: true, mayCreateChild: true, maySubmit: true } })) };
	},
	"Email/query": (f, a) => {
		let all = [...f.emails.values()].filter((e) => matches(e, a.filter)).sort((x, y) => (x.receivedAt < y.receivedAt ? 1 : -1));
		if (a.collapseThreads) {
			const seen = new Set();
			all = all.filter((e) => !seen.has(e.threadId) && seen.add(e.threadId));
		}
		const position = a.position ?? 0;
		return { queryState: `${f.state}`, canCalculateChanges: false, position, ids: all.slice(position, position + (a.limit ?? 100)).map((e) => e.id), total: all.length };
	},
	"Email/get": (f, a) => {
		const list = [], notFound = [];
		for (const id of a.ids) f.emails.has(id) ? list.push(a.properties ? Object.fromEntries(["id", ...a.properties].map((p) => [p, f.emails.get(id)[p] ?? null])) : f.emails.get(id)) : notFound.push(id);
		return { state: `${f.state}`, list, notFound };
	},
	"Thread/get": (f, a) => ({ state: `${f.state}`, list: [...new Set(a.ids)].filter((t) => f.threads.has(t)).map((id) => ({ id, emailIds: f.threads.get(id).filter((e) => f.emails.has(e)) })), notFound: [] }),
	"Email/changes": (f, a) => {
		const now = new Map();
		for (const [n, id, how] of f.log) if (n > +a.sinceState) now.set(id, how);
		const of = (h) => [...now].filter(([, how]) => how === h).map(([id]) => id);
		return { oldState: a.sinceState, newState: `${f.state}`, hasMoreChanges: false, created: of("created"), updated: of("updated"), destroyed: of("destroyed") };
	},
	"SearchSnippet/get": (f, a) => {
		const words = JSON.stringify(a.filter).match(/"(?:text|subject|body)":"([^"]+)"/g)?.map((x) => x.split('":"')[1].slice(0, -1)) ?? [];
		const esc = (s) => s.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
		const mark = (s) => words.reduce((m, w) => m.replace(new RegExp(esc(w).replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi"), "<mark>$&</mark>"), esc(s));
		return { notFound: [], list: a.emailIds.map((id) => f.emails.get(id)).map((e) => ({ emailId: e.id, subject: e.subject ? mark(e.subject) : null, preview: mark(e.bodyValues[1].value.slice(0, 200)) })) };
	},
	"Identity/get": (f) => ({ state: "1", notFound: [], list: f.identities ??= [{ id: "I1", name: "Anna Ahrens", email: "anna@example.com", replyTo: null, bcc: null, textSignature: "Anna Ahrens\nHead office", htmlSignature: "", mayDelete: false },
		{ id: "I2", name: "Anna Ahrens", email: "office@example.com", replyTo: null, bcc: null, textSignature: "", htmlSignature: "", mayDelete: false }] }),
	"Identity/set": (f, a) => {
		for (const [id, p] of Object.entries(a.update ?? {})) Object.assign(methods["Identity/get"](f).list.find((i) => i.id === id), p);
		return { oldState: "1", newState: "2", updated: Object.fromEntries(Object.keys(a.update ?? {}).map((k) => [k, null])), created: null, destroyed: null, notUpdated: null, notCreated: null, notDestroyed: null };
	},
	"Mailbox/set": (f, a) => {
		const r = { oldState: "", created: {}, updated: {}, destroyed: [], notCreated: {}, notUpdated: {}, notDestroyed: {} };
		const taken = (b) => [...f.boxes.values()].some((x) => x.id !== b.id && x.name === b.name && x.parentId === b.parentId);
		for (const [k, b] of Object.entries(a.create ?? {})) {
			const box = { id: `F${100 + ++count}`, role: null, parentId: null, sortOrder: 10, isSubscribed: true, ...b };
			if (taken(box)) r.notCreated[k] = { type: "invalidProperties", properties: ["name"] };
			else f.boxes.set(box.id, box), (r.created[k] = { id: box.id });
		}
		for (const [id, p] of Object.entries(a.update ?? {})) {
			const box = { ...f.boxes.get(id), ...p };
			if (taken(box)) r.notUpdated[id] = { type: "invalidProperties", properties: ["name"] };
			else f.boxes.set(id, box), (r.updated[id] = null);
		}
		for (const id of a.destroy ?? []) {
			const mail = [...f.emails.values()].filter((e) => e.mailboxIds[id]);
			if ([...f.boxes.values()].some((b) => b.parentId === id && !a.destroy.includes(b.id))) r.notDestroyed[id] = { type: "mailboxHasChild" };
			else if (mail.length && !a.onDestroyRemoveEmails) r.notDestroyed[id] = { type: "mailboxHasEmail" };
			else {
				if (mail.length) methods["Email/set"](f, { destroy: mail.map((e) => e.id) });
				f.boxes.delete(id);
				r.destroyed.push(id);
			}
		}
		return { ...r, newState: `${++f.state}` };
	},
	"Email/set": (f, a) => {
		const r = { oldState: `${f.state}`, created: {}, updated: {}, destroyed: [], notCreated: {}, notUpdated: {}, notDestroyed: {} };
		for (const [k, e] of Object.entries(a.create ?? {})) {
			const made = add(f, { box: Object.keys(e.mailboxIds)[0], at: Date.now(), from: (e.from ?? []).map((x) => [x.name, x.email]), to: (e.to ?? []).map((x) => [x.name, x.email]), subject: e.subject,
				text: Object.values(e.bodyValues ?? {})[0]?.value ?? "", draft: e.keywords?.$draft, seen: true });
			r.created[k] = { id: made.id, blobId: made.blobId, threadId: made.threadId, size: made.size };
		}
		for (const [id, patch] of Object.entries(a.update ?? {})) {
			const e = f.emails.get(id);
			if (!e || f.refuse > 0) {
				r.notUpdated[id] = { type: e ? "forbidden" : "notFound" };
				if (f.refuse > 0) f.refuse--;
				continue;
			}
			for (const [k, v] of Object.entries(patch)) {
				const [prop, key] = k.split("/");
				if (!key) e[prop] = v;
				else if (v === null) delete e[prop][key];
				else e[prop][key] = v;
			}
			r.updated[id] = null;
			f.log.push([++f.state, id, "updated"]);
		}
		for (const id of a.destroy ?? []) {
			f.threads.get(f.emails.get(id)?.threadId)?.splice(f.threads.get(f.emails.get(id).threadId).indexOf(id), 1);
			f.emails.delete(id);
			r.destroyed.push(id);
			f.log.push([++f.state, id, "destroyed"]);
		}
		r.newState = `${f.state}`;
		tell(f);
		return r;
	},
	"EmailSubmission/set": (f, a) => {
		const created = {};
		for (const k of Object.keys(a.create ?? {})) created[k] = { id: `S${++count}` };
		for (const [k, patch] of Object.entries(a.onSuccessUpdateEmail ?? {})) {
			const id = a.create[k.replace(/^#/, "")]?.emailId;
			if (id) methods["Email/set"](f, { update: { [id]: patch } });
		}
		return { oldState: "0", newState: "1", created, updated: {}, destroyed: [], notCreated: {}, notUpdated: {}, notDestroyed: {} };
	},
};

function pointer(value, at) {
	for (const [i, step] of at.split("/").slice(1).entries()) {
		if (step === "*") return value.flatMap((v) => pointer(v, "/" + at.split("/").slice(i + 2).join("/")));
		value = value[step];
	}
	return value;
}

export function run(f, calls) {
	const done = [];
	for (const [name, given, id] of calls) {
		const args = {};
		for (const [k, v] of Object.entries(given)) {
			if (!k.startsWith("#")) args[k] = v;
			else args[k.slice(1)] = pointer(done.find((d) => d[2] === v.resultOf && d[0] === v.name)[1], v.path);
		}
		const m = methods[name];
		done.push(m ? [name, { accountId: "A1", ...m(f, args) }, id] : ["error", { type: "unknownMethod", description: name }, id]);
	}
	return done;
}

function tell(f, event = "state", data = { "@type": "StateChange", changed: { A1: { Email: `${f.state}`, Mailbox: `${f.state}`, Thread: `${f.state}` } } }) {
	for (const s of f.streams) s.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function send(r, status, body, headers = {}) {
	const text = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
	r.writeHead(status, { "Content-Type": "application/json", "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", ...headers });
	r.end(text);
}

async function bodyOf(q) {
	const parts = [];
	for await (const p of q) parts.push(p);
	return Buffer.concat(parts);
}

const ACCOUNTS = { "anna@example.com": { password: "anna", person: "Anna Ahrens" }, "bert@example.com": { password: "bert", person: "Bert Brandt", factor: "123456" } };
let half = null;

async function api(f, q, r, url) {
	const body = q.method === "POST" ? JSON.parse((await bodyOf(q)).toString() || "{}") : {};
	const cookie = () => ((f.ended = false), { "Set-Cookie": `who=${encodeURIComponent(f.who)}; HttpOnly; SameSite=Strict; Path=/` });
	const me = () => f.who && { account: f.who, person: f.accounts[f.who].person, send_as: [f.who, "office@example.com"], token: "t".repeat(22), until: Math.floor(Date.now() / 1000) + 28_800, has_factor: !!f.accounts[f.who].factor, is_admin: false, inbox: "F1" };
	switch (url.pathname) {
	case "/api/portal":
		return send(r, 200, { organisation: "Example & Sons", version: "dev", outage: f.now.state === "down" ? "down" : f.now.continuity === "on" ? "continuity" : "none", contacts: [{ name: "IT help desk", phone: "+49 30 1234567", mail: "help@example.org", note: "Mon-Fri 7-19 h" }],
			words: { en: { welcome: "This is our replacement mail. It works while the usual server does not." }, de: { welcome: "Das ist unsere Ersatz-Mail. Sie geht, solange der gewohnte Server nicht geht." } } });
	case "/api/now":
		return send(r, 200, f.now);
	case "/api/login": {
		const a = f.accounts[body.account];
		if (!a || a.password !== body.password) return send(r, 403, { type: "refused", title: "Address or password is not right." });
		if (a.factor) return (half = body.account), send(r, 200, { state: "factor" });
		f.who = body.account;
		return send(r, 200, { state: "in", ...me() }, cookie());
	}
	case "/api/login/factor":
		if (!half) return send(r, 403, { type: "ticket", title: "too late" });
		if (body.code !== "123456" && body.code !== "again") return send(r, 403, { type: "refused", title: "This code is not right." });
		f.who = half;
		return send(r, 200, { state: "in", ...me() }, cookie());
	case "/api/login/invitation":
		if (body.code !== "WELCOME" || !f.accounts[body.account]) return send(r, 403, { type: "refused", title: "no" });
		f.accounts[body.account].password = body.password;
		f.who = body.account;
		return send(r, 200, { state: "in", ...me() }, cookie());
	case "/api/logout":
		return send(r, 200, {}, { "Set-Cookie": "who=; Path=/; Max-Age=0" });
	case "/api/me":
		return f.who ? send(r, 200, me()) : send(r, 401, { type: "login", title: "Please log in." });
	}
	if (url.pathname.startsWith("/api/me/")) return f.who ? self(f, r, url.pathname.slice(8), body) : send(r, 401, {});
	return send(r, 404, { type: "notFound", title: "There is nothing here." });
}

function self(f, r, verb, body) {
	const a = f.accounts[f.who];
	const us = (iso) => Date.parse(iso) * 1000;
	f.apps ??= [{ name: "Thunderbird at home", made_us: us("2026-11-20T10:00:00Z") }];
	f.sessions ??= [{ id: "a1", use: "portal", agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/128", source: "192.0.2.7", made_us: us("2026-11-22T01:00:00Z"), used_us: Date.now() * 1000, is_this: true },
		{ id: "b2", use: "portal", agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17) Safari/604", source: "2001:db8::5", made_us: us("2026-11-21T12:00:00Z"), used_us: us("2026-11-21T20:00:00Z"), is_this: false }];
	if (["password", "app-add", "factor-begin", "factor-remove", "codes", "consent"].includes(verb) && body.password !== a.password) return send(r, 403, { type: "password", title: "The password is not right." });
	switch (verb) {
	case "show": return send(r, 200, { account: f.who, name: a.person, password: "own", totp: !!a.factor, recovery_codes: a.factor ? 7 : 0, app_passwords: f.apps, admin: false, consent: !!f.consent, password_of_primary: false });
	case "password": return (a.password = body.new_password), send(r, 200, {});
	case "app-add": return f.apps.push({ name: body.argument, made_us: Date.now() * 1000 }), send(r, 200, { password: "kiln-amber-otter-quartz-41" });
	case "app-remove": return (f.apps = f.apps.filter((x) => x.name !== body.argument)), send(r, 200, {});
	case "factor-begin": return send(r, 200, { secret: "JBSWY3DPEHPK3PXP", uri: `otpauth://totp/Example:${f.who}?secret=JBSWY3DPEHPK3PXP&issuer=Example&period=30` });
	case "factor-confirm": return body.argument === "123456" ? ((a.factor = "123456"), send(r, 200, { recovery_codes: ["aaaa-bbbb", "cccc-dddd", "eeee-ffff", "gggg-hhhh"] })) : send(r, 422, { type: "code", title: "This code is not right." });
	case "factor-remove": return delete a.factor, send(r, 200, {});
	case "codes": return send(r, 200, { recovery_codes: ["aaaa-1111", "bbbb-2222"] });
	case "sessions": return send(r, 200, { sessions: f.sessions });
	case "session-end": return (f.sessions = f.sessions.filter((x) => x.id !== body.argument)), send(r, 200, {});
	case "others-end": return (f.sessions = f.sessions.filter((x) => x.is_this)), send(r, 200, {});
	case "consent": return (f.consent = true), send(r, 200, {});
	case "consent-end": return (f.consent = false), send(r, 200, {});
	default: return send(r, 404, { type: "notFound" });
	}
}

async function answer(f, out, q, r) {
	const url = new URL(q.url, "http://localhost");
	const who = /who=([^;]*)/.exec(q.headers.cookie ?? "")?.[1]; // no secret at all: for development
	f.who = who && !f.ended ? decodeURIComponent(who) : null;
	f.requests++;
	if (url.pathname === "/dev/now") return Object.assign(f.now, JSON.parse(await bodyOf(q))), tell(f, "now", f.now), send(r, 200, {});
	if (url.pathname === "/dev/refuse") return (f.refuse = JSON.parse(await bodyOf(q)).n), send(r, 200, {});
	if (url.pathname === "/dev/logout") return (f.ended = true), send(r, 200, {});
	if (url.pathname === "/dev/deliver") {
		const o = JSON.parse((await bodyOf(q)).toString() || "{}");
		add(f, { box: "F1", at: Date.now(), from: [PEOPLE[1]], to: [["Anna", "anna@example.com"]], subject: o.subject ?? "Just arrived", text: o.text ?? text(3), html: o.html, attach: o.attach });
		return tell(f), send(r, 200, {});
	}
	if (url.pathname.startsWith("/api/")) return api(f, q, r, url);
	if (url.pathname.startsWith("/jmap/") || url.pathname === "/.well-known/jmap") return f.who ? jmap(f, q, r, url) : send(r, 401, { type: "login" });
	const name = url.pathname === "/" ? "index.html" : path.posix.normalize(url.pathname).replace(/^\/+/, "");
	const file = path.join(out, "portal", name);
	if (name.startsWith("..") || !fs.existsSync(file) || !fs.statSync(file).isFile()) return send(r, 404, { type: "notFound" });
	const frame = name === "frame.html" ? { "Content-Security-Policy": FRAME_CSP } : {};
	return send(r, 200, fs.readFileSync(file), { ...frame, "Content-Type": TYPES[path.extname(file)] ?? "application/octet-stream", "Cache-Control": name.startsWith("assets/") ? "max-age=31536000, immutable" : "no-cache" });
}

async function jmap(f, q, r, url) {
	if (url.pathname === "/.well-known/jmap")
		return send(r, 200, { username: f.who, apiUrl: "/jmap/api", downloadUrl: "/jmap/download/{accountId}/{blobId}/{name}?type={type}", uploadUrl: "/jmap/upload/{accountId}/",
			eventSourceUrl: "/jmap/events?types={types}&closeafter={closeafter}&ping={ping}", state: "s1", primaryAccounts: { "urn:ietf:params:jmap:mail": "A1", "urn:ietf:params:jmap:submission": "A1", "urn:ietf:params:jmap:core": "A1" },
			accounts: { A1: { name: f.who, isPersonal: true, isReadOnly: false, accountCapabilities: {} } }, capabilities: { "urn:ietf:params:jmap:core": { maxSizeUpload: 50_000_000, maxObjectsInGet: 500, maxObjectsInSet: 500, maxCallsInRequest: 32 } } });
	if (url.pathname === "/jmap/api") return send(r, 200, { methodResponses: run(f, JSON.parse(await bodyOf(q)).methodCalls), sessionState: "s1" });
	if (url.pathname === "/jmap/events") {
		r.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
		r.write(`event: now\ndata: ${JSON.stringify(f.now)}\n\n`);
		f.streams.add(r);
		q.on("close", () => f.streams.delete(r));
		return;
	}
	if (url.pathname.startsWith("/jmap/upload/")) {
		const b = await bodyOf(q), blobId = `U${++count}`;
		f.uploads.set(blobId, b);
		return send(r, 201, { accountId: "A1", blobId, type: q.headers["content-type"] ?? "application/octet-stream", size: b.length });
	}
	return send(r, 200, Buffer.from("a file"), { "Content-Type": "application/octet-stream", "Content-Disposition": "attachment" });
}

if (process.argv[1] && process.argv[1].endsWith("fake.mjs")) {
	const [out = "../build/web", port = "8480", n = "10000"] = process.argv.slice(2);
	fake({ out: path.resolve(out), messages: +n }).server.listen(+port, "127.0.0.1", () => console.log(`the portal: http://localhost:${port}/  anna@example.com / anna`));
}
