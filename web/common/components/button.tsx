import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Icon, type IconName } from "./icon";

type Common = {
	children?: ComponentChildren;
	icon?: IconName;
	kind?: "main" | "danger" | "plain";
	wide?: boolean;
	disabled?: boolean;
	id?: string;
};

/** While what it started is under way, it says so and takes no second click, but keeps the focus. */
export function Button({ children, icon, kind, wide, disabled, id, type = "button", busy, onClick }: Common & {
	type?: "button" | "submit";
	busy?: boolean;
	onClick?: (e: MouseEvent) => unknown;
}) {
	const [own, setOwn] = useState(false);
	const off = disabled || busy || own;
	const click = (e: MouseEvent) => {
		if (off) return e.preventDefault();
		const done = onClick?.(e);
		if (!(done instanceof Promise)) return;
		setOwn(true);
		void done.finally(() => setOwn(false));
	};
	return (
		<button id={id} type={type} class={`button${kind ? ` ${kind}` : ""}${wide ? " wide" : ""}`} aria-disabled={off ? "true" : undefined}
			aria-busy={busy || own ? "true" : undefined} onClick={click}>
			{icon && <Icon name={icon} />}
			{children}
		</button>
	);
}

export function LinkButton({ children, icon, kind, wide, href, id }: Common & { href: string }) {
	return (
		<a id={id} class={`button${kind ? ` ${kind}` : ""}${wide ? " wide" : ""}`} href={href}>
			{icon && <Icon name={icon} />}
			{children}
		</a>
	);
}

/** A picture alone: the label is read aloud and shown as tooltip; with its key when it has one. */
export function IconButton({ icon, full, label, shortcut, pressed, disabled, onClick, href, id, expanded, controls }: {
	icon: IconName;
	full?: boolean;
	label: string;
	shortcut?: string;
	pressed?: boolean;
	disabled?: boolean;
	onClick?: (e: MouseEvent) => unknown;
	href?: string;
	id?: string;
	expanded?: boolean;
	controls?: string;
}) {
	const title = shortcut ? `${label} (${shortcut})` : label;
	if (href) return <a id={id} class="icon-button" href={href} aria-label={label} title={title}><Icon name={icon} full={full} /></a>;
	return (
		<button id={id} type="button" class="icon-button" aria-label={label} title={title} aria-pressed={pressed} disabled={disabled}
			aria-keyshortcuts={shortcut} aria-expanded={expanded} aria-controls={controls} onClick={onClick}>
			<Icon name={icon} full={full} />
		</button>
	);
}
