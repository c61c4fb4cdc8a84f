/* Who decided, ordered or looked, when, and why. */
import { useEffect, useState } from "preact/hooks";
import { Button } from "../common/components/button";
import { Field } from "../common/components/field";
import { audit, type Act, type Acts } from "./api";
import { Load, Page } from "./parts";
import { path } from "./router";
import { useTexts, when, type Texts } from "./texts";
import { attempt, useLoad } from "./use";

export function AuditPage({ text: given }: { text: string }) {
	const t = useTexts();
	const [text, setText] = useState(given), [orders, setOrders] = useState(false);
	const key = `${given}\n${orders}`;
	const first = useLoad<Acts>(key, () => audit({ text: given, ...(orders ? { orders: 1 } : {}) }));
	return (
		<Page title={t.audit.title} text={t.audit.text}>
			<form class="filter" onSubmit={(e) => { e.preventDefault(); location.hash = path("audit", text.trim()); }}>
				<Field label={t.audit.find} value={text} onValue={setText} type="search" spellcheck={false} />
				<Button type="submit" icon="search">{t.queue.search}</Button>
			</form>
			<label class="check"><input type="checkbox" checked={orders} onChange={(e) => setOrders(e.currentTarget.checked)} /><span>{t.audit.orders}</span></label>
			<Load of={first}>{(a) => <List key={key} t={t} first={a} ask={(before) => audit({ text: given, before, ...(orders ? { orders: 1 } : {}) })} />}</Load>
		</Page>
	);
}

function List({ t, first, ask }: { t: Texts; first: Acts; ask: (before: number) => Promise<Acts> }) {
	const [more, setMore] = useState<Acts[]>([]);
	useEffect(() => setMore([]), [first]);
	const pages = [first, ...more], last = pages[pages.length - 1] ?? first;
	const acts = pages.flatMap((p) => p.history);
	return (
		<section class="card" aria-label={t.audit.title}>
			{acts.length === 0 && <p>{t.audit.none}</p>}
			<ol class="marks">{acts.map((a, i) => <Line key={`${a.number} ${i}`} t={t} a={a} />)}</ol>
			{last.next !== null && <Button wide onClick={() => attempt(t, async () => setMore([...more, await ask(last.next ?? 0)]))}>{t.app.more}</Button>}
		</section>
	);
}

function Line({ t, a }: { t: Texts; a: Act }) {
	return (
		<li>
			<time dateTime={a.at}>{when(a.at, true)}</time>
			<div>
				<strong>{t.audit.verbs[a.verb] ?? a.verb} {t.audit.modes[a.argument] ?? t.state[a.argument] ?? a.argument}</strong>{a.object && <span> · {a.object}</span>}
				<span class="quiet"> {[a.actor && a.actor !== "watch" && t.app.by(a.actor), a.until && t.audit.until(when(a.until)), a.count > 0 && t.audit.count(a.count)].filter(Boolean).join(", ")}</span>
				{a.reason && <p>{a.reason}</p>}
				{a.result && a.result !== a.reason && <p class={a.ok === false ? "evidence" : ""}>{a.result}</p>}
			</div>
		</li>
	);
}
