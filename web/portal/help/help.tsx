/* "What to do now": the organisation's own words and contacts, how things are, how to work here. Open to all; printable. */
import { useEffect } from "preact/hooks";
import type { Contact } from "../../common/api";
import { useCell } from "../../common/cell";
import { encoded } from "../../common/jmap";
import { useLanguage, useTexts } from "../../common/i18n";
import { Button, LinkButton } from "../../common/components/button";
import { now, said } from "../now";
import { path } from "../router";
import { info } from "../session";
import "./help.css";

const telephone = (n: string): string => `tel:${n.replace(/[^\d+*#]/g, "")}`;

function ContactCard({ c }: { c: Contact }) {
	return (
		<li class="help-contact">
			<b>{c.name}</b>
			{c.phone && <a href={telephone(c.phone)}>{c.phone}</a>}
			{c.mail && <a href={`mailto:${encoded(c.mail).replace("%40", "@")}`}>{c.mail}</a>}
			{c.note && <span>{c.note}</span>}
		</li>
	);
}

/** The organisation's own sentences: of this language, else of any. Blank lines part paragraphs. */
function OwnWords({ text }: { text: string | undefined }) {
	if (!text) return null;
	return <>{text.split(/\n\s*\n/).map((p, i) => <p key={i} class="help-own">{p}</p>)}</>;
}

export function HelpPage() {
	const all = useTexts();
	const t = all.help;
	const lang = useLanguage();
	const about = useCell(info);
	const state = useCell(now);
	const sentence = said(state);
	const outage = about?.outage ?? (state ? "none" : undefined);
	const known = sentence?.text ?? (!state && outage && outage !== "none" ? all.login.outage[outage] : state || outage ? t.ok : "");
	const words = about?.words[lang] ?? about?.words.en ?? Object.values(about?.words ?? {})[0] ?? {};
	const title = about?.organisation ? `${about.organisation}: ${t.title}` : t.title;
	useEffect(() => { document.title = title; }, [title]);
	return (
		<main id="main" class="help" tabIndex={-1}>
			<header>
				<h1>{title}</h1>
				<div class="help-tools">
					<Button icon="print" onClick={() => window.print()}>{t.print}</Button>
					<LinkButton icon="back" href={path({ page: "mail", box: "inbox", thread: "" })}>{t.back}</LinkButton>
				</div>
			</header>
			<section>
				<h2>{t.state}</h2>
				{known && <p>{known}</p>}
				<OwnWords text={words.outage} />
				<OwnWords text={words.help} />
			</section>
			<section>
				<h2>{t.contacts}</h2>
				{about?.contacts.length ? <ul class="help-contacts">{about.contacts.map((c, i) => <ContactCard key={i} c={c} />)}</ul> : <p>{t.noContacts}</p>}
			</section>
			<section>
				<h2>{t.here}</h2>
				<ol>{t.steps.map((s, i) => <li key={i}>{s}</li>)}</ol>
			</section>
			<section><h2>{t.phone}</h2><p>{t.phoneText}</p></section>
			<section><h2>{t.program}</h2><p>{t.programText}</p></section>
			<section>
				<h2>{t.care}</h2>
				<ul>{t.careText.map((s, i) => <li key={i}>{s}</li>)}</ul>
			</section>
			<footer>
				<p>{t.address}: <b>{location.origin}/</b></p>
				{about?.version && <p>{t.version(about.version)}</p>}
			</footer>
		</main>
	);
}
