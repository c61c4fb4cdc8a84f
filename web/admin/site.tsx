/* One site: its state with the evidence, the picture of its day, the switches, its servers. */
import { useState } from "preact/hooks";
import { useCell } from "../common/cell";
import { number } from "../common/i18n";
import { Button, LinkButton } from "../common/components/button";
import { timeline, type Mark, type Override, type Site, type Status, type Timeline } from "./api";
import { Chart } from "./chart";
import { DrainBox } from "./drain";
import { Load, Page, Pick, Section, State, Warn } from "./parts";
import { path } from "./router";
import { status } from "./session";
import { SwitchDialog } from "./switchdialog";
import { span, useTexts, when, whenUs, type Texts } from "./texts";
import { useLoad } from "./use";

const HOURS: Record<string, number> = { hour: 1, six: 6, day: 24 };

export function SitePage({ name }: { name: string }) {
	const t = useTexts();
	const s = useCell(status).is;
	const site = s?.sites.find((x) => x.name === name);
	if (!s) return <Page title={t.site.title(name)}><p class="loading"><span class="spinner" aria-hidden="true" />{t.app.loading}</p></Page>;
	if (!site) return <Page title={t.site.title(name)}><p>{t.app.nothing}</p><LinkButton href={path("overview")}>{t.pages.overview}</LinkButton></Page>;
	return (
		<Page title={t.site.title(name)} text={site.domains.join(", ")} side={<State state={site.state} name={t.state[site.state] ?? site.state} />}>
			<Now t={t} s={site} />
			<Day t={t} name={name} />
			<Section title={t.site.switches}><div class="switches"><Switch noun="hold" t={t} s={site} all={s} /><Switch noun="continuity" t={t} s={site} all={s} /></div></Section>
			<Servers t={t} s={site} />
		</Page>
	);
}

function Now({ t, s }: { t: Texts; s: Site }) {
	return (
		<section class="card" aria-label={t.site.evidence}>
			<p><strong>{t.stateText[s.state]}</strong> {s.since && t.overview.since(when(s.since))}</p>
			{s.evidence && <p class="evidence">{s.evidence}{s.class && s.confidence ? ` (${s.class}, ${t.site.sure(s.confidence)})` : ""}</p>}
			<p class="figure"><strong>{s.held === null ? "?" : number(s.held)}</strong> <a href={path("queue", `site=${s.name}`)}>{t.overview.heldHere}{s.held && s.oldest_age_s ? `, ${t.overview.oldest(span(t, s.oldest_age_s))}` : ""}</a></p>
			<DrainBox t={t} s={s} />
		</section>
	);
}

/* ---- the picture ---- */

function Day({ t, name }: { t: Texts; name: string }) {
	const [range, setRange] = useState("hour");
	const line = useLoad<Timeline>(name, () => timeline(name), 5000);
	return (
		<Section title={t.site.timeline} side={<Pick label={t.site.range} value={range} onPick={setRange} options={Object.entries(t.site.ranges)} />}>
			<Load of={line}>{(l) => <Picture t={t} line={l} hours={HOURS[range] ?? 24} />}</Load>
		</Section>
	);
}

function Picture({ t, line, hours }: { t: Texts; line: Timeline; hours: number }) {
	const wide = hours * 3600e6;
	const fromUs = Math.floor((line.now_us - wide) / 60e6) * 60e6;
	const shown = line.buckets?.filter((b) => b.at_us >= fromUs) ?? [];
	const summary = t.site.timelineSummary(shown.reduce((n, b) => n + b.probes, 0), shown.reduce((n, b) => n + b.failed, 0));
	const marks = line.marks?.filter((m) => m.at_us >= fromUs).reverse() ?? [];
	if (!line.ok || !line.buckets.length) return <p>{t.site.timelineEmpty}</p>;
	return (
		<>
			<Chart t={t} line={line} fromUs={fromUs} label={summary} />
			<p class="quiet">{summary} {t.site.legend}</p>
			<h3>{t.site.marks}</h3>
			{marks.length === 0 ? <p>{t.site.noMarks}</p> : <ol class="marks">{marks.slice(0, 50).map((m, i) => <MarkLine key={`${m.at_us} ${i}`} t={t} m={m} />)}</ol>}
		</>
	);
}

function MarkLine({ t, m }: { t: Texts; m: Mark }) {
	return (
		<li>
			<time>{whenUs(m.at_us, true)}</time>
			<div>
				<strong>{t.audit.verbs[m.verb] ?? m.verb} {t.audit.modes[m.argument] ?? t.state[m.argument] ?? m.argument}</strong>
				{m.actor && m.actor !== "watch" && <span class="quiet"> {t.app.by(m.actor)}</span>}
				{m.reason && <p>{m.reason}{m.class && m.confidence && m.verb === "site.state" ? ` (${t.site.sure(m.confidence)})` : ""}</p>}
			</div>
		</li>
	);
}

/* ---- switches ---- */

function Order({ t, o }: { t: Texts; o: Override }) {
	if (o.mode === "auto") return null;
	return <p class="quiet">{[o.by && t.app.by(o.by), o.until && t.app.until(when(o.until)), o.reason].filter(Boolean).join(", ")}</p>;
}

function Switch({ noun, t, s, all }: { noun: "hold" | "continuity"; t: Texts; s: Site; all: Status }) {
	const [open, setOpen] = useState(false);
	const c = s.continuity, o = s[noun];
	const domains = (noun === "hold" ? all.overrides : all.continuity_overrides)?.filter((x) => s.domains.includes(x.target)) ?? [];
	if (!o) return null;
	return (
		<div class="switch">
			<h3>{t.site[noun]}</h3>
			{noun === "hold" ? <p>{t.site.holdText[o.mode]}</p> : <p>{t.site.continuityText[c?.state ?? "off"]}</p>}
			{noun === "continuity" && c && o.mode === "auto" && <p class="quiet">{t.site.continuitySwitch[c.switch]?.(span(t, c.after_ms / 1000))}</p>}
			{noun === "continuity" && c?.blocked && <Warn>{t.site.blocked}</Warn>}
			<Order t={t} o={o} />
			{domains.map((d) => <div key={d.target}><p>{t.site.domainOrder(t.site[noun], d.target, d.mode)}</p><Order t={t} o={d} /></div>)}
			<Button onClick={() => setOpen(true)} kind={c?.state === "asks" && noun === "continuity" ? "main" : undefined}>{t.site[noun]}: {t.site.change}</Button>
			{open && <SwitchDialog noun={noun} site={s} onClose={() => setOpen(false)} />}
		</div>
	);
}

/* ---- servers ---- */

function Servers({ t, s }: { t: Texts; s: Site }) {
	if (!s.primaries) return null;
	return (
		<Section title={t.site.primaries}>
			{s.probe && <p class="quiet">{t.site.probe(span(t, s.probe.every_ms / 1000), span(t, s.probe.next_ms / 1000))}</p>}
			<ul class="rows">
				{s.primaries.map((p) => (
					<li key={`${p.host} ${p.port}`} class="row">
						<div><strong>{p.host}:{p.port}</strong> <State state={p.good === null ? "unknown" : p.good ? "up" : "down"} name={p.good === null ? t.site.notProbed : p.good ? t.site.good : t.site.bad} /></div>
						<p class="quiet">{p.text}{p.at ? ` (${when(p.at, true)})` : ""}</p>
					</li>
				))}
			</ul>
		</Section>
	);
}
