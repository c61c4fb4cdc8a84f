/* Where the words are written: plain, or formatted with a small bar of tools. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useTexts } from "../../common/i18n";
import { Button } from "../../common/components/button";
import { Dialog } from "../../common/components/dialog";
import { Icon, type IconName } from "../../common/components/icon";
import { Field } from "../../common/components/field";
import type { Command, RichText } from "./rich";

export function PlainEditor({ text, onText, label, autofocus }: { text: string; onText: (t: string) => void; label: string; autofocus?: boolean }) {
	const ref = useRef<HTMLTextAreaElement>(null);
	const grow = () => {
		const e = ref.current;
		if (!e) return;
		e.style.setProperty("height", "auto");
		e.style.setProperty("height", `${Math.max(e.scrollHeight + 2, 240)}px`);
	};
	useEffect(() => {
		grow();
		if (!autofocus) return;
		ref.current?.focus({ preventScroll: true });
		ref.current?.setSelectionRange(0, 0);
	}, []);
	return <textarea ref={ref} class="words plain" aria-label={label} value={text} spellcheck onInput={(e) => { onText(e.currentTarget.value); grow(); }} />;
}

const TOOLS: [Command, string | IconName][] = [["bold", "B"], ["italic", "I"], ["underline", "U"], ["list", "list"], ["numbers", "numbers"], ["quote", "quote"], ["less", "unquote"], ["plain", "bare"]];

export function RichEditor({ html, onReady, onChange, label, autofocus }: {
	html: string;
	onReady: (r: RichText) => void;
	onChange: (r: RichText) => void;
	label: string;
	autofocus?: boolean;
}) {
	const t = useTexts().compose;
	const root = useRef<HTMLDivElement>(null);
	const rich = useRef<RichText | null>(null);
	const [failed, setFailed] = useState(false);
	const [, again] = useState(0);
	const [asks, setAsks] = useState(false);
	const [address, setAddress] = useState("");
	const latest = useRef(onChange);
	latest.current = onChange;
	useEffect(() => {
		let gone = false;
		void import("./rich").then((m) => {
			if (gone || !root.current) return;
			const r = new m.RichText(root.current, html, () => latest.current(r));
			rich.current = r;
			onReady(r);
			again((n) => n + 1);
			if (autofocus) r.focus();
		}, () => setFailed(true));
		return () => {
			gone = true;
			rich.current?.destroy();
			rich.current = null;
		};
	}, []);
	const run = (c: Command) => {
		rich.current?.run(c);
		if (rich.current) latest.current(rich.current);
		again((n) => n + 1);
	};
	const look = () => again((n) => n + 1);
	const on = (c: Command): boolean | undefined => (c === "bold" || c === "italic" || c === "underline" ? rich.current?.is(c) ?? false : undefined);
	return (
		<div class="rich">
			<div class="tools" role="toolbar" aria-label={t.tools.label} onKeyDown={alongTools}>
				{TOOLS.map(([c, sign], i) => (
					<button key={c} type="button" class={`tool ${c}`} tabIndex={i === 0 ? 0 : -1} title={t.tools[c as keyof typeof t.tools]} aria-label={t.tools[c as keyof typeof t.tools]} aria-pressed={on(c)}
						onMouseDown={(e) => e.preventDefault()} onClick={() => run(c)}>{sign.length > 1 ? <Icon name={sign as IconName} /> : <span aria-hidden="true">{sign}</span>}</button>
				))}
				<button type="button" class="tool link" tabIndex={-1} title={t.tools.link} aria-label={t.tools.link} onMouseDown={(e) => e.preventDefault()}
					onClick={() => (rich.current?.is("link") ? rich.current.unlink() : setAsks(true))}><Icon name="link" /></button>
			</div>
			{failed && <p class="fault">{t.noRich}</p>}
			<div ref={root} class="words" contentEditable role="textbox" aria-multiline="true" aria-label={label} spellcheck onKeyUp={look} onMouseUp={look} />
			{asks && (
				<Dialog title={t.tools.link} closeLabel={t.cancel} onClose={() => setAsks(false)} foot={
					<Button kind="main" onClick={() => {
						if (!rich.current?.link(address.trim())) return;
						setAsks(false);
						setAddress("");
						latest.current(rich.current);
					}}>{t.tools.link}</Button>}>
					<Field label={t.linkAddress} value={address} onValue={setAddress} inputMode="text" autofocus />
				</Dialog>
			)}
		</div>
	);
}

/** Arrows along a toolbar; one stop for Tab. */
function alongTools(e: KeyboardEvent): void {
	const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
	if (!step) return;
	const all = Array.from((e.currentTarget as HTMLElement).querySelectorAll("button"));
	const i = all.indexOf(document.activeElement as HTMLButtonElement);
	const next = all[(i + step + all.length) % all.length];
	if (!next) return;
	e.preventDefault();
	for (const b of all) b.tabIndex = b === next ? 0 : -1;
	next.focus();
}
