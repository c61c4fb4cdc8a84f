/* A dialog of the browser's own: it keeps the focus inside and gives it back; Escape and a click outside close it. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Cell, useCell } from "../cell";
import { Button, IconButton } from "./button";

export function Dialog({ title, children, foot, big, closeLabel, onClose }: {
	title: string;
	children: ComponentChildren;
	foot?: ComponentChildren;
	big?: boolean;
	closeLabel: string;
	onClose: () => void;
}) {
	const ref = useRef<HTMLDialogElement>(null);
	const id = useId();
	useEffect(() => {
		const d = ref.current;
		if (!d) return;
		const before = document.activeElement;
		d.showModal();
		d.querySelector<HTMLElement>("[data-autofocus]")?.focus();
		return () => {
			if (d.open) d.close();
			if (before instanceof HTMLElement && before.isConnected) before.focus();
		};
	}, []);
	return (
		<dialog ref={ref} class={`dialog${big ? " big" : ""}`} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose(); }}
			onClick={(e) => { if (e.target === ref.current) onClose(); }}>
			<div class="dialog-head">
				<h2 id={id}>{title}</h2>
				<IconButton icon="close" label={closeLabel} onClick={onClose} />
			</div>
			<div class="dialog-body">{children}</div>
			{foot && <div class="dialog-foot">{foot}</div>}
		</dialog>
	);
}

type Question = { title: string; text: string; yes: string; no: string; danger: boolean; answer: (yes: boolean) => void };
const asked = new Cell<Question | null>(null);

/** Asks before something that cannot be undone. */
export function confirm(q: { title: string; text: string; yes: string; no: string; danger?: boolean }): Promise<boolean> {
	return new Promise((resolve) => {
		asked.value?.answer(false);
		asked.value = { danger: false, ...q, answer: resolve };
	});
}

/** Stands once in the page: where confirm() appears. */
export function Confirms() {
	const q = useCell(asked);
	if (!q) return null;
	const say = (yes: boolean) => {
		asked.value = null;
		q.answer(yes);
	};
	return (
		<Dialog title={q.title} closeLabel={q.no} onClose={() => say(false)} foot={<>
			<Button onClick={() => say(false)}>{q.no}</Button>
			<Button kind={q.danger ? "danger" : "main"} onClick={() => say(true)}>{q.yes}</Button>
		</>}>
			<p>{q.text}</p>
		</Dialog>
	);
}
