/* Who wrote, in the few words a list has room for. */
import type { Address } from "../../common/jmap";
import type { Brief } from "./cache";
import { texts } from "../../common/i18n";

export const nameOf = (a: Address): string => clean(a.name ?? "") || a.email;

/** Names from mail may hold anything: no line ends, no signs that turn the direction of what stands beside them. */
export function clean(s: string): string {
	return s.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, " ").replace(/\s+/g, " ").trim();
}

const shortName = (a: Address): string => {
	const n = nameOf(a);
	return n.includes("@") ? n.split("@")[0]! : n.split(/[ ,]/)[0]!;
};

/** The people of a conversation, oldest first; oneself is "me". */
export function people(emails: readonly Brief[], mine: readonly string[]): string {
	const seen = new Map<string, Address>();
	for (const e of emails) for (const a of e.from ?? []) if (!seen.has(a.email.toLowerCase())) seen.set(a.email.toLowerCase(), a);
	const all = [...seen.entries()];
	if (all.length === 0) return texts().mail.noSender;
	if (all.length === 1) return isMine(all[0]![0], mine) && emails.length > 1 ? texts().mail.me : nameOf(all[0]![1]);
	const names = all.map(([mail, a]) => (isMine(mail, mine) ? texts().mail.me : shortName(a)));
	return names.length > 3 ? `${names[0]} … ${names.slice(-2).join(", ")}` : names.join(", ");
}

/** For folders of what one wrote oneself. */
export function recipients(e: Brief): string {
	const to = e.to ?? [];
	return to.length ? `${texts().mail.to} ${to.map(nameOf).join(", ")}` : texts().mail.to;
}

export const isMine = (address: string, mine: readonly string[]): boolean => mine.some((m) => m.toLowerCase() === address.toLowerCase());

/** One or two letters and one of a few grounds: tells rows apart at a glance. */
export function initials(name: string): string {
	const words = name.replace(/[^\p{L}\p{N}\s]/gu, "").split(/\s+/).filter(Boolean);
	const letters = words.length > 1 ? [words[0]!, words[words.length - 1]!] : words;
	return letters.map((w) => [...w][0]!.toUpperCase()).join("") || "?";
}

export function hue(key: string): number {
	let h = 0;
	for (const c of key.toLowerCase()) h = (h * 31 + c.codePointAt(0)!) >>> 0;
	return h % 8;
}
