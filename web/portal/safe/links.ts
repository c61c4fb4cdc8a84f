/*
 * Where links lead, said truthfully: the address as the browser will use it, and whether the words of the link claim
 * another place. Pure; used for HTML and plain text alike.
 */

const schemes = new Set(["http:", "https:", "mailto:", "tel:"]);

/* The address a link may have, written out by the URL parser; null: no link. A relative one leads nowhere in mail. */
export function safeHref(text: string): string | null {
	let url: URL;

	try {
		url = new URL(text.trim());
	} catch {
		return null;
	}
	if (!schemes.has(url.protocol) || url.href.length > 8192) return null;
	if ((url.protocol === "http:" || url.protocol === "https:") && !url.hostname) return null;
	return url.href;
}

/* "shop.example", what the reader must know of an address; for mailto the address itself. */
export function placeOf(href: string): string {
	try {
		const url = new URL(href);

		if (url.protocol === "mailto:" || url.protocol === "tel:") return decodeSafe(url.pathname);
		return url.host;
	} catch {
		return "";
	}
}

function decodeSafe(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

const claim = /^[\s<(["'«„“]*(?:(?:https?|ftp):\/\/)?(?:[^\s/@]*@)?((?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+[\p{L}]{2,24})(?::\d+)?(?:[/?#\s>)\]"'»“”.,]|$)/iu;
const fileLike = /\.(html?|php|pdf|docx?|xlsx?|pptx?|zip|txt|jpe?g|png|gif|js|ts|md|exe)$/i;

/* The host that the words of a link name, when they name one: "https://bank.example/login", "www.bank.example". */
export function claimedHost(words: string): string | null {
	const found = claim.exec(words.trim());

	if (!found || !found[1]) return null;
	if (fileLike.test(found[1]) && !/:\/\//.test(words)) return null;
	try {
		return new URL(`http://${found[1]}`).hostname.toLowerCase();
	} catch {
		return null;
	}
}

const bare = (host: string): string => host.replace(/^www\d?\./, "");

/* True when a link's words name a host and the link leads to another: neither the same nor one part of the other. */
export function isMisleading(words: string, href: string): boolean {
	const said = claimedHost(words);
	let url: URL;

	try {
		url = new URL(href);
	} catch {
		return false;
	}
	if (!said) return false;
	if (url.protocol === "mailto:") return !decodeSafe(url.pathname).toLowerCase().includes(bare(said));
	if (url.protocol !== "http:" && url.protocol !== "https:") return false;

	const a = bare(said), b = bare(url.hostname.toLowerCase());

	return a !== b && !a.endsWith(`.${b}`) && !b.endsWith(`.${a}`);
}

/* ---- links in plain text ---- */

export interface Piece {
	text: string;
	href?: string;
}

const found = /\b(?:https?:\/\/|www\.)[^\s<>"“”«»]+|\b[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b/g;

/* Marks at the end that belong to the sentence; a bracket only when it was not opened inside. */
function trimEnd(text: string): string {
	for (;;) {
		const last = text.at(-1) ?? "";

		if (/[.,;:!?'"*_~]/.test(last)) text = text.slice(0, -1);
		else if (last === ")" && text.split("(").length < text.split(")").length) text = text.slice(0, -1);
		else if (last === "]" && text.split("[").length < text.split("]").length) text = text.slice(0, -1);
		else return text;
	}
}

/* A text cut into words and links; the links' words are their addresses, so they cannot mislead. */
export function linkify(text: string): Piece[] {
	const out: Piece[] = [];
	let at = 0;

	for (const match of text.matchAll(found)) {
		const words = trimEnd(match[0]);
		const full = words.includes("@") && !/^(https?:|www\.)/i.test(words) ? `mailto:${words}` :
			/^www\./i.test(words) ? `http://${words}` : words;
		const href = safeHref(full);

		if (!href || match.index < at) continue;
		if (match.index > at) out.push({ text: text.slice(at, match.index) });
		out.push({ text: words, href });
		at = match.index + words.length;
	}
	if (at < text.length) out.push({ text: text.slice(at) });
	return out;
}
