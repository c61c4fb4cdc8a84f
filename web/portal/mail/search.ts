/*
 * What is typed into the search field, as a filter of Email/query (RFC 8621 s4.4.1). Words must all be there; "two words" in
 * quotes are looked for as they stand; from: to: subject: has:attachment is:unread is:flagged after: before: narrow it, in the words
 * of each language.
 */
import type { Filter } from "./cache";

const FIELDS: Record<string, string> = { from: "from", von: "from", to: "to", an: "to", subject: "subject", betreff: "subject", body: "body", text: "body" };
const FLAGS: Record<string, Record<string, unknown>> = {
	"has:attachment": { hasAttachment: true }, "hat:anhang": { hasAttachment: true },
	"is:unread": { notKeyword: "$seen" }, "ist:ungelesen": { notKeyword: "$seen" },
	"is:read": { hasKeyword: "$seen" }, "ist:gelesen": { hasKeyword: "$seen" },
	"is:flagged": { hasKeyword: "$flagged" }, "ist:markiert": { hasKeyword: "$flagged" },
};
const DATES: Record<string, "after" | "before"> = { after: "after", nach: "after", seit: "after", since: "after", before: "before", vor: "before" };
const MOST = 20; // conditions: a filter of more says nothing

export function filterOf(typed: string, inMailbox = "", outOf: readonly string[] = []): Filter {
	const conditions: Record<string, unknown>[] = [];
	for (const [, key, quoted, plain] of typed.matchAll(/(?:([\p{L}]+):)?(?:"([^"]*)"?|(\S+))/gu)) {
		const value = (quoted ?? plain ?? "").trim();
		const c = condition((key ?? "").toLowerCase(), value);
		if (c && conditions.length < MOST) conditions.push(c);
	}
	if (inMailbox) conditions.push({ inMailbox });
	else if (outOf.length) conditions.push({ inMailboxOtherThan: outOf });
	if (conditions.length === 0) return null;
	return conditions.length === 1 ? conditions[0]! : { operator: "AND", conditions };
}

function condition(key: string, value: string): Record<string, unknown> | null {
	if (!value) return null;
	if (!key) return { text: value };
	const flag = FLAGS[`${key}:${value.toLowerCase()}`];
	if (flag) return flag;
	const field = FIELDS[key];
	if (field) return { [field]: value };
	const when = DATES[key] && dateOf(value);
	if (when) return { [DATES[key]!]: when };
	return { text: `${key}:${value}` };
}

/** 2026-11-22 or 22.11.2026 as a UTCDate of that day's beginning here; "" when it is none. */
function dateOf(value: string): string {
	const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(value), german = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(value);
	const [y, m, d] = iso ? [iso[1], iso[2], iso[3]] : german ? [german[3], german[2], german[1]] : [];
	if (!y) return "";
	const date = new Date(Number(y), Number(m) - 1, Number(d));
	return date.getMonth() === Number(m) - 1 ? date.toISOString().replace(/\.\d+Z$/, "Z") : "";
}

/** A snippet (RFC 8621 s5: text with <mark> and entities) as pieces of plain text; nothing of it is ever markup. */
export function pieces(snippet: string): { text: string; isHit: boolean }[] {
	const out: { text: string; isHit: boolean }[] = [];
	let isHit = false;
	for (const part of snippet.split(/(<\/?mark>)/)) {
		if (part === "<mark>") isHit = true;
		else if (part === "</mark>") isHit = false;
		else if (part) out.push({ text: unescaped(part), isHit });
	}
	return out;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", "#x27": "'", apos: "'" };
const unescaped = (s: string) => s.replace(/&(amp|lt|gt|quot|apos|#39|#x27);/g, (_, e: string) => ENTITIES[e] ?? "");
