/*
 * A message being written: what it consists of, how an answer or a forwarded message begins, and how it goes to the server
 * (RFC 8621 s4.6). Pure: texts, identities and the moment come from outside.
 */
import { plain as visible } from "../safe/names";
import type { Address, Args, FullEmail, Id, Identity } from "../../common/jmap";

export type FileRef = { blobId: Id; name: string; type: string; size: number; cid: string | null };
export type Kind = "" | "reply" | "replyall" | "forward" | "draft";

export type Draft = {
	/** Which page it belongs to: "new", "reply.M12"; the same after a reload. */
	key: string;
	/** The copy on the server; each save makes a new one and destroys this. */
	serverId: Id | null;
	identityId: Id | null;
	to: Address[];
	cc: Address[];
	bcc: Address[];
	subject: string;
	isRich: boolean;
	/** The one that isRich names is what counts; the other is made from it. */
	text: string;
	html: string;
	files: FileRef[];
	inReplyTo: string[] | null;
	references: string[] | null;
	/** What it answers or forwards, to be marked when it is sent. */
	sourceId: Id | null;
	sourceKeyword: "$answered" | "$forwarded" | null;
	changedAt: number;
	savedAt: number;
};

export type QuoteTexts = {
	wrote(date: string, name: string): string;
	forwardHead: string;
	forwardLines(m: { from: string; date: string; to: string; subject: string }): string[];
};

export const emptyDraft = (key: string): Draft => ({
	key, serverId: null, identityId: null, to: [], cc: [], bcc: [], subject: "", isRich: false, text: "", html: "", files: [], inReplyTo: null, references: null,
	sourceId: null, sourceKeyword: null, changedAt: 0, savedAt: 0,
});

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
export const shown = (a: Address): string => visible(a.name ? `${a.name} <${a.email}>` : a.email);
const without = (list: readonly Address[], others: readonly string[]): Address[] => {
	const out: Address[] = [];
	for (const a of list) if (!others.some((o) => same(o, a.email)) && !out.some((o) => same(o.email, a.email))) out.push(a);
	return out;
};

/** "Re: x" of "x", of "Re: x" and of "AW: x". */
export function replySubject(subject: string | null): string {
	const bare = visible(subject ?? "").replace(/^(?:\s*(?:re|aw|antw|sv|vs|odp|rif|tr)\s*(?:\[\d+\])?\s*:)+\s*/i, "");
	return `Re: ${bare}`.trim();
}

export function forwardSubject(subject: string | null): string {
	const bare = visible(subject ?? "").replace(/^(?:\s*(?:fwd?|wg|tr|rv)\s*:)+\s*/i, "");
	return `Fwd: ${bare}`.trim();
}

/** Who answers go to. One's own message is answered to those it went to. */
export function recipients(email: FullEmail, isAll: boolean, mine: readonly string[]): { to: Address[]; cc: Address[] } {
	const isMine = (email.from ?? []).some((a) => mine.some((m) => same(m, a.email)));
	const first = isMine && !email.replyTo?.length ? email.to ?? [] : email.replyTo?.length ? email.replyTo : email.from ?? [];
	const to = without(first, []);
	if (!isAll) return { to, cc: [] };
	return { to, cc: without([...(email.to ?? []), ...(email.cc ?? [])], [...mine, ...to.map((a) => a.email)]) };
}

/** The identity the message was sent to; else the first. */
export function identityFor(email: FullEmail | null, identities: readonly Identity[]): Identity | undefined {
	const all = [...(email?.to ?? []), ...(email?.cc ?? []), ...(email?.bcc ?? []), ...(email?.from ?? [])];
	return identities.find((i) => all.some((a) => same(a.email, i.email))) ?? identities[0];
}

const textOf = (email: FullEmail): string => email.textBody.filter((p) => p.partId && p.type === "text/plain").map((p) => email.bodyValues[p.partId as string]?.value ?? "").join("\n");
export const htmlOf = (email: FullEmail): string => email.htmlBody.filter((p) => p.partId && p.type === "text/html").map((p) => email.bodyValues[p.partId as string]?.value ?? "").join("<hr>");

export const signatureText = (i: Identity | undefined): string => (i?.textSignature.trim() ? `\n\n-- \n${i.textSignature.trim()}\n` : "");

const quoted = (text: string): string => text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").replace(/\n-- \n[\s\S]*$/, "").split("\n").map((l) => (l.startsWith(">") ? `>${l}` : `> ${l}`)).join("\n");

/** The line above what is quoted. */
export function quoteHead(kind: Kind, email: FullEmail, t: QuoteTexts, date: string): string[] {
	const from = email.from?.[0];
	if (kind !== "forward") return [t.wrote(date, from ? visible(from.name || from.email) : "")];
	return [t.forwardHead, ...t.forwardLines({ from: (email.from ?? []).map(shown).join(", "), date, to: (email.to ?? []).map(shown).join(", "), subject: email.subject ?? "" })];
}

/** An answer or a forwarded message as it begins, in plain text. */
export function begin(kind: Kind, email: FullEmail, identities: readonly Identity[], t: QuoteTexts, date: string, plain = textOf(email)): Draft {
	const d = emptyDraft(`${kind}.${email.id}`);
	const identity = identityFor(email, identities);
	const head = quoteHead(kind, email, t, date);
	d.identityId = identity?.id ?? null;
	d.sourceId = email.id;
	d.references = [...(email.references ?? email.inReplyTo ?? []), ...(email.messageId ?? [])].slice(-40);
	if (!d.references.length) d.references = null;
	if (kind === "forward") {
		d.subject = forwardSubject(email.subject);
		d.sourceKeyword = "$forwarded";
		d.text = `\n${signatureText(identity)}\n${head.join("\n")}\n\n${plain}`;
		d.files = email.attachments.filter((p) => p.blobId).map((p) => ({ blobId: p.blobId as Id, name: p.name ?? "", type: p.type, size: p.size, cid: p.cid }));
		return d;
	}
	const who = recipients(email, kind === "replyall", identities.map((i) => i.email));
	d.to = who.to;
	d.cc = who.cc;
	d.subject = replySubject(email.subject);
	d.sourceKeyword = "$answered";
	d.inReplyTo = email.messageId;
	d.text = `\n${signatureText(identity)}\n${head.join("\n")}\n${quoted(plain)}\n`;
	return d;
}

/** One from the mailbox of drafts. */
export function reopened(email: FullEmail, identities: readonly Identity[]): Draft {
	const html = htmlOf(email);
	const from = email.from?.[0]?.email ?? "";
	return {
		...emptyDraft(`draft.${email.id}`), serverId: email.id, identityId: (identities.find((i) => same(i.email, from)) ?? identities[0])?.id ?? null,
		to: email.to ?? [], cc: email.cc ?? [], bcc: email.bcc ?? [], subject: email.subject ?? "", isRich: html !== "", text: textOf(email), html,
		files: email.attachments.filter((p) => p.blobId).map((p) => ({ blobId: p.blobId as Id, name: p.name ?? "", type: p.type, size: p.size, cid: p.cid })),
		inReplyTo: email.inReplyTo, references: email.references,
	};
}

export const isBlank = (d: Draft): boolean => !d.subject.trim() && !d.to.length && !d.cc.length && !d.bcc.length && !d.files.length && !d.text.trim() && !d.html.replace(/<[^>]*>|&nbsp;|\s/g, "");

/** The object of Email/set create. */
export function emailOf(d: Draft, drafts: Id, identity: Identity | undefined): Args {
	const people = (list: Address[]) => (list.length ? list.map((a) => ({ name: a.name || null, email: a.email })) : null);
	const used = d.isRich ? d.files : d.files.map((f) => ({ ...f, cid: null }));
	const email: Args = {
		mailboxIds: { [drafts]: true }, keywords: { $draft: true, $seen: true }, from: identity ? [{ name: identity.name || null, email: identity.email }] : null,
		to: people(d.to), cc: people(d.cc), bcc: people(d.bcc), subject: d.subject, bodyValues: { t: { value: d.text }, ...(d.isRich ? { h: { value: d.html } } : {}) },
		textBody: [{ partId: "t", type: "text/plain" }],
	};
	if (identity?.replyTo?.length) email.replyTo = identity.replyTo;
	if (d.isRich) email.htmlBody = [{ partId: "h", type: "text/html" }];
	if (d.inReplyTo?.length) email.inReplyTo = d.inReplyTo;
	if (d.references?.length) email.references = d.references;
	if (used.length)
		email.attachments = used.map((f) => ({ blobId: f.blobId, type: f.type || "application/octet-stream", name: f.name || null,
			...(f.cid && d.html.includes(`cid:${f.cid}`) ? { cid: f.cid, disposition: "inline" } : { disposition: "attachment" }) }));
	for (const k of ["from", "to", "cc", "bcc"]) if (email[k] === null) delete email[k];
	return email;
}

/* ---- addresses as people type them ---- */

const word = /^[^\s@<>(),;:"\\[\]]+@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?)(?:\.[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?)*$/u;
export const isAddress = (text: string): boolean => text.length <= 254 && word.test(text) && text.lastIndexOf("@") <= 64;

/** `Ann Lee <ann@x.example>`, `"Lee, Ann" <ann@x.example>`, `ann@x.example`; null: not an address. */
export function parseAddress(text: string): Address | null {
	const named = /^\s*(.*?)\s*<\s*([^<>]+?)\s*>\s*$/s.exec(text);
	const email = (named?.[2] ?? text).trim().replace(/^mailto:/i, "");
	if (!isAddress(email)) return null;
	const name = (named?.[1] ?? "").replace(/^"(.*)"$/s, "$1").replace(/\\(.)/g, "$1").replace(/[\r\n]+/g, " ").trim();
	return { name: name || null, email };
}

/** Parts of a list: at comma, semicolon or line end, but not inside quotes or angle brackets that close. One pass. */
function parts(text: string): string[] {
	const out: string[] = [];
	const lastQuote = text.lastIndexOf('"'), lastAngle = text.lastIndexOf(">");
	let from = 0, inside = "";
	for (let i = 0; i < text.length; i++) {
		const c = text[i] as string;
		if (inside) {
			if (c === "\\" && inside === '"') i++;
			else if (c === inside) inside = "";
		} else if (c === '"' && i < lastQuote) inside = '"';
		else if (c === "<" && i < lastAngle) inside = ">";
		else if (c === "," || c === ";" || c === "\n") {
			out.push(text.slice(from, i));
			from = i + 1;
		}
	}
	out.push(text.slice(from));
	return out;
}

/** A list, as pasted; what is no address is given back. */
export function parseList(text: string): { good: Address[]; rest: string } {
	const good: Address[] = [], bad: string[] = [];
	for (const p of parts(text.slice(0, 100_000))) {
		if (!p.trim()) continue;
		const a = p.length <= 1000 ? parseAddress(p) : null;
		if (a) good.push(a);
		else bad.push(p.trim());
	}
	return { good, rest: bad.join(", ").slice(0, 1000) };
}
