/* What writing needs all over the page: the drafts kept here, what waits to be sent, known people, identities. */
import { toast } from "../../common/components/toast";
import { texts } from "../../common/i18n";
import { Cell } from "../../common/cell";
import type { ApiError } from "../../common/api";
import type { GetResponse, Identity, JmapError } from "../../common/jmap";
import { go, route } from "../router";
import { isOnline, jmap, login, storageOf } from "../session";
import { shown, type Draft } from "./draft";
import { LocalDrafts } from "./local";
import { Outbox, UNDO_MS, type Entry } from "./outbox";
import { People } from "./people";

export type Desk = { local: LocalDrafts; outbox: Outbox; people: People };

let desk: Desk | null = null;
let owner = "";
export const identities = new Cell<readonly Identity[] | null>(null);

let moves = 0;
if (typeof window !== "undefined") window.addEventListener("hashchange", () => { moves++; });
/** "Back" leads to a page of ours; before the first move may be another site. */
export const hasMoved = (): boolean => moves > 0;

/** Of the person who is logged in; made at the first call. */
export function useDesk(): Desk {
	const account = login.value.state === "in" ? login.value.me.account : owner;
	if (desk && owner === account) return desk;
	owner = account;
	const storage = storageOf(account);
	desk = { local: new LocalDrafts(account, storage), outbox: new Outbox(jmap, `outbox.${account}`, storage), people: new People(`people.${account}`, storage) };
	desk.outbox.onSent = sent;
	desk.outbox.onRefused = notSent;
	return desk;
}

/** Asked for once; then for every message that is begun. */
export async function loadIdentities(): Promise<readonly Identity[]> {
	if (identities.value) return identities.value;
	const r = await jmap.call<GetResponse<Identity>>("Identity/get", { ids: null });
	return (identities.value = r.list);
}

/** At the start of the page: goes on with what a reload interrupted, and says so. */
export function startCompose(): void {
	const d = useDesk();
	const work = () => { if (isOnline.value && login.value.state === "in") d.outbox.wake(); };
	isOnline.watch(work);
	login.watch(work);
	window.addEventListener("online", work);
	window.addEventListener("storage", (e) => { if (e.key?.startsWith("outbox.")) d.outbox.read(); });
	work();
	const kept = d.local.all().find((x) => x.changedAt > x.savedAt);
	if (kept && route.value.page !== "write") toast(texts().compose.recovered, { ms: 15_000, action: { label: texts().compose.open, run: () => open(kept) } });
}

/** Messages that only this browser has: to be sent, or not on the server yet. */
export function unsafe(): number {
	const { local, outbox } = useDesk();
	outbox.read();
	return outbox.entries.value.length + local.all().filter((d) => d.changedAt > d.savedAt).length;
}

export function open(d: Draft): void {
	const dot = d.key.indexOf(".");
	const kind = dot < 0 ? "" : d.key.slice(0, dot);
	go({ page: "write", kind, email: dot < 0 ? "" : d.key.slice(dot + 1) });
}

/** Hands a message over: it goes in some seconds unless taken back. */
export function send(d: Draft, identity: Identity | null): void {
	const { outbox, local, people } = useDesk();
	const e = outbox.add(d, identity);
	local.drop(d.key);
	people.saw([...d.to, ...d.cc, ...d.bcc], 5);
	people.keep();
	const t = texts().compose;
	toast(isOnline.value ? t.sending : t.willBeSent, { ms: UNDO_MS, action: { label: t.undoSend, run: () => {
		const back = outbox.undo(e.id);
		if (!back) return void toast(t.tooLate);
		local.put({ ...back, savedAt: 0 });
		open(back);
	} } });
}

function sent(e: Entry): void {
	toast(texts().compose.sent(e.draft.to.concat(e.draft.cc, e.draft.bcc).map(shown)[0] ?? ""));
}

/** What the server's refusal means for the person. */
export function reasonOf(why: JmapError | ApiError): string {
	const t = texts().compose.refused;
	return t[why.type] ?? (why.message && why.message !== why.type ? why.message : t.other ?? "");
}

function notSent(e: Entry, why: JmapError | ApiError): void {
	const { local } = useDesk();
	local.put({ ...e.draft, savedAt: 0, changedAt: Date.now() });
	toast(texts().compose.notSent(reasonOf(why)), { bad: true, ms: 60_000, action: { label: texts().compose.open, run: () => open(e.draft) } });
}

