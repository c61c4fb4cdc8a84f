/* All sites on one page: what is wrong, what it needs, how the hand-back goes. */
import { useCell } from "../common/cell";
import { bytes, number } from "../common/i18n";
import { LinkButton } from "../common/components/button";
import type { Site, Status } from "./api";
import { DrainBox } from "./drain";
import { Page, Section, State } from "./parts";
import { path } from "./router";
import { status } from "./session";
import { span, useTexts, when, type Texts } from "./texts";

const isDown = (s: Site) => s.state === "down" || s.state === "stopped" || s.state === "removed";
const isTried = (s: Site) => s.state === "probation" || s.state === "suspect";

function headline(t: Texts, s: Status): { text: string; kind: string } {
	const down = s.sites.filter(isDown).length, tried = s.sites.filter(isTried).length, unknown = s.sites.some((x) => x.state === "unknown");
	const text = down ? t.overview.down(down, s.sites.length) : tried ? t.overview.trying(tried) : unknown ? t.overview.unknown : t.overview.allUp(s.sites.length);
	return { text: s.held === null ? text : `${text} ${t.overview.held(s.held)}`, kind: down ? "bad" : tried || unknown || s.held || !s.ok ? "care" : "good" };
}

type Need = { text: string; href?: string };

function needs(t: Texts, s: Status): Need[] {
	const o = t.overview;
	const all: Need[] = [];
	for (const x of s.sites) {
		if (x.continuity?.state === "asks") all.push({ text: o.asks(x.name), href: path("site", x.name) });
		if (x.state === "removed") all.push({ text: o.removed(x.name), href: path("queue", `site=${x.name}`) });
		if (x.stopped) all.push({ text: `${x.name}: ${x.stopped}`, href: path("site", x.name) });
		if (x.home.decide) all.push({ text: `${x.name}: ${t.drain.homeDecide(x.home.decide)}`, href: path("queue") });
	}
	if (s.decide) all.push({ text: o.decide(s.decide), href: path("queue", "state=decide") });
	if (s.controls?.own_network_down) all.push({ text: o.network });
	if (s.disk?.below_reserve) all.push({ text: o.disk(bytes(s.disk.free_bytes ?? 0)) });
	if (s.ledger?.trouble) all.push({ text: o.ledger(s.ledger.trouble) });
	for (const r of s.roles ?? []) if (r.state !== "running") all.push({ text: o.role(r.name, r.state) + (r.last_words ? ` ${r.last_words}` : "") });
	for (const m of s.missing) all.push({ text: o.missing(m) });
	return all;
}

export function OverviewPage() {
	const t = useTexts();
	const s = useCell(status).is;
	if (!s) return <Page title={t.overview.title}><p class="loading"><span class="spinner" aria-hidden="true" />{t.app.loading}</p></Page>;
	const head = headline(t, s), list = needs(t, s);
	return (
		<Page title={t.overview.title}>
			<p class={`notice big ${head.kind}`} role="status">{head.text}</p>
			<Section title={t.overview.attention}>
				{list.length === 0 ? <p>{t.overview.fine}</p> : (
					<ul class="needs">{list.map((n) => <li key={n.text}>{n.href ? <a href={n.href}>{n.text}</a> : n.text}</li>)}</ul>
				)}
			</Section>
			<h2 class="sr-only">{t.overview.sites}</h2>
			<div class="sites">{s.sites.map((x) => <SiteCard key={x.name} t={t} s={x} />)}</div>
			<Foot t={t} s={s} />
		</Page>
	);
}

function SiteCard({ t, s }: { t: Texts; s: Site }) {
	return (
		<article class="card site">
			<div class="card-head">
				<h3><a href={path("site", s.name)}>{s.name}</a></h3>
				<State state={s.state} name={t.state[s.state] ?? s.state} />
			</div>
			<p class="quiet">{s.since ? t.overview.since(when(s.since)) : ""}{s.domains.length ? ` · ${s.domains.slice(0, 3).join(", ")}${s.domains.length > 3 ? " …" : ""}` : ""}</p>
			{s.state !== "up" && s.evidence && <p class="evidence">{s.evidence}</p>}
			<p class="figure"><strong>{s.held === null ? "?" : number(s.held)}</strong> <span>{t.overview.heldHere}{s.held && s.oldest_age_s ? `, ${t.overview.oldest(span(t, s.oldest_age_s))}` : ""}</span></p>
			<DrainBox t={t} s={s} />
			{s.continuity && s.continuity.state !== "off" && <p>{t.site.continuityText[s.continuity.state]}</p>}
			{s.hold && s.hold.mode !== "auto" && <p>{t.site.holdText[s.hold.mode]}</p>}
			<LinkButton href={path("site", s.name)}>{t.overview.open}</LinkButton>
		</article>
	);
}

function Foot({ t, s }: { t: Texts; s: Status }) {
	const o = t.overview, running = (s.roles ?? []).filter((r) => r.state === "running").length;
	return (
		<footer class="foot">
			{s.people ? <a href={path("people")}>{o.people(s.people.can_log_in, s.people.accounts)}{s.people.invited ? `, ${o.invited(s.people.invited)}` : ""}</a> : <span>{o.peopleNone}</span>}
			{s.disk?.free_bytes !== undefined && <span>{o.disksFree(bytes(s.disk.free_bytes))}</span>}
			{running > 0 && <span>{o.roles(running)}</span>}
			{!!s.views.lag_records && <span>{o.lag(s.views.lag_records)}</span>}
			<span>{o.version(s.version, s.node)}</span>
		</footer>
	);
}
