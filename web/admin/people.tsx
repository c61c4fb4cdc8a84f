/* Who could log in here, and how those who cannot get a way in. */
import { useState } from "preact/hooks";
import { Button } from "../common/components/button";
import { Dialog } from "../common/components/dialog";
import { Field } from "../common/components/field";
import { Menu } from "../common/components/menu";
import { ActDialog, type Asked } from "./actdialog";
import { people, peopleAct, type Account, type People } from "./api";
import { Load, Page, Pick, Select, State } from "./parts";
import { look, lost } from "./session";
import { useTexts, type Texts } from "./texts";
import { attempt, useLoad, why } from "./use";

type Code = { account: string; code: string };

const cannot = (a: Account) => a.state === "active" && !a.can_log_in;

function how(t: Texts, a: Account): string {
	const h = t.people.how;
	const key = a.state !== "active" ? "disabled" : !a.can_log_in ? (a.invited ? "invited" : a.passthrough ? "seen" : "none") : a.password === "kept" ? "kept" : a.password ? "own" : "app";
	return h[key] ?? key;
}

export function PeoplePage() {
	const t = useTexts();
	const [match, setMatch] = useState(""), [text, setText] = useState("");
	const list = useLoad<People>(match, () => people(match));
	return (
		<Page title={t.people.title} text={t.people.text}>
			<form class="filter" onSubmit={(e) => { e.preventDefault(); setMatch(text.trim()); }}>
				<Field label={t.people.find} value={text} onValue={setText} type="search" spellcheck={false} />
				<Button type="submit" icon="search">{t.queue.search}</Button>
			</form>
			<Load of={list}>{(p) => <Everybody t={t} p={p} again={list.again} />}</Load>
		</Page>
	);
}

function Everybody({ t, p, again }: { t: Texts; p: People; again: () => void }) {
	const [filter, setFilter] = useState("all");
	const [inviting, setInviting] = useState<Account[] | null>(null);
	const active = p.accounts.filter((a) => a.state === "active"), can = active.filter((a) => a.can_log_in);
	const without = p.accounts.filter(cannot), invited = without.filter((a) => a.invited);
	const shown = filter === "cannot" ? without : filter === "invited" ? invited : p.accounts;
	return (
		<>
			<section class="card" aria-label={t.people.title}>
				<p class="figure"><strong>{active.length ? Math.round((100 * can.length) / active.length) : 0} %</strong> <span>{t.people.share(can.length, active.length)}{invited.length ? `, ${t.people.invited(invited.length)}` : ""}</span></p>
				<progress class="bar" max={Math.max(1, active.length)} value={can.length} aria-label={t.people.share(can.length, active.length)} />
				{!!p.damaged_files && <p class="evidence">{t.people.damaged(p.damaged_files)}</p>}
				<div class="card-head">
					<Pick label={t.people.find} value={filter} onPick={setFilter} options={Object.entries(t.people.filter)} />
					<span class="grow" />
					{without.length > 0 && <Button onClick={() => setInviting(without)}>{t.people.inviteAll(without.length)}</Button>}
				</div>
				{shown.length === 0 && <p>{t.people.none}</p>}
				<ul class="rows">{shown.map((a) => <Line key={a.account} t={t} a={a} again={again} invite={() => setInviting([a])} />)}</ul>
			</section>
			{inviting && <Invite t={t} who={inviting} onClose={() => { setInviting(null); again(); void look(); }} />}
		</>
	);
}

function Line({ t, a, again, invite }: { t: Texts; a: Account; again: () => void; invite: () => void }) {
	const [asked, ask] = useState<Asked | null>(null);
	const begin = (verb: string) => ask({
		title: `${t.people.acts[verb]?.replace(/ …$/, "")}: ${a.account}`, text: t.people.ask[verb]?.(a.name || a.account) ?? "", go: t.people.acts[verb]?.replace(/ …$/, "") ?? verb,
		danger: verb !== "enable", needsReason: true,
		run: async (reason) => {
			const ok = await attempt(t, () => peopleAct({ verb, account: a.account, reason }), () => t.switches.done);
			if (ok) again();
			return ok;
		},
	});
	const verbs = [a.state === "active" ? "disable" : "enable", ...(a.totp ? ["factor-remove"] : [])];
	return (
		<li class="row mail">
			<div class="mail-what">
				<strong>{a.name || a.account}</strong>
				<p>{a.name ? `${a.account} ` : ""}{[a.totp && t.people.factor, a.admin && t.people.administrator].filter(Boolean).join(", ")}</p>
			</div>
			<div class="mail-how"><State state={a.state !== "active" ? "unknown" : a.can_log_in ? "up" : "suspect"} name={how(t, a)} /></div>
			<Menu icon="more" label={t.people.act(a.account)} items={() => [
				...(a.state === "active" ? [{ label: t.people.acts.invite ?? "", run: invite }] : []),
				...verbs.map((v) => ({ label: t.people.acts[v] ?? v, danger: v === "disable", run: () => begin(v) })),
			]} />
			{asked && <ActDialog ask={asked} onClose={() => ask(null)} />}
		</li>
	);
}

/* ---- invitations: made one after the other, shown once ---- */

function Invite({ t, who, onClose }: { t: Texts; who: Account[]; onClose: () => void }) {
	const [valid, setValid] = useState(t.people.valids[1]?.[0] ?? 604_800_000);
	const [codes, setCodes] = useState<Code[]>([]);
	const [failed, setFailed] = useState<string[]>([]);
	const [state, setState] = useState<"ask" | "busy" | "done">("ask");
	const make = async () => {
		setState("busy");
		const made: Code[] = [], not: string[] = [];
		for (const a of who) {
			try {
				const r = await peopleAct({ verb: "invite", account: a.account, for_ms: valid });
				made.push({ account: a.account, code: r.code ?? "" });
			} catch (e) {
				if (lost(e)) return;
				not.push(`${a.account}: ${why(t, e)}`);
			}
			setCodes([...made]);
			setFailed([...not]);
		}
		setState("done");
	};
	const one = who.length === 1 ? who[0] : undefined;
	return (
		<Dialog big title={one ? `${t.people.acts.invite?.replace(/ …$/, "")}: ${one.account}` : t.people.codes} closeLabel={t.app.close} onClose={onClose} foot={state === "ask" ? <>
			<Button onClick={onClose}>{t.app.cancel}</Button>
			<Button kind="main" onClick={make}>{t.people.acts.invite?.replace(/ …$/, "")}</Button>
		</> : <>
			<Button icon="print" onClick={() => window.print()}>{t.app.print}</Button>
			<Button icon="check" onClick={() => navigator.clipboard?.writeText(codes.map((c) => `${c.account}\t${c.code}`).join("\n"))}>{t.app.copy}</Button>
			<Button kind="main" onClick={onClose}>{t.app.close}</Button>
		</>}>
			{state === "ask" && <>
				<div class="notice care will"><strong>{t.switches.will}</strong><p>{one ? t.people.ask.invite?.(one.name || one.account) : t.people.inviteAllText(who.length)}</p></div>
				<Select label={t.people.valid} value={String(valid)} onPick={(v) => setValid(Number(v))} options={t.people.valids.map(([ms, name]) => [String(ms), name] as const)} />
			</>}
			{state === "busy" && <p role="status">{t.people.inviting(codes.length + failed.length, who.length)}</p>}
			{state !== "ask" && <div class="codes">
				<p>{t.people.codesText}</p>
				<p>{t.people.codesHow(t.people.portal)}</p>
				<table><thead><tr><th scope="col">{t.people.account}</th><th scope="col">{t.people.code}</th></tr></thead>
					<tbody>{codes.map((c) => <tr key={c.account}><td>{c.account}</td><td><code>{c.code}</code></td></tr>)}</tbody></table>
				{failed.length > 0 && <><p class="evidence">{t.people.failedFor(failed.length)}</p><ul>{failed.map((f) => <li key={f}>{f}</li>)}</ul></>}
			</div>}
		</Dialog>
	);
}
