/*
 * Brings from the server what the page shows, in as few requests as there can be: the first list with all mailboxes is one;
 * so is what a change on the server makes necessary. Draws nothing.
 */
import { Cell } from "../../common/cell";
import { BOX_PROPERTIES, LIST_PROPERTIES, READ_PROPERTIES, type ChangesResponse, type Email, type FullEmail, type GetResponse, type Id, type Jmap, type Mailbox, type QueryResponse,
	type Snippet } from "../../common/jmap";
import { BRIEF_PROPERTIES, Cache, type Brief, type Filter, type List } from "./cache";
import { family } from "./boxes";
import { filterOf } from "./search";

export const PAGE = 50;
const FIRST = 30; // rows of the first list: more than any screen shows, less to carry
const FULL_KEPT = 60; // messages with bodies
const BODY_BYTES = 512 * 1024;

type Threads = GetResponse<{ id: Id; emailIds: Id[] }>;

export class Mail {
	readonly cache = new Cache();
	/** Grows with every change of the cache: what looks at mail watches it. */
	readonly version = new Cell(0);
	/** Of the present search: hits by message. */
	readonly snippets = new Map<Id, Snippet>();
	readonly full = new Map<Id, FullEmail>();
	/** Messages that came in while the page was open, for a word to the screen reader. */
	onArrived: (emails: Brief[]) => void = () => {};
	private state = "";
	private boxState = "";
	private loading = new Set<string>();
	private reading = new Map<string, Promise<void>>();
	private refreshing: Promise<void> | null = null;
	private again = false;
	/** What is on the screen: refreshed first. */
	private view: { list: List; first: number; last: number } | null = null;

	constructor(readonly jmap: Pick<Jmap, "call">, private readonly keptInbox: { get(): Id; set(id: Id): void } = { get: () => "", set: () => {} }) {}

	changed(): void {
		this.version.value++;
	}

	/* ---- lists ---- */

	boxList(box: Id): List {
		return this.cache.list(`box ${box}`, { inMailbox: box }, box);
	}

	searchList(words: string): List {
		const all = this.cache.boxes();
		const out = ["trash", "junk"].flatMap((r) => family(all, this.cache.role(r)?.id ?? "").map((b) => b.id));
		return this.cache.list(`search ${words}`, filterOf(words, "", out), "", words);
	}

	/** Mailboxes and the first list in one request; in two only where this browser has never seen this account. */
	async start(box: Id | "inbox"): Promise<void> {
		let id = box === "inbox" ? this.keptInbox.get() : box;
		const boxes = this.askBoxes();
		if (id) {
			void this.load(this.boxList(id), 0, FIRST).catch(() => {});
			await boxes;
		} else {
			await boxes;
		}
		const inbox = this.cache.role("inbox")?.id ?? "";
		if (inbox) this.keptInbox.set(inbox);
		if (box === "inbox" && inbox !== id) {
			id = inbox;
			if (id) await this.load(this.boxList(id), 0, FIRST);
		}
	}

	private async askBoxes(): Promise<void> {
		const r = await this.jmap.call<GetResponse<Mailbox>>("Mailbox/get", { ids: null, properties: BOX_PROPERTIES });
		this.tookBoxes(r);
		this.changed();
	}

	tookBoxes(r: GetResponse<Mailbox>): void {
		this.boxState = r.state;
		this.cache.setBoxes(sortedBoxes(r.list));
	}

	/** The rows of a window, when they are not here yet. */
	show(l: List, first: number, last: number): void {
		this.view = { list: l, first, last };
		if (l.total === null || !l.isFresh) {
			void this.load(l, l.total === null ? 0 : pageOf(first), l.total === null ? FIRST : PAGE).catch(() => {});
			return;
		}
		for (let p = pageOf(first); p <= last && p < l.total; p += PAGE) {
			let lacks = false;
			for (let i = Math.max(p, first); i < Math.min(p + PAGE, l.total, last + 1); i++) lacks ||= !l.ids[i];
			if (lacks) void this.load(l, p, PAGE).catch(() => {});
		}
	}

	async load(l: List, position: number, limit: number): Promise<void> {
		const key = `${l.key} ${position}`;
		if (this.loading.has(key)) return;
		this.loading.add(key);
		try {
			await this.ask(l, position, limit, l.isFresh);
		} catch (e) {
			l.failed = e;
			throw e;
		} finally {
			this.loading.delete(key);
			this.changed();
		}
	}

	private async ask(l: List, position: number, limit: number, keepRest: boolean): Promise<void> {
		const q = this.jmap.call<QueryResponse>("Email/query", queryOf(l, position, limit));
		const g = this.jmap.call<GetResponse<Email>>("Email/get", { "#ids": q.ref("/ids"), properties: LIST_PROPERTIES });
		const t = this.jmap.call<Threads>("Thread/get", { "#ids": g.ref("/list/*/threadId") });
		const m = this.jmap.call<GetResponse<Brief>>("Email/get", { "#ids": t.ref("/list/*/emailIds"), properties: BRIEF_PROPERTIES });
		const s = l.words ? this.jmap.call<GetResponse<Snippet>>("SearchSnippet/get", { "#emailIds": q.ref("/ids"), filter: l.filter }) : null;
		const [query, emails, threads, members, snippets] = await Promise.all([q, g, t.catch(() => null), m.catch(() => null), s?.catch(() => null)]);
		this.took(emails.state);
		this.cache.put(emails.list);
		if (members) this.cache.put(members.list);
		if (threads && members) this.cache.putThreads(threads.list);
		for (const x of snippets?.list ?? []) this.snippets.set(x.emailId, x);
		this.cache.putWindow(l, query.position, query.ids, query.total ?? query.position + query.ids.length, keepRest);
	}

	/* ---- one conversation ---- */

	/** All of a conversation, with bodies; from memory when it is there. */
	async read(thread: Id): Promise<void> {
		const known = this.cache.threads.get(thread);
		if (known?.length && known.every((id) => this.full.has(id))) return;
		const key = `${thread} ${known?.join(" ") ?? ""}`; // of the same messages one is enough
		let way = this.reading.get(key);
		if (!way) this.reading.set(key, (way = this.fetchThread(thread).finally(() => this.reading.delete(key))));
		return way;
	}

	private async fetchThread(thread: Id): Promise<void> {
		const t = this.jmap.call<Threads>("Thread/get", { ids: [thread] });
		const g = this.jmap.call<GetResponse<FullEmail>>("Email/get", { "#ids": t.ref("/list/*/emailIds"), properties: READ_PROPERTIES, fetchTextBodyValues: true,
			fetchHTMLBodyValues: true, maxBodyValueBytes: BODY_BYTES,
			bodyProperties: ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "location"] });
		const [threads, emails] = await Promise.all([t, g]);
		this.took(emails.state);
		this.cache.putThreads(threads.list);
		this.cache.put(emails.list);
		for (const e of emails.list) {
			this.full.delete(e.id);
			this.full.set(e.id, e);
		}
		for (const id of this.full.keys()) {
			if (this.full.size <= FULL_KEPT) break;
			if (!emails.list.some((e) => e.id === id)) this.full.delete(id);
		}
		this.changed();
	}

	/** Fetched while nothing else is to do: the next one opens at once. */
	readAhead(thread: Id): void {
		if (!this.loading.size) void this.read(thread).catch(() => {});
	}

	/* ---- changes on the server ---- */

	/** A push or another answer says that mail has this state now. */
	took(state: string): void {
		if (!this.state) this.state = state;
		else if (state !== this.state) void this.refresh().catch(() => {});
	}

	pushed(changed: Record<string, string>): void {
		if ((changed.Email && changed.Email !== this.state) || (changed.Mailbox && changed.Mailbox !== this.boxState)) void this.refresh().catch(() => {});
	}

	/** After our own Email/set: what changed since then was us alone. */
	stepped(oldState: string | null, newState: string): void {
		if (oldState === this.state) this.state = newState;
		else void this.refresh().catch(() => {});
	}

	/** Brings everything up to date; calls made meanwhile lead to one more round. */
	refresh(): Promise<void> {
		if (!this.state && this.loading.size) return Promise.resolve(); // what is on its way is new enough
		if (this.refreshing) {
			this.again = true;
			return this.refreshing;
		}
		this.refreshing = this.rounds().finally(() => { this.refreshing = null; });
		return this.refreshing;
	}

	private async rounds(): Promise<void> {
		do {
			this.again = false;
			if (await this.round()) this.again = true;
		} while (this.again);
	}

	/** One small request, and another where rows came that are not known; true when there is more. */
	private async round(): Promise<boolean> {
		const since = this.state;
		const boxes = this.jmap.call<GetResponse<Mailbox>>("Mailbox/get", { ids: null, properties: BOX_PROPERTIES });
		const c = since ? this.jmap.call<ChangesResponse>("Email/changes", { sinceState: since, maxChanges: 250 }) : null;
		const u = c && this.jmap.call<GetResponse<Brief>>("Email/get", { "#ids": c.ref("/updated"), properties: BRIEF_PROPERTIES });
		const n = c && this.jmap.call<GetResponse<Brief>>("Email/get", { "#ids": c.ref("/created"), properties: LIST_PROPERTIES });
		const t = n && this.jmap.call<Threads>("Thread/get", { "#ids": n.ref("/list/*/threadId") });
		const m = t && this.jmap.call<GetResponse<Brief>>("Email/get", { "#ids": t.ref("/list/*/emailIds"), properties: BRIEF_PROPERTIES });
		const v = this.view;
		const position = v ? pageOf(v.first) : 0;
		const size = v ? Math.min(250, Math.max(PAGE, v.last - position + 1)) : 0;
		const q = v && this.jmap.call<QueryResponse>("Email/query", queryOf(v.list, position, size));
		const threads = t?.catch(() => null), members = m?.catch(() => null);
		try {
			const [b, changes, updated, created, window, ofThreads, all] = await Promise.all([boxes, c, u, n, q, threads, members]);
			this.tookBoxes(b);
			if (all && ofThreads) {
				this.cache.put(all.list);
				this.cache.putThreads(ofThreads.list);
			}
			if (changes && updated && created) this.apply(changes, updated.list, created.list);
			if (!changes || changes.created.length || changes.updated.length || changes.destroyed.length)
				for (const l of this.cache.lists.values()) if (l !== v?.list) l.isFresh = false;
			if (v && window) await this.tookWindow(v.list, window, size);
			return changes?.hasMoreChanges ?? false;
		} catch (e) {
			if ((e as { type?: string }).type !== "cannotCalculateChanges") throw e;
			this.state = "";
			this.full.clear();
			this.cache.clear();
			return true;
		} finally {
			this.changed();
		}
	}

	private async tookWindow(l: List, window: QueryResponse, size: number): Promise<void> {
		const { position, ids } = window, total = window.total ?? position + ids.length;
		const isSame = total === l.total && ids.every((id, i) => l.ids[position + i] === id);
		if (ids.every((id) => this.cache.base.has(id))) this.cache.putWindow(l, position, ids, total, isSame);
		else await this.ask(l, position, size, false);
	}

	private apply(c: ChangesResponse, updated: Brief[], created: Brief[]): void {
		this.state = c.newState;
		this.cache.put(updated.filter((e) => this.cache.base.has(e.id)));
		for (const e of updated) {
			const f = this.full.get(e.id);
			if (f) this.full.set(e.id, { ...f, keywords: e.keywords, mailboxIds: e.mailboxIds });
		}
		this.cache.put(created);
		for (const e of created) {
			const t = this.cache.threads.get(e.threadId);
			if (t && !t.includes(e.id)) this.cache.threads.set(e.threadId, [...t, e.id]);
		}
		this.cache.drop(c.destroyed);
		for (const id of c.destroyed) this.full.delete(id);
		const inbox = this.cache.role("inbox")?.id ?? "";
		const arrived = created.filter((e) => e.mailboxIds[inbox] && !e.keywords.$seen);
		if (arrived.length) this.onArrived(arrived);
	}
}

const queryOf = (l: List, position: number, limit: number) => ({ filter: l.filter, sort: [{ property: "receivedAt", isAscending: false }], collapseThreads: true, position, limit,
	calculateTotal: true });

const pageOf = (i: number) => Math.max(0, Math.floor(i / PAGE) * PAGE);

const ROLES = ["inbox", "drafts", "sent", "archive", "junk", "trash"];

/** Those with a role first, in the order people know; then by name, each below its parent. */
export function sortedBoxes(list: readonly Mailbox[]): Mailbox[] {
	const rank = (b: Mailbox) => { const i = ROLES.indexOf(b.role ?? ""); return i < 0 ? ROLES.length : i; };
	const by = new Map<Id | null, Mailbox[]>();
	const known = new Set(list.map((b) => b.id));
	for (const b of list) {
		const parent = b.parentId && known.has(b.parentId) ? b.parentId : null;
		by.set(parent, [...(by.get(parent) ?? []), b]);
	}
	const out: Mailbox[] = [];
	const todo = [...(by.get(null) ?? [])].sort(order).reverse();
	function order(a: Mailbox, b: Mailbox): number {
		return rank(a) - rank(b) || a.sortOrder - b.sortOrder || a.name.localeCompare(b.name);
	}
	while (todo.length) {
		const b = todo.pop()!;
		out.push(b);
		todo.push(...(by.get(b.id) ?? []).sort(order).reverse());
	}
	return out;
}

export type { Filter };
