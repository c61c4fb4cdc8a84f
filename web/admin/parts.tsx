/* Small parts that several pages of the console use. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "../common/components/button";
import { Icon } from "../common/components/icon";
import { useTexts, type Texts } from "./texts";
import { why, type Loaded } from "./use";

/** A page: its heading takes the focus when it appears, and names the window. */
export function Page({ title, text, children, side }: { title: string; text?: ComponentChildren; children: ComponentChildren; side?: ComponentChildren }) {
	const t = useTexts();
	const heading = useRef<HTMLHeadingElement>(null);
	useEffect(() => { document.title = `${title} – ${t.name}`; }, [title, t]);
	useEffect(() => { heading.current?.focus({ preventScroll: true }); window.scrollTo(0, 0); }, []);
	return (
		<main id="main" tabIndex={-1} class="page">
			<header class="page-head">
				<div><h1 ref={heading} tabIndex={-1}>{title}</h1>{text && <p>{text}</p>}</div>
				{side}
			</header>
			{children}
		</main>
	);
}

export function Section({ title, children, side }: { title: string; children: ComponentChildren; side?: ComponentChildren }) {
	const id = useId();
	return (
		<section class="card" aria-labelledby={id}>
			<div class="card-head"><h2 id={id}>{title}</h2>{side}</div>
			{children}
		</section>
	);
}

const kinds: Record<string, string> = {
	up: "good", suspect: "care", down: "bad", probation: "care", stopped: "bad", unknown: "care", removed: "bad", decide: "bad", deferred: "care", delivered: "good",
	returned: "care", discarded: "care",
};

/** A state as a word; the colour says nothing that the word does not. */
export function State({ state, name }: { state: string; name: string }) {
	return <span class={`state ${kinds[state] ?? ""}`}>{name}</span>;
}

/** While it loads, when it failed, or what came. */
export function Load<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
	const t = useTexts();
	return (
		<>
			{of.fault !== null && <p class="notice bad" role="alert">{why(t, of.fault)} <Button kind="plain" onClick={of.again}>{t.app.refresh}</Button></p>}
			{of.value !== null ? children(of.value) : of.busy ? <p class="loading"><span class="spinner" aria-hidden="true" />{t.app.loading}</p> : null}
		</>
	);
}

export function Select({ label, value, options, onPick }: { label: string; value: string; options: readonly (readonly [string, string])[]; onPick: (v: string) => void }) {
	const id = useId();
	return (
		<div class="field">
			<label for={id}>{label}</label>
			<select id={id} class="input" value={value} onChange={(e) => onPick(e.currentTarget.value)}>
				{options.map(([v, name]) => <option key={v} value={v}>{name}</option>)}
			</select>
		</div>
	);
}

/** One of a few; as buttons that are pressed. */
export function Pick({ label, value, options, onPick }: { label: string; value: string; options: readonly (readonly [string, string])[]; onPick: (v: string) => void }) {
	return (
		<div class="pick" role="group" aria-label={label}>
			{options.map(([v, name]) => <button key={v} type="button" aria-pressed={v === value} onClick={() => onPick(v)}>{name}</button>)}
		</div>
	);
}

export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren])[] }) {
	return <dl class="facts">{rows.filter(([, v]) => v !== "" && v !== null && v !== undefined).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>;
}

export function Copy({ t, text }: { t: Texts; text: string }) {
	return <Button icon="check" onClick={() => navigator.clipboard?.writeText(text)}>{t.app.copy}</Button>;
}

export const Warn = ({ children }: { children: ComponentChildren }) => <p class="warn"><Icon name="warning" /><span>{children}</span></p>;
