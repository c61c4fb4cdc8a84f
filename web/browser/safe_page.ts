/* The page of safe_test.mjs: does with a message's HTML what the portal does, and worse, in places without any protection. */
import { fill, sandbox } from "../portal/safe/Frame";
import { sanitize, type SafeHtml, type View } from "../portal/safe/html";
import { attributes, tags } from "../portal/safe/policy";
import * as names from "../portal/safe/names";

const texts = { leadsTo: (place: string) => `leads to ${place}` };
const allowedTags = new Set(tags), allowedAttributes = new Set([...attributes, "target", "rel"]);

/* What stands in the result and is not on the list: an empty list when all is well. */
function strangers(root: Element): string[] {
	const out: string[] = [];
	const all = [root, ...Array.from(root.querySelectorAll("*"))];

	for (const e of all) {
		if (e.namespaceURI !== "http://www.w3.org/1999/xhtml") out.push(`namespace of ${e.nodeName}`);
		if (!allowedTags.has(e.localName)) out.push(`<${e.localName}>`);
		for (const a of Array.from(e.attributes)) {
			if (!allowedAttributes.has(a.name)) out.push(`${e.localName}@${a.name}`);
			if (a.name === "href" && !/^(https?|mailto|tel):/.test(a.value)) out.push(`href ${a.value}`);
			if (a.name === "src" && !/^data:image\/(png|gif|jpe?g|webp|bmp|avif);base64,/.test(a.value)) out.push(`src ${a.value}`);
			if (a.name === "style" && /url|image|\\|@|position|expression|z-index/i.test(a.value.replace(/list-style-position|object-position/g, "")))
				out.push(`style ${a.value}`);
		}
	}
	return out;
}

function frame(isBoxed: boolean, src: string): Promise<HTMLIFrameElement> {
	const made = document.createElement("iframe");

	if (isBoxed) made.setAttribute("sandbox", sandbox);
	made.src = src;
	document.body.append(made);
	return new Promise((resolve) => { made.onload = () => resolve(made); });
}

/* Everything in it is poked, as a person might: what waits for a click, a key, a pointer, focus, the end of an animation. */
function poke(doc: Document): void {
	for (const e of Array.from(doc.querySelectorAll("*"))) {
		for (const kind of ["mouseover", "mouseenter", "pointerenter", "focus", "keydown", "scroll", "toggle", "animationend", "transitionend", "load", "error"])
			e.dispatchEvent(new Event(kind, { bubbles: false }));
		if (e.localName !== "a") (e as HTMLElement).click?.();
	}
}

interface Report {
	strangers: string[];
	remote: number;
	inline: string[];
	text: string;
	html: string;
}

function report(safe: SafeHtml): Report {
	return { strangers: strangers(safe.body), remote: safe.remote, inline: [...safe.inline.keys()], text: safe.body.textContent ?? "",
		html: safe.body.outerHTML };
}

/* how: "portal": as the portal; "no-sandbox": the frame's policy alone; "no-csp": neither sandbox nor policy;
   "text": the result as text through a parser once more, in this very page (mutation). */
async function show(html: string, how: string, made?: HTMLIFrameElement): Promise<Report | null> {
	const isOwn = !made && how !== "text";

	if (isOwn) made = await frameFor(how);

	const safe = sanitize(html, (made?.contentWindow ?? window) as View, texts);

	if (!safe) return null;

	const told = { ...report(safe), sheet: safe.sheet };

	if (how === "text") {
		const place = document.createElement("div");

		document.body.append(place);
		place.innerHTML = safe.body.innerHTML;
		await new Promise((r) => setTimeout(r, 0));
		poke(document);
		place.remove();
		return told;
	}

	const doc = made?.contentDocument as Document;

	fill(doc, safe);
	void doc.body.offsetHeight;
	await new Promise((r) => setTimeout(r, 0));
	poke(doc);
	await new Promise((r) => setTimeout(r, 0));
	if (isOwn) made?.remove();
	return told;
}

const frameFor = (how: string): Promise<HTMLIFrameElement> => frame(how === "portal", how === "no-csp" ? "/open.html" : "/frame.html");

/* Many, one after the other in the same frame. */
async function showAll(list: string[], how: string): Promise<(Report | null)[]> {
	const made = how === "text" ? undefined : await frameFor(how);
	const out: (Report | null)[] = [];

	for (const html of list) out.push(await show(html, how, made));
	await new Promise((r) => setTimeout(r, 50));
	made?.remove();
	return out;
}

/* The message as it is in a page without any protection: shows that the test can see what it looks for. */
async function raw(html: string): Promise<void> {
	const made = await frame(false, "/open.html");
	const doc = made.contentDocument as Document;

	doc.open();
	doc.write(html);
	doc.close();
	await new Promise((r) => setTimeout(r, 60));
	poke(doc);
	await new Promise((r) => setTimeout(r, 40));
	made.remove();
}

Object.assign(window, { show, showAll, raw, names });
