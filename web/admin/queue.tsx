/* What is held, oldest first, and what people did that is not at home yet. */
import { useEffect, useState } from "preact/hooks";
import { bytes } from "../common/i18n";
import { Button } from "../common/components/button";
import { Field } from "../common/components/field";
import { home, queue, type Home, type Queue, type Row } from "./api";
import { Load, Page, Pick, Section, State } from "./parts";
import { QueueActs } from "./queueacts";
import { path } from "./router";
import { span, useTexts, type Texts } from "./texts";
import { attempt, useLoad } from "./use";

const LIMIT = 50;

export function QueuePage({ match }: { match: string }) {
	const t = useTexts();
	const [text, setText] = useState(match === "unsure" ? "" : match);
	const first = useLoad<Queue>(match, () => queue(match === "unsure" ? { unsure: 1 } : { match, limit: LIMIT }));
	const quick = ["", "state=decide", "state=deferred", "unsure"].includes(match) ? match : "?";
	const go = (m: string) => { location.hash = path("queue", m); };
	return (
		<Page title={t.queue.title} text={t.queue.text}>
			<form class="filter" onSubmit={(e) => { e.preventDefault(); go(text.trim()); }}>
				<Field label={t.queue.filter} hint={t.queue.filterHint} value={text} onValue={setText} type="search" spellcheck={false} />
				<Button type="submit" icon="search">{t.queue.search}</Button>
			</form>
			<Pick label={t.queue.filter} value={quick} onPick={(v) => go(v)} options={[["", t.queue.quick.all], ["state=decide", t.queue.quick.decide], ["state=deferred", t.queue.quick.deferred], ["unsure", t.queue.quick.unsure]]} />
			<Load of={first}>{(q) => <List key={match} t={t} match={match} first={q} again={first.again} />}</Load>
			<AtHome t={t} />
		</Page>
	);
}

function List({ t, match, first, again }: { t: Texts; match: string; first: Queue; again: () => void }) {
	const [more, setMore] = useState<Queue[]>([]);
	useEffect(() => setMore([]), [first]);
	const pages = [first, ...more], last = pages[pages.length - 1] ?? first;
	const load = () => attempt(t, async () => {
		if (last.next) setMore([...more, await queue({ match, limit: LIMIT, after: last.next.number, after_recipient: last.next.recipient })]);
	});
	const rows = pages.flatMap((p) => p.messages);
	return (
		<section class="card" aria-label={t.queue.title}>
			<div class="card-head">
				<p role="status">{first.total ? t.queue.total(first.total, bytes(first.total_bytes)) : t.queue.none}</p>
				<span class="grow" />
				<Button kind="plain" icon="refresh" onClick={again}>{t.app.refresh}</Button>
				{first.total > 0 && match !== "unsure" && <QueueActs match={match || "state=held"} name={t.queue.actAll} done={again} />}
			</div>
			<ul class="rows">{rows.map((r) => <Line key={`${r.number} ${r.recipient_index}`} t={t} r={r} done={again} />)}</ul>
			{last.next && <Button wide onClick={load}>{t.app.more}</Button>}
		</section>
	);
}

function Line({ t, r, done }: { t: Texts; r: Row; done: () => void }) {
	const subject = r.subject_text || t.queue.noSubject;
	return (
		<li class="row mail">
			<div class="mail-what">
				<a href={path("message", r.id)} class="mail-subject">{subject}</a>
				<p>{r.sender || t.queue.noSender} → {r.recipient}</p>
				{r.reason && <p class="evidence">{r.reason}</p>}
			</div>
			<div class="mail-how">
				<State state={r.state} name={t.queue.states[r.state] ?? r.state} />
				<span class="quiet">{span(t, r.age_s)} · {bytes(r.size)}{r.next_in_s ? ` · ${t.queue.next(span(t, r.next_in_s))}` : ""}</span>
			</div>
			<QueueActs match={r.id} name={subject} show={r.id} done={done} />
		</li>
	);
}

function AtHome({ t }: { t: Texts }) {
	const list = useLoad<Home>("home", home, 15_000);
	return (
		<Section title={t.queue.homeTitle}>
			<Load of={list}>{(h) => (
				<>
					<p>{h.waiting + h.decide ? t.queue.home(h.waiting, h.decide) : t.queue.homeNone}</p>
					<ul class="rows">
						{h.changes.slice(0, 100).map((c) => (
							<li key={`${c.account} ${c.number} ${c.what}`} class="row">
								<p><State state={c.state === "decide" ? "decide" : "deferred"} name={t.queue.homeStates[c.state] ?? c.state} /> {c.account}: {t.queue.homeWhat[c.what] ?? c.what} {c.subject_text}</p>
								{c.reason && <p class="evidence">{c.reason}</p>}
							</li>
						))}
					</ul>
				</>
			)}</Load>
		</Section>
	);
}
