import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { IconButton } from "./button";

/** A label, an input, what it is for, and what is wrong with it. */
export function Field({ label, hint, fault, value, onValue, type = "text", name, autocomplete, inputMode, required, autofocus, maxLength, spellcheck, readOnly }: {
	label: string;
	hint?: ComponentChildren;
	fault?: string;
	value: string;
	onValue: (v: string) => void;
	type?: "text" | "email" | "search" | "tel";
	name?: string;
	autocomplete?: string;
	inputMode?: "text" | "email" | "numeric" | "search";
	required?: boolean;
	autofocus?: boolean;
	maxLength?: number;
	spellcheck?: boolean;
	readOnly?: boolean;
}) {
	const id = useId();
	return (
		<div class="field">
			<label for={id}>{label}</label>
			<input id={id} class="input" type={type as "text"} name={name} value={value} autocomplete={autocomplete as never} inputMode={inputMode} required={required}
				autoFocus={autofocus} maxLength={maxLength} spellcheck={spellcheck} readOnly={readOnly} autocapitalize="none"
				aria-describedby={[hint ? `${id}-h` : "", fault ? `${id}-f` : ""].join(" ").trim() || undefined} aria-invalid={fault ? "true" : undefined}
				onInput={(e) => onValue(e.currentTarget.value)} />
			{hint && <p class="hint" id={`${id}-h`}>{hint}</p>}
			{fault && <p class="fault" id={`${id}-f`}>{fault}</p>}
		</div>
	);
}

/** A password, which can be looked at: it is typed once, on small keyboards. */
export function PasswordField({ label, hint, fault, value, onValue, autocomplete, show, name, autofocus }: {
	label: string;
	hint?: ComponentChildren;
	fault?: string;
	value: string;
	onValue: (v: string) => void;
	autocomplete: "current-password" | "new-password";
	show: string;
	name?: string;
	autofocus?: boolean;
}) {
	const id = useId();
	const [seen, setSeen] = useState(false);
	return (
		<div class="field">
			<label for={id}>{label}</label>
			<div class="with-button">
				<input id={id} class="input" type={(seen ? "text" : "password") as "text"} name={name} value={value} autocomplete={autocomplete} required maxLength={1024}
					autoFocus={autofocus} spellcheck={false} autocapitalize="none"
					aria-describedby={[hint ? `${id}-h` : "", fault ? `${id}-f` : ""].join(" ").trim() || undefined}
					aria-invalid={fault ? "true" : undefined} onInput={(e) => onValue(e.currentTarget.value)} />
				<IconButton icon="eye" label={show} pressed={seen} onClick={() => setSeen(!seen)} />
			</div>
			{hint && <p class="hint" id={`${id}-h`}>{hint}</p>}
			{fault && <p class="fault" id={`${id}-f`}>{fault}</p>}
		</div>
	);
}
