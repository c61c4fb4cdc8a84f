/*
 * Formatted text: Squire, with all HTML that goes in (quotes, pastes, drafts, its own undo) through the sanitiser. Styles, sizes
 * and remote pictures of others are not carried into one's own mail; pictures of the message itself keep their content id.
 * Fetched only when somebody writes formatted text.
 */
import createDOMPurify from "dompurify";
import Squire from "squire-rte";
import { sanitize } from "../safe/html";
import { attributes, tags } from "../safe/policy";
import { safeHref } from "../safe/links";

const BLOCK = /^(P|DIV|LI|TR|H[1-6]|PRE|UL|OL|TABLE|BLOCKQUOTE|HR|DL|DT|DD|SECTION|ARTICLE|CENTER|ADDRESS|FIGURE|HEADER|FOOTER|MAIN|NAV|ASIDE)$/;

/** Styles are dropped anyway; left in, this page's policy would complain of each. Only to keep it quiet: the sanitiser decides. */
const withoutStyles = (html: string): string => (html.length > 200_000 ? html
	: html.replace(/(<[^<>]*?)\sstyle\s*=\s*(?:"[^"<]*"|'[^'<]*')/gi, "$1").replace(/<style\b[^<]{0,60000}<\/style>/gi, ""));

/** HTML of others, fit to be quoted: nodes for the editor. */
export function cleanForWriting(html: string): DocumentFragment {
	const out = document.createDocumentFragment();
	const safe = sanitize(withoutStyles(html), window, null);
	if (!safe) return out;
	for (const [cid, images] of safe.inline) for (const i of images) i.setAttribute("data-cid", cid);
	for (const e of Array.from(safe.body.querySelectorAll("*"))) {
		for (const a of ["style", "class", "bgcolor", "color", "face", "title", "target", "rel", "width", "height"]) e.removeAttribute(a);
		if (e.nodeName === "IMG" && !e.hasAttribute("data-cid") && !e.hasAttribute("src")) e.remove();
		if (e.nodeName === "A" && !e.hasAttribute("href")) e.replaceWith(...Array.from(e.childNodes));
	}
	out.append(...Array.from(safe.body.childNodes).map((n) => document.adoptNode(n)));
	return out;
}

/** What Squire remembers for undo: our own nodes as text, with its marks of the selection. */
function cleanOwn(html: string): DocumentFragment {
	return createDOMPurify(window).sanitize(html, { ALLOWED_TAGS: [...tags, "input"], ALLOWED_ATTR: [...attributes, "id", "data-cid"], ALLOW_DATA_ATTR: false,
		ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel|blob|data):/i, ADD_URI_SAFE_ATTR: ["id", "type", "data-cid"], RETURN_DOM_FRAGMENT: true, SANITIZE_NAMED_PROPS: false }) as unknown as DocumentFragment;
}

class Editor extends Squire {
	override _setRawHTML(html: string): this {
		this._root.replaceChildren(cleanOwn(html));
		if (!this._root.firstChild) this._root.append(this.createDefaultBlock());
		this._ignoreChange = true;
		return this;
	}
}

/** Text of formatted text, for those who read without HTML. */
export function textOf(root: Node): string {
	let out = "";
	const fresh = (): void => { if (out && !out.endsWith("\n")) out += "\n"; };
	const walk = (node: Node, depth: number): void => {
		if (depth > 200) return;
		if (node.nodeType === 3) {
			out += (node.nodeValue ?? "").replace(/[\u200B\n\t]+/g, (s) => (s.includes("\u200B") ? "" : " "));
			return;
		}
		if (!(node instanceof HTMLElement)) return;
		const name = node.nodeName;
		if (name === "BR") out += "\n";
		else if (name === "HR") fresh(), (out += "----\n");
		else if (name === "IMG") out += node.getAttribute("alt") ? `[${node.getAttribute("alt")}]` : "";
		else if (name === "BLOCKQUOTE") {
			const inner = textOf({ childNodes: node.childNodes } as unknown as Node).replace(/\n+$/, "");
			fresh();
			out += inner.split("\n").map((l) => (l.startsWith(">") ? `>${l}` : `> ${l}`)).join("\n") + "\n";
		} else {
			if (BLOCK.test(name)) fresh();
			if (name === "LI") out += "- ";
			node.childNodes.forEach((c) => walk(c, depth + 1));
			if (name === "A") {
				const href = node.getAttribute("href") ?? "";
				if (/^https?:/.test(href) && !out.endsWith(href) && (node.textContent ?? "").trim() !== href.replace(/^https?:\/\//, "").replace(/\/$/, "")) out += ` <${href}>`;
			}
			if (name === "TD" || name === "TH") out += " ";
			else if (BLOCK.test(name)) trailing(node) ? undefined : fresh();
		}
	};
	const trailing = (e: HTMLElement): boolean => e.lastChild?.nodeName === "BR" && e.childNodes.length > 1 && out.endsWith("\n");
	root.childNodes.forEach((c) => walk(c, 0));
	return out.replace(/(^|\n)-- ?(?=\n)|[ \t]+(?=\n)/g, (_, before?: string) => (before === undefined ? "" : `${before}-- `)).replace(/\n{4,}/g, "\n\n\n");
}

const escape = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Plain text as it looks when it becomes formatted: quotes as quotes. */
export function htmlOfText(text: string): string {
	let out = "", depth = 0;
	for (const raw of text.replace(/\r\n?/g, "\n").split("\n")) {
		const mark = /^(?:> ?)*/.exec(raw)?.[0] ?? "";
		const now = mark.split(">").length - 1;
		for (; depth < now; depth++) out += "<blockquote>";
		for (; depth > now; depth--) out += "</blockquote>";
		const line = escape(raw.slice(mark.length)).replace(/ {2}/g, " \u00A0");
		out += `<div>${line || "<br>"}</div>`;
	}
	return out + "</blockquote>".repeat(depth);
}

export type Command = "bold" | "italic" | "underline" | "list" | "numbers" | "quote" | "less" | "plain" | "undo" | "redo";

export class RichText {
	private readonly editor: Editor;

	constructor(private readonly root: HTMLElement, html: string, onChange: () => void) {
		this.editor = new Editor(root, { blockTag: "DIV", sanitizeToDOMFragment: (h: string) => cleanForWriting(h), addLinks: true, didError: (e: unknown) => console.warn("editor", e) });
		this.set(html);
		this.editor.addEventListener("input", onChange);
	}

	set(html: string): void {
		this.editor.setHTML(html);
		this.editor.moveCursorToStart();
	}

	destroy(): void {
		this.editor.destroy();
	}

	focus(): void {
		this.editor.focus();
	}

	/** As it goes into mail. */
	html(): string {
		const copy = this.root.cloneNode(true) as HTMLElement;
		copy.querySelectorAll("input").forEach((e) => e.remove());
		copy.querySelectorAll("img").forEach((i) => {
			const cid = i.getAttribute("data-cid");
			i.removeAttribute("data-cid");
			if (cid) i.setAttribute("src", `cid:${cid}`);
			else if (!/^data:image\//.test(i.getAttribute("src") ?? "")) i.remove();
		});
		return copy.innerHTML.replace(/\u200B/g, "");
	}

	text(): string {
		return textOf(this.root);
	}

	/** Pictures that come with the message, to be shown by whoever can fetch them. */
	pictures(): Map<string, HTMLImageElement[]> {
		const out = new Map<string, HTMLImageElement[]>();
		this.root.querySelectorAll<HTMLImageElement>("img[data-cid]").forEach((i) => {
			const cid = i.getAttribute("data-cid") ?? "";
			out.set(cid, [...(out.get(cid) ?? []), i]);
		});
		return out;
	}

	is(what: "bold" | "italic" | "underline" | "link"): boolean {
		return this.editor.hasFormat({ bold: "B", italic: "I", underline: "U", link: "A" }[what]);
	}

	run(what: Command): void {
		const e = this.editor;
		switch (what) {
		case "bold": this.is("bold") ? e.removeBold() : e.bold(); break;
		case "italic": this.is("italic") ? e.removeItalic() : e.italic(); break;
		case "underline": this.is("underline") ? e.removeUnderline() : e.underline(); break;
		case "list": e.hasFormat("UL") ? e.removeList() : e.makeUnorderedList(); break;
		case "numbers": e.hasFormat("OL") ? e.removeList() : e.makeOrderedList(); break;
		case "quote": e.increaseQuoteLevel(); break;
		case "less": e.decreaseQuoteLevel(); break;
		case "plain": e.removeAllFormatting(); break;
		case "undo": e.undo(); break;
		case "redo": e.redo(); break;
		}
		e.focus();
	}

	link(address: string): boolean {
		const href = safeHref(/^[a-z]+:/i.test(address) ? address : address.includes("@") ? `mailto:${address}` : `https://${address}`);
		if (!href) return false;
		this.editor.makeLink(href, {});
		return true;
	}

	unlink(): void {
		this.editor.removeLink();
	}
}
