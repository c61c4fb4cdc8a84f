/* A line of addresses with completion (ARIA combobox with a list; the addresses before it can be removed by keyboard). */
import { useId, useRef, useState } from "preact/hooks";
import { useTexts } from "../../common/i18n";
import type { Address } from "../../common/jmap";
import { Icon } from "../../common/components/icon";
import { parseList } from "./draft";
import type { People } from "./people";

export function Recipients({ label, list, onList, people, autofocus, fault }: {
	label: string;
	list: readonly Address[];
	onList: (list: Address[]) => void;
	people: People;
	autofocus?: boolean;
	fault?: string;
}) {
	const t = useTexts().compose;
	const id = useId();
	const input = useRef<HTMLInputElement>(null);
	const [words, setWords] = useState("");
	const [at, setAt] = useState(0);
	const [shut, setShut] = useState(false);
	const found = shut ? [] : people.find(words, list.map((a) => a.email.toLowerCase()));
	const isOpen = found.length > 0;

	const add = (more: Address[], rest = "") => {
		const next = [...list];
		for (const a of more) if (!next.some((x) => x.email.toLowerCase() === a.email.toLowerCase())) next.push(a);
		onList(next);
		setWords(rest);
		setAt(0);
	};
	/** What stands in the field becomes addresses, as far as it is some. */
	const take = (text: string): boolean => {
		const { good, rest } = parseList(text);
		if (good.length) add(good, rest);
		return good.length > 0;
	};
	const remove = (i: number) => {
		onList(list.filter((_, k) => k !== i));
		input.current?.focus();
	};
	const key = (e: KeyboardEvent) => {
		if (isOpen && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
			e.preventDefault();
			return setAt((at + (e.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
		}
		if (e.key === "Escape" && isOpen) {
			e.preventDefault();
			e.stopPropagation();
			return setShut(true);
		}
		if (["Enter", "Tab", ",", ";"].includes(e.key) && words.trim() && !e.isComposing) {
			const chosen = found[at];
			const whole = /@.+\./.test(words) && (e.key === "," || e.key === ";");
			if (chosen && !whole && (e.key === "Enter" || e.key === "Tab")) add([chosen]);
			else if (!take(words)) {
				if (e.key === "Enter") e.preventDefault();
				return;
			}
			if (e.key !== "Tab") e.preventDefault();
			return;
		}
		if (e.key === "Backspace" && !words && list.length) remove(list.length - 1);
	};
	return (
		<div class={`recipients${fault ? " wrong" : ""}`}>
			<label for={id}>{label}</label>
			<div class="recipient-line" onClick={(e) => { if (e.target === e.currentTarget) input.current?.focus(); }}>
				<ul class="recipient-list" aria-label={label}>
					{list.map((a, i) => (
						<li key={a.email} class="recipient" title={a.email}>
							<bdi>{a.name || a.email}</bdi>
							<button type="button" aria-label={t.remove(a.name ? `${a.name} ${a.email}` : a.email)} onClick={() => remove(i)}><Icon name="close" /></button>
						</li>
					))}
				</ul>
				<input ref={input} id={id} value={words} autoFocus={autofocus} autocomplete="off" autocapitalize="none" spellcheck={false} inputMode="email"
					role="combobox" aria-expanded={isOpen} aria-controls={`${id}-l`} aria-autocomplete="list" aria-activedescendant={isOpen ? `${id}-${at}` : undefined}
					aria-invalid={fault ? "true" : undefined} aria-describedby={fault ? `${id}-f` : undefined}
					onInput={(e) => {
						const v = e.currentTarget.value;
						setShut(false);
						setAt(0);
						if (!/[,;\n]\s*$/.test(v) || !take(v)) setWords(v);
					}}
					onPaste={(e) => {
						const text = e.clipboardData?.getData("text/plain") ?? "";
						if (take(words + text)) e.preventDefault();
					}}
					onKeyDown={key} onBlur={() => { take(words); setShut(true); }} />
				{isOpen && (
					<ul class="completions" role="listbox" id={`${id}-l`} aria-label={t.completions}>
						{found.map((a, i) => (
							<li key={a.email} id={`${id}-${i}`} role="option" aria-selected={i === at} onPointerDown={(e) => { e.preventDefault(); add([a]); }}>
								<bdi>{a.name || a.email}</bdi>{a.name && <span>{a.email}</span>}
							</li>
						))}
					</ul>
				)}
			</div>
			{words.trim() && !isOpen && shut && <p class="fault" id={`${id}-f`}>{t.notAnAddress(words.trim())}</p>}
			{fault && !(words.trim() && shut) && <p class="fault" id={`${id}-f`}>{fault}</p>}
		</div>
	);
}
