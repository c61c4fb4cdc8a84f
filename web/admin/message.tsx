/* One message: its envelope, each recipient, every try. Never its text. */
import { bytes } from "../common/i18n";
import { message, type Message, type Step } from "./api";
import { Facts, Load, Page, Section, State } from "./parts";
import { QueueActs } from "./queueacts";
import { span, useTexts, when, type Texts } from "./texts";
import { useLoad } from "./use";

export function MessagePage({ id }: { id: string }) {
	const t = useTexts();
	const m = useLoad<Message>(id, () => message(id));
	const subject = m.value?.subject_text || t.message.title;
	return (
		<Page title={m.value ? subject : t.message.title} side={m.value ? <QueueActs match={m.value.id} name={subject} done={m.again} /> : undefined}>
			<Load of={m}>{(x) => <Whole t={t} m={x} />}</Load>
		</Page>
	);
}

export function Envelope({ t, m }: { t: Texts; m: Message }) {
	return (
		<Facts rows={[
			[t.message.from, m.from_text], [t.message.sender, m.sender || "<>"], [t.message.received, when(m.received, true)], [t.message.size, bytes(m.size)],
			[t.message.client, m.peer && `${m.peer} (${[m.helo, m.protocol, m.tls].filter(Boolean).join(", ")})`], [t.message.spf, m.spf], [t.message.id, m.message_id],
		]} />
	);
}

export function Steps({ t, steps }: { t: Texts; steps: Step[] }) {
	return (
		<ol class="marks">
			{steps.map((s, i) => (
				<li key={`${s.at} ${i}`}>
					<time>{when(s.at, true)}</time>
					<div>
						<strong>{t.trace.steps[s.what] ?? s.what}</strong>{s.host && ` ${t.app.by(s.host)}`}{s.queue_id && `, ${t.trace.as(s.queue_id)}`}
						{(s.text || !!s.code) && <p>{[s.stage, s.code || "", s.enhanced, s.text].filter(Boolean).join(" ")}</p>}
					</div>
				</li>
			))}
		</ol>
	);
}

function Whole({ t, m }: { t: Texts; m: Message }) {
	return (
		<>
			<section class="card" aria-label={t.message.title}><Envelope t={t} m={m} /></section>
			<Section title={t.message.recipients}>
				<ul class="rows">
					{m.recipients.map((r) => (
						<li key={r.recipient_index} class="row">
							<p><strong>{r.recipient}</strong> <State state={r.state} name={t.queue.states[r.state] ?? r.state} /> {r.next_in_s ? t.queue.next(span(t, r.next_in_s)) : ""}</p>
							{r.reason && <p class="evidence">{r.reason}</p>}
							<Steps t={t} steps={(m.attempts ?? []).filter((a) => a.recipient === r.recipient_index)} />
						</li>
					))}
				</ul>
			</Section>
		</>
	);
}
