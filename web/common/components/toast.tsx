/* Short messages at the lower edge, with one thing to do about them. Read aloud; they wait while pointed at or focused. */
import { useEffect, useState } from "preact/hooks";
import { Cell, useCell } from "../cell";

export type Toast = { id: number; text: string; bad: boolean; action?: { label: string; run: () => void }; ms: number };

const toasts = new Cell<readonly Toast[]>([]);
let count = 0;

/** Shows a message; gives back how to take it away. */
export function toast(text: string, o: { bad?: boolean; action?: Toast["action"]; ms?: number } = {}): () => void {
	const t: Toast = { id: ++count, text, bad: o.bad ?? false, ms: o.ms ?? (o.action || o.bad ? 9000 : 5000) };
	if (o.action) t.action = o.action;
	toasts.value = [...toasts.value.slice(-2), t];
	return () => close(t.id);
}

/** Does what the newest message offers (key z). */
export function lastAction(): boolean {
	const t = [...toasts.value].reverse().find((x) => x.action);
	if (!t) return false;
	close(t.id);
	t.action?.run();
	return true;
}

function close(id: number): void {
	toasts.value = toasts.value.filter((t) => t.id !== id);
}

/** Stands once in the page. */
export function Toasts({ label, closeLabel }: { label: string; closeLabel: string }) {
	const shown = useCell(toasts);
	return (
		<section class="toasts" aria-label={label}>
			<div role="status" aria-live="polite">{shown.filter((t) => !t.bad).map((t) => <One key={t.id} t={t} closeLabel={closeLabel} />)}</div>
			<div role="alert">{shown.filter((t) => t.bad).map((t) => <One key={t.id} t={t} closeLabel={closeLabel} />)}</div>
		</section>
	);
}

function One({ t, closeLabel }: { t: Toast; closeLabel: string }) {
	const [waits, setWaits] = useState(false);
	useEffect(() => {
		if (waits) return;
		const timer = setTimeout(() => close(t.id), t.ms);
		return () => clearTimeout(timer);
	}, [waits, t.id]);
	return (
		<div class={`toast${t.bad ? " bad" : ""}`} onPointerEnter={() => setWaits(true)} onPointerLeave={() => setWaits(false)}
			onFocusIn={() => setWaits(true)} onFocusOut={() => setWaits(false)}>
			<p>{t.text}</p>
			{t.action && <button type="button" onClick={() => { close(t.id); t.action?.run(); }}>{t.action.label}</button>}
			<button type="button" aria-label={closeLabel} title={closeLabel} onClick={() => close(t.id)}>×</button>
		</div>
	);
}
