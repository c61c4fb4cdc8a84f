/*
 * The frame in which a message's HTML is shown: a document of its own (/frame.html, with a policy that loads nothing and
 * runs nothing) in an iframe without allow-scripts. The nodes come from sanitize() and are put in one by one; no HTML
 * text is given to the frame. Same origin only so that we can reach into it; nothing in it can reach out.
 *
 * F1: three walls, each enough: the sanitiser, the sandbox, the policy of frame.html. The tests take away two at a time.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { sanitize, type SafeHtml, type SafeTexts, type View } from "./html";
import { placeOf } from "./links";
import { limits } from "./policy";

export interface FrameProps {
	html: string;
	title: string;
	texts: SafeTexts;
	/* null: the HTML is too large to be shown */
	onShown(result: Pick<SafeHtml, "remote" | "inline"> | null): void;
	onLink(href: string | null): void;
	onMail(address: string): void;
	onKey?(event: KeyboardEvent): void;
}

export const sandbox = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";

const paper = `
html{color-scheme:only light;background:#fff;color:#1a1a1a;font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
body{margin:0;padding:12px;box-sizing:border-box;max-width:100%;overflow-x:auto}
img{max-width:100%;height:auto}
table{max-width:100%}
blockquote{margin:0 0 0 4px;padding-left:12px;border-left:3px solid #ccc}
pre{white-space:pre-wrap}
a{color:#0b57d0}
.hf-off{display:inline-block;min-width:16px;min-height:16px;border:1px dashed #999;background:#f4f4f4;color:#555;font-size:13px}
.hf-leads{color:#a40000;font-weight:bold;background:#fff;font-size:14px}
.hf-misleads{outline:2px solid #a40000}
`;

function bodyAttributes(from: Element, to: HTMLElement): void {
	for (const name of ["bgcolor", "class", "dir", "lang"]) {
		const value = from.getAttribute(name);

		if (value) to.setAttribute(name, value);
	}
	to.style.cssText = (from as HTMLElement).style.cssText;
}

/* Puts what sanitize() made into the document of a frame. Exported for the tests, which do it in worse places. */
export function fill(doc: Document, safe: SafeHtml): void {
	const own = doc.createElement("style"), theirs = doc.createElement("style");

	own.textContent = paper;
	theirs.textContent = safe.sheet;
	doc.head.replaceChildren(theirs, own);
	bodyAttributes(safe.body, doc.body);
	doc.body.replaceChildren(...Array.from(safe.body.childNodes).map((n) => doc.adoptNode(n)));
}

function height(doc: Document): number {
	const inner = Math.max(doc.documentElement.offsetHeight, doc.body?.scrollHeight ?? 0);

	return Math.min(Math.max(inner + 2, 60), limits.frameHeight);
}

const linkOf = (target: EventTarget | null): HTMLAnchorElement | null =>
	(target as Element | null)?.closest?.("a[href]") as HTMLAnchorElement | null;

function listen(doc: Document, props: { current: FrameProps }): void {
	const show = (e: Event): void => props.current.onLink(linkOf(e.target)?.getAttribute("href") ?? null);

	for (const kind of ["mouseover", "focusin"]) doc.addEventListener(kind, show);
	for (const kind of ["mouseout", "focusout"]) doc.addEventListener(kind, () => props.current.onLink(null));
	doc.addEventListener("keydown", (e) => props.current.onKey?.(e));
	doc.addEventListener("click", (e) => {
		const href = linkOf(e.target)?.getAttribute("href");

		if (!href?.startsWith("mailto:")) return;
		e.preventDefault();
		props.current.onMail(placeOf(href));
	});
}

export function Frame(props: FrameProps) {
	const frame = useRef<HTMLIFrameElement>(null);
	const latest = useRef(props);
	const [ready, setReady] = useState(false);
	const [tall, setTall] = useState(120);

	latest.current = props;
	useEffect(() => {
		const doc = frame.current?.contentDocument;
		const view = frame.current?.contentWindow as View | null;

		if (!ready || !doc || !view) return;

		const safe = sanitize(props.html, view, props.texts);

		if (safe) fill(doc, safe);
		props.onShown(safe);

		const measure = (): void => setTall(height(doc));
		const watch = new ResizeObserver(measure);

		measure();
		watch.observe(doc.documentElement);
		doc.addEventListener("load", measure, true);
		return () => {
			watch.disconnect();
			doc.removeEventListener("load", measure, true);
		};
	}, [ready, props.html]);

	return (
		<iframe
			ref={frame}
			class="mail-frame"
			src="/frame.html"
			sandbox={sandbox}
			title={props.title}
			height={tall}
			referrerpolicy="no-referrer"
			onLoad={() => {
				const doc = frame.current?.contentDocument;

				if (doc) listen(doc, latest);
				setReady(true);
			}}
		/>
	);
}
