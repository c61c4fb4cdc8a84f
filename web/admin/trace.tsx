/* "Where is the mail from X to Y?" */
import { useId, useState } from "preact/hooks";
import { Button } from "../common/components/button";
import { Field } from "../common/components/field";
import { trace, type Traced, type Traces } from "./api";
import { Page, State } from "./parts";
import { Envelope, Steps } from "./message";
import { span, useTexts, when, type Texts } from "./texts";
import { attempt } from "./use";

type Ask = { from: string; to: string; subject: string; message_id: string; after: string; before: string; reason: string };
const nothing: Ask = { from: "", to: "", subject: "", message_id: "", after: "", before: "", reason: "" };
const us = (local: string) => (local ? new Date(local).getTime() * 1000 : undefined);

function Moment({ label, value, onValue }: { label: string; value: string; onValue: (v: string) => void }) {
	const id = useId();
	return <div class="field"><label for={id}>{label}</label><input id={id} class="input" type="datetime-local" value={value} onInput={(e) => onValue(e.currentTarget.value)} /></div>;
}

export function TracePage() {
	const t = useTexts();
	const [ask, setAsk] = useState<Ask>(nothing);
	const [shown, setShown] = useState<Traces | null>(null);
	const [fault, setFault] = useState("");
	const [busy, setBusy] = useState(false);
	const set = (key: keyof Ask) => (v: string) => { setAsk({ ...ask, [key]: v }); setFault(""); };
	const look = async (before?: number) => {
		const { after, before: until, ...rest } = ask;
		const moments = { after_us: us(after), before_us: us(until) };
		if (!(rest.from || rest.to || rest.subject || rest.message_id || after || until)) return setFault(t.trace.needs);
		setBusy(true);
		await attempt(t, async () => {
			const found = await trace({ ...rest, ...(moments.after_us ? { after_us: moments.after_us } : {}), ...(moments.before_us ? { before_us: moments.before_us } : {}), ...(before ? { before } : {}) });
			setShown(before && shown ? { messages: [...shown.messages, ...found.messages], next: found.next } : found);
		});
		setBusy(false);
	};
	return (
		<Page title={t.trace.title} text={t.trace.text}>
			<form class="card two" onSubmit={(e) => { e.preventDefault(); void look(); }}>
				<Field label={t.trace.from} value={ask.from} onValue={set("from")} spellcheck={false} fault={fault || undefined} />
				<Field label={t.trace.to} value={ask.to} onValue={set("to")} spellcheck={false} />
				<Field label={t.trace.subject} value={ask.subject} onValue={set("subject")} />
				<Field label={t.trace.messageId} value={ask.message_id} onValue={set("message_id")} spellcheck={false} />
				<Moment label={t.trace.after} value={ask.after} onValue={set("after")} />
				<Moment label={t.trace.before} value={ask.before} onValue={set("before")} />
				<Field label={t.trace.reason} hint={t.trace.reasonHint} value={ask.reason} onValue={set("reason")} maxLength={180} />
				<div class="form-foot"><Button type="submit" kind="main" icon="search" busy={busy}>{t.trace.go}</Button></div>
			</form>
			<p role="status" class={shown ? "" : "sr-only"}>{shown ? (shown.messages.length ? t.trace.found(shown.messages.length) : t.trace.none) : ""}</p>
			{shown?.messages.map((m) => <One key={m.number} t={t} m={m} />)}
			{shown?.next && <Button wide onClick={() => look(shown.next ?? undefined)}>{t.trace.more}</Button>}
		</Page>
	);
}

function One({ t, m }: { t: Texts; m: Traced }) {
	return (
		<article class="card">
			<h2>{m.subject_text || t.queue.noSubject}</h2>
			<p class="quiet">{t.trace.origin[m.origin] ?? m.origin} {m.account}</p>
			<Envelope t={t} m={m} />
			{m.recipients.map((r) => (
				<div key={r.recipient_index} class="way">
					<h3>{t.queue.to(r.recipient)} <State state={r.state} name={t.queue.states[r.state] ?? r.state} /></h3>
					{r.held_since && <p>{t.trace.heldSince(span(t, r.age_s))}{r.reason ? `: ${r.reason}` : ""}</p>}
					<Steps t={t} steps={r.way ?? []} />
				</div>
			))}
			<ul class="places">
				{m.mailboxes.map((b, i) => <li key={`${b.account} ${i}`}>{(b.there ? t.trace.inBox : t.trace.wasInBox)(b.account, b.mailbox || t.trace.boxGone)}</li>)}
				{m.home.filter((h) => h.state !== "nothing").map((h, i) => (
					<li key={`h ${h.account} ${i}`}>{t.trace.home(h.account, t.trace.homeStates[h.state] ?? h.state)}{h.at ? ` (${when(h.at)})` : ""}{h.reason ? `: ${h.reason}` : ""}</li>
				))}
			</ul>
		</article>
	);
}
