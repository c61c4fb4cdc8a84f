/* What people set for themselves: looks, name and signature, and who else may get in as them. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useCell } from "../../common/cell";
import { chosenLanguage, LANGUAGES, useTexts, type Language } from "../../common/i18n";
import { IconButton } from "../../common/components/button";
import { theme, type Theme } from "../../common/theme";
import { ConnectionBanner, NowBanner } from "../nowbanner";
import { path } from "../router";
import { hasKeys } from "../mail/state";
import { usePageTitle } from "../title";
import { Apps } from "./apps";
import { AskPassword } from "./ask";
import { Factor } from "./factor";
import { Home } from "./home";
import { Identities } from "./identities";
import { Password } from "./password";
import { Sessions } from "./sessions";

export function SettingsPage({ part }: { part: string }) {
	const t = useTexts();
	const heading = useRef<HTMLHeadingElement>(null);
	usePageTitle(t.settings.title);
	useEffect(() => {
		const to = part ? document.getElementById(`set-${part}`) : null;
		if (to) to.scrollIntoView();
		else heading.current?.focus();
	}, [part]);
	return (
		<div class="settings">
			<header class="settings-top">
				<IconButton icon="back" label={t.settings.toMail} href={path({ page: "mail", box: "inbox", thread: "" })} />
				<h1 ref={heading} tabIndex={-1}>{t.settings.title}</h1>
			</header>
			<div><ConnectionBanner /><NowBanner /></div>
			<main id="main" tabIndex={-1} class="settings-body">
				<Appearance />
				<Identities />
				<Password />
				<Factor />
				<Apps />
				<Sessions />
				<Home />
			</main>
			<AskPassword />
		</div>
	);
}

/** One subject: a heading, what it is about, what can be done. */
export function Part({ id, title, text, children }: { id: string; title: string; text?: string; children: ComponentChildren }) {
	return (
		<section class="part" id={`set-${id}`} aria-labelledby={`set-${id}-h`}>
			<h2 id={`set-${id}-h`}>{title}</h2>
			{text && <p class="part-text">{text}</p>}
			{children}
		</section>
	);
}

function Choice<T extends string>({ label, value, options, onPick }: { label: string; value: T; options: readonly { id: T; name: string }[]; onPick: (v: T) => void }) {
	const id = useId();
	return (
		<div class="field">
			<label for={id}>{label}</label>
			<select id={id} class="input" value={value} onChange={(e) => onPick(e.currentTarget.value as T)}>
				{options.map((o) => <option key={o.id} value={o.id}>{o.name}</option>)}
			</select>
		</div>
	);
}

function Appearance() {
	const t = useTexts();
	const l = useCell(chosenLanguage), th = useCell(theme), keys = useCell(hasKeys);
	return (
		<Part id="appearance" title={t.settings.appearance}>
			<div class="two">
				<Choice<Language | ""> label={t.settings.language} value={l} options={[{ id: "", name: t.settings.languageSystem }, ...LANGUAGES]} onPick={(v) => { chosenLanguage.value = v; }} />
				<Choice<Theme> label={t.settings.theme} value={th} options={(["system", "light", "dark"] as const).map((id) => ({ id, name: t.settings.themes[id] }))} onPick={(v) => { theme.value = v; }} />
			</div>
			<label class="check"><input type="checkbox" checked={keys} onChange={(e) => { hasKeys.value = e.currentTarget.checked; }} /> {t.settings.keys}</label>
		</Part>
	);
}
