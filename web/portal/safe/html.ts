/*
 * A message's HTML made harmless: nodes to show in the frame (Frame.tsx), never a string of HTML. DOMPurify takes out what
 * policy.ts does not list; the hooks here judge each address and each style.
 *
 * H1: nothing in the result fetches: the only addresses in it are `data:` pictures and links that a person must follow.
 *     Pictures of the message itself (cid:) are told in `inline`, and come in as blobs afterwards.
 * H2: nothing runs, nothing is sent, nothing has an id or a name.
 * H3: a link opens outside, tells nobody where it came from, and bears its address as its title; where its words
 *     name another place than it leads to, that place is written behind it.
 * The result's nodes were never turned into text again, so no second parser can see them differently.
 */
import createDOMPurify, { type Config } from "dompurify";
import { cleanDeclarations, cleanSheet } from "./css";
import { isMisleading, placeOf, safeHref } from "./links";
import { attributes, dataPicture, limits, tags } from "./policy";

export interface SafeHtml {
	body: HTMLElement /* to take the children and attributes of; not in a document */;
	sheet: string /* for a <style> as its text */;
	remote: number /* pictures that were not loaded */;
	inline: Map<string, HTMLImageElement[]> /* by content id, without brackets */;
}

export interface SafeTexts {
	/* "leads to shop.example", behind a link whose words say something else */
	leadsTo(place: string): string;
}

export type View = Window & typeof globalThis;

interface Work extends Omit<SafeHtml, "body"> {
	sheets: string;
}

const config: Config = {
	ALLOWED_TAGS: tags,
	ALLOWED_ATTR: attributes,
	ALLOW_DATA_ATTR: false,
	ALLOW_ARIA_ATTR: false,
	ALLOW_UNKNOWN_PROTOCOLS: false,
	ALLOWED_NAMESPACES: ["http://www.w3.org/1999/xhtml"],
	/* links and pictures are judged in our hook, more strictly; what is left of this list is the outer limit */
	ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel|cid|data):/i,
	ADD_URI_SAFE_ATTR: attributes.filter((name) => name !== "href" && name !== "src"),
	KEEP_CONTENT: true,
	SANITIZE_DOM: true,
	SANITIZE_NAMED_PROPS: true,
	WHOLE_DOCUMENT: true,
	RETURN_DOM: true,
	FORCE_BODY: false,
};

const isRemote = (address: string): boolean => /^\s*(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(address) && !/^\s*(?:data|cid|blob|about):/i.test(address);

function judgePicture(img: Element, work: Work): void {
	const src = (img.getAttribute("src") ?? "").replace(/[\u0000-\u0020]+/g, (s) => (s.trim() ? "" : s)).trim();

	img.removeAttribute("src");
	if (/^cid:/i.test(src)) {
		const id = decode(src.slice(4)).replace(/^<|>$/g, "");
		const all = work.inline.get(id) ?? [];

		all.push(img as HTMLImageElement);
		work.inline.set(id, all);
	} else if (dataPicture.test(src)) {
		img.setAttribute("src", src);
	} else if (isRemote(src) || isRemote(img.getAttribute("srcset") ?? "")) {
		work.remote++;
		img.setAttribute("class", "hf-off");
	}
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

function judgeLink(a: Element): void {
	const href = a.getAttribute("href");
	const safe = href === null ? null : safeHref(href);

	a.removeAttribute("href");
	a.removeAttribute("title");
	if (!safe) return;
	a.setAttribute("href", safe);
	a.setAttribute("target", "_blank");
	a.setAttribute("rel", "noopener noreferrer nofollow");
	a.setAttribute("title", safe);
}

/* H3; after all else, when the words of a link are what they will be. */
function tellPlaces(body: Element, texts: SafeTexts): void {
	for (const a of Array.from(body.querySelectorAll("a[href]"))) {
		const href = a.getAttribute("href") ?? "";

		if (!isMisleading((a.textContent ?? "").slice(0, 300), href)) continue;

		const mark = a.ownerDocument.createElement("span");

		mark.className = "hf-leads";
		mark.textContent = ` [${texts.leadsTo(placeOf(href))}]`;
		a.setAttribute("class", "hf-misleads");
		a.after(mark);
	}
}

/* A style attribute: set through the object model, which no policy of the document that shows it can forbid. */
function judgeStyle(node: HTMLElement, text: string, scratch: HTMLElement, work: Work): void {
	scratch.style.cssText = text.length > 8192 ? "" : text;

	const clean = cleanDeclarations(scratch.style, { onRemote: () => work.remote++ });

	node.removeAttribute("style");
	if (clean) node.style.cssText = clean;
}

/* A form's inputs can stand in front of its methods (`<input name=getAttribute>`); no form stays, so none is looked at. */
function isOne(node: Node, view: View): node is HTMLElement {
	return node instanceof view.HTMLElement && !(node instanceof view.HTMLFormElement || node instanceof view.HTMLObjectElement || node instanceof view.HTMLEmbedElement);
}

function addHooks(purify: ReturnType<typeof createDOMPurify>, work: Work, view: View): void {
	const scratch = view.document.implementation.createHTMLDocument("").createElement("p");
	const isOurs = (node: Node): node is HTMLElement => isOne(node, view);
	let nodes = 0;

	purify.addHook("uponSanitizeElement", (node) => {
		/* P1 of policy.ts: dropped afterwards, but its text is what classes mean */
		if (node.nodeName === "STYLE" && work.sheets.length < limits.sheet) work.sheets += `${node.textContent ?? ""}\n`;
		if (++nodes > limits.nodes) node.parentNode?.removeChild(node);
	});
	purify.addHook("beforeSanitizeAttributes", (node) => {
		if (!isOurs(node)) return;

		const background = node.getAttribute("background");
		const style = node.getAttribute("style");
		const own = node.getAttribute("class");

		if (background && isRemote(background)) work.remote++;
		if (style !== null) judgeStyle(node, style, scratch, work);
		if (/[(\\]/.test(node.getAttribute("face") ?? "")) node.removeAttribute("face");
		if (own !== null) node.setAttribute("class", own.replace(/\bhf-\S*/g, ""));
		if (node.nodeName === "IMG") judgePicture(node, work);
	});
	purify.addHook("afterSanitizeAttributes", (node) => {
		if (!isOurs(node)) return;
		if (node.nodeName !== "IMG" || !dataPicture.test(node.getAttribute("src") ?? "")) node.removeAttribute("src");
		if (node.nodeName === "A") judgeLink(node);
		else node.removeAttribute("href");
	});
}

/* view: the window whose parser is used: its policy must let styles be, or the browser complains of each one. texts: what is written into the message, if anything. null: too much to show as HTML. */
export function sanitize(html: string, view: View, texts: SafeTexts | null): SafeHtml | null {
	const work: Work = { sheet: "", sheets: "", remote: 0, inline: new Map() };

	if (html.length > limits.html) return null;

	const purify = createDOMPurify(view);

	addHooks(purify, work, view);

	const root = purify.sanitize(html, config) as unknown as HTMLElement;
	const body = (root.querySelector("body") ?? root.ownerDocument.createElement("body")) as HTMLElement; /* a frameset has none */

	if (texts) tellPlaces(body, texts);
	return {
		body,
		sheet: cleanSheet(work.sheets, { onRemote: () => work.remote++ }),
		remote: work.remote,
		inline: work.inline,
	};
}
