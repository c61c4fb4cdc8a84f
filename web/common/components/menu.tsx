/* A button that opens a list of things to do (ARIA menu button: arrows, Home, End, Escape, first letters). */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { IconButton } from "./button";
import { Icon, type IconName } from "./icon";

export type MenuItem = { label: string; icon?: IconName; danger?: boolean; disabled?: boolean; run: () => void };

export function Menu({ icon, label, items, shortcut }: { icon: IconName; label: string; items: () => MenuItem[]; shortcut?: string }) {
	const [open, setOpen] = useState(false);
	const box = useRef<HTMLDivElement>(null);
	const list = useRef<HTMLDivElement>(null);
	const id = useId();
	const shut = (focus = true) => {
		setOpen(false);
		if (focus) box.current?.querySelector<HTMLElement>("button")?.focus();
	};
	useEffect(() => {
		if (!open || !list.current || !box.current) return;
		place(list.current, box.current);
		list.current.querySelector<HTMLElement>("[role=menuitem]")?.focus();
		const away = (e: Event) => {
			if (!box.current?.contains(e.target as Node)) setOpen(false);
		};
		document.addEventListener("pointerdown", away);
		window.addEventListener("resize", away);
		return () => {
			document.removeEventListener("pointerdown", away);
			window.removeEventListener("resize", away);
		};
	}, [open]);
	return (
		<div class="menu" ref={box}>
			<IconButton icon={icon} label={label} shortcut={shortcut} expanded={open} controls={open ? id : undefined} onClick={() => setOpen(!open)} />
			{open && (
				<div class="menu-list" role="menu" id={id} aria-label={label} ref={list} onKeyDown={(e) => keys(e, list.current, shut)}>
					{items().filter((i) => !i.disabled).map((i) => (
						<button key={i.label} type="button" role="menuitem" tabIndex={-1} class={`menu-item${i.danger ? " danger" : ""}`}
							onClick={() => { shut(); i.run(); }}>
							{i.icon && <Icon name={i.icon} />}
							{i.label}
						</button>
					))}
				</div>
			)}
		</div>
	);
}

/** Below its button, or above where there is more room; never over the edge of the window. */
function place(list: HTMLElement, button: HTMLElement): void {
	const b = button.getBoundingClientRect();
	const w = list.offsetWidth, h = list.offsetHeight;
	const left = Math.min(Math.max(8, b.right - w), window.innerWidth - w - 8);
	const below = b.bottom + 4;
	const top = below + h > window.innerHeight - 8 ? Math.max(8, b.top - h - 4) : below;
	list.style.setProperty("left", `${left}px`);
	list.style.setProperty("top", `${top}px`);
}

function keys(e: KeyboardEvent, list: HTMLElement | null, shut: (focus?: boolean) => void): void {
	if (!list) return;
	const all = [...list.querySelectorAll<HTMLElement>("[role=menuitem]")];
	const at = all.indexOf(document.activeElement as HTMLElement);
	let to = -1;
	if (e.key === "ArrowDown") to = (at + 1) % all.length;
	else if (e.key === "ArrowUp") to = (at - 1 + all.length) % all.length;
	else if (e.key === "Home") to = 0;
	else if (e.key === "End") to = all.length - 1;
	else if (e.key === "Escape") return e.stopPropagation(), e.preventDefault(), shut();
	else if (e.key === "Tab") return shut(false);
	else if (e.key.length === 1 && /\S/.test(e.key)) {
		const k = e.key.toLowerCase();
		const order = [...all.slice(at + 1), ...all.slice(0, at + 1)];
		const hit = order.find((x) => x.textContent?.trim().toLowerCase().startsWith(k));
		if (hit) to = all.indexOf(hit);
	} else return;
	e.stopPropagation();
	if (to < 0) return;
	e.preventDefault();
	all[to]?.focus();
}
