/*
 * What the page knows of the mailboxes, and what the person has just changed. Pure: no network, no drawing.
 *
 *   W1  What the server told is kept apart from what was ordered and is not yet answered (operations). What is shown is the
 *       first with the second laid over it, so that taking back a refused operation is to drop it.
 *   W2  A list is a sparse array of the newest message of each conversation, at its place in the server's order.
 *   W3  A row leaves its list when no known message of its conversation is in that mailbox any more; dropping or undoing the
 *       operation puts it back to its place.
 */
import type { Email, Id, Mailbox } from "../../common/jmap";

/** At least this is known of every message that is known. */
export type Brief = Pick<Email, "id" | "threadId" | "mailboxIds" | "keywords" | "receivedAt" | "from"> & Partial<Email>;
export const BRIEF_PROPERTIES = ["id", "threadId", "mailboxIds", "keywords", "receivedAt", "from"] as const;

export type Patch = { keywords?: Record<string, boolean>; boxes?: Record<Id, boolean>; destroy?: boolean };
export type Operation = { id: number; patches: Map<Id, Patch>; removed: { list: List; at: number; id: Id }[] };

export type Filter = Record<string, unknown> | null;

export class List {
	ids: (Id | undefined)[] = [];
	total: number | null = null;
	/** false: shown until asked anew. */
	isFresh = false;
	failed: unknown = null;
	constructor(readonly key: string, readonly filter: Filter, readonly box: Id | "", readonly words = "") {}
}

export class Cache {
	readonly base = new Map<Id, Brief>();
	readonly threads = new Map<Id, Id[]>();
	readonly lists = new Map<string, List>();
	private boxes_: Mailbox[] = [];
	private ops: Operation[] = [];
	private count = 0;

	/* ---- what the server told ---- */

	setBoxes(list: Mailbox[]): void {
		this.boxes_ = list;
	}

	put(emails: readonly Brief[]): void {
		for (const e of emails) this.base.set(e.id, { ...this.base.get(e.id), ...e });
	}

	putThreads(threads: readonly { id: Id; emailIds: Id[] }[]): void {
		for (const t of threads) this.threads.set(t.id, t.emailIds);
	}

	/** Gone on the server. */
	drop(ids: readonly Id[]): void {
		for (const id of ids) {
			const thread = this.base.get(id)?.threadId;
			this.base.delete(id);
			if (thread) this.threads.set(thread, (this.threads.get(thread) ?? []).filter((e) => e !== id));
		}
		this.prune(ids);
	}

	clear(): void {
		this.base.clear();
		this.threads.clear();
		for (const l of this.lists.values()) {
			l.isFresh = false;
			l.ids = [];
			l.total = null;
		}
	}

	list(key: string, filter: Filter, box: Id | "", words = ""): List {
		let l = this.lists.get(key);
		if (!l) this.lists.set(key, (l = new List(key, filter, box, words)));
		return l;
	}

	/** A window of a list as the server has it now; what lies outside is asked for when it is looked at. */
	putWindow(l: List, position: number, ids: readonly Id[], total: number, keepRest: boolean): void {
		if (!keepRest || l.total !== total) l.ids = [];
		ids.forEach((id, i) => { l.ids[position + i] = id; });
		l.ids.length = l.total = Math.max(total, ids.length ? position + ids.length : 0);
		l.isFresh = true;
		l.failed = null;
		if (l.box) for (let i = position + ids.length - 1; i >= position; i--) if (!this.belongs(l, l.ids[i])) this.cut(l, i);
	}

	/* ---- what is shown ---- */

	email(id: Id): Brief | undefined {
		let e = this.base.get(id);
		if (!e) return undefined;
		for (const op of this.ops) {
			const p = op.patches.get(id);
			if (p) e = patched(e, p);
			if (p?.destroy) return undefined;
		}
		return e;
	}

	/** Messages of a conversation that are known, oldest first. */
	conversation(thread: Id): Brief[] {
		const known = (this.threads.get(thread) ?? []).map((id) => this.email(id)).filter((e): e is Brief => e !== undefined);
		return known.sort((a, b) => (a.receivedAt < b.receivedAt ? -1 : a.receivedAt > b.receivedAt ? 1 : 0));
	}

	/** Mailboxes with what is under way already counted. */
	boxes(): Mailbox[] {
		if (!this.ops.length) return this.boxes_;
		const delta = new Map<Id, { total: number; unread: number }>();
		const add = (box: Id, total: number, unread: number) => {
			const d = delta.get(box) ?? { total: 0, unread: 0 };
			delta.set(box, { total: d.total + total, unread: d.unread + unread });
		};
		for (const id of new Set(this.ops.flatMap((o) => [...o.patches.keys()]))) {
			const was = this.base.get(id), is = this.email(id);
			for (const b of was ? boxesOf(was) : []) add(b, -1, was?.keywords.$seen ? 0 : -1);
			for (const b of is ? boxesOf(is) : []) add(b, 1, is?.keywords.$seen ? 0 : 1);
		}
		return this.boxes_.map((b) => {
			const d = delta.get(b.id);
			return d ? { ...b, totalEmails: Math.max(0, b.totalEmails + d.total), unreadEmails: Math.max(0, b.unreadEmails + d.unread) } : b;
		});
	}

	box(id: Id): Mailbox | undefined {
		return this.boxes().find((b) => b.id === id);
	}

	role(role: string): Mailbox | undefined {
		return this.boxes().find((b) => b.role === role);
	}

	get waiting(): number {
		return this.ops.length;
	}

	/* ---- operations ---- */

	begin(patches: Map<Id, Patch>): Operation {
		const op: Operation = { id: ++this.count, patches, removed: [] };
		this.ops.push(op);
		for (const l of this.lists.values())
			for (let i = l.ids.length - 1; i >= 0; i--) {
				const id = l.ids[i];
				if (!id || this.belongs(l, id)) continue;
				this.cut(l, i);
				op.removed.push({ list: l, at: i, id });
			}
		return op;
	}

	/** The server did it for these: it is what the server has now. */
	commit(op: Operation, done: readonly Id[]): void {
		this.end(op);
		for (const id of done) {
			const p = op.patches.get(id), e = this.base.get(id);
			if (p?.destroy) this.drop([id]);
			else if (p && e) this.base.set(id, patched(e, p));
		}
	}

	/** Nothing of it is so any more (refused, or undone before it was sent). */
	abort(op: Operation): void {
		this.end(op);
		this.putBack(op);
	}

	/** Rows that left their lists by this return to where they were. */
	putBack(op: Operation): void {
		for (const r of [...op.removed].reverse()) {
			if (r.list.ids.includes(r.id) || !this.belongs(r.list, r.id)) continue;
			r.list.ids.splice(Math.min(r.at, r.list.ids.length), 0, r.id);
			if (r.list.total !== null) r.list.total++;
		}
		op.removed = [];
	}

	/** What would make this as it was before. */
	inverse(patches: Map<Id, Patch>): Map<Id, Patch> {
		const back = new Map<Id, Patch>();
		for (const [id, p] of patches) {
			const e = this.email(id);
			if (!e || p.destroy) continue;
			const was: Patch = {};
			if (p.keywords) was.keywords = Object.fromEntries(Object.keys(p.keywords).map((k) => [k, !!e.keywords[k]]));
			if (p.boxes) was.boxes = Object.fromEntries(Object.keys(p.boxes).map((b) => [b, !!e.mailboxIds[b]]));
			back.set(id, was);
		}
		return back;
	}

	private end(op: Operation): void {
		this.ops = this.ops.filter((o) => o !== op);
	}

	private prune(ids: readonly Id[]): void {
		for (const l of this.lists.values())
			for (const id of ids) {
				const at = l.ids.indexOf(id);
				if (at >= 0 && !this.belongs(l, id)) this.cut(l, at);
			}
	}

	private cut(l: List, at: number): void {
		l.ids.splice(at, 1);
		if (l.total !== null) l.total = Math.max(0, l.total - 1);
	}

	private belongs(l: List, id: Id | undefined): boolean {
		if (!id) return true;
		const e = this.base.get(id);
		if (!e) return false;
		const all = (this.threads.get(e.threadId) ?? [id]).concat(id);
		return all.some((x) => {
			const now = this.email(x);
			return now !== undefined && (!l.box || !!now.mailboxIds[l.box]);
		});
	}
}

export const boxesOf = (e: Brief): Id[] => Object.keys(e.mailboxIds).filter((b) => e.mailboxIds[b]);

export function patched(e: Brief, p: Patch): Brief {
	const out = { ...e };
	if (p.keywords) out.keywords = merged(e.keywords, p.keywords);
	if (p.boxes) out.mailboxIds = merged(e.mailboxIds, p.boxes);
	return out;
}

function merged(was: Record<string, boolean>, by: Record<string, boolean>): Record<string, boolean> {
	const out = { ...was };
	for (const [k, on] of Object.entries(by)) {
		if (on) out[k] = true;
		else delete out[k];
	}
	return out;
}

/** As Email/set wants it (RFC 8620 s5.3 PatchObject). */
export function patchObject(p: Patch): Record<string, true | null> {
	const out: Record<string, true | null> = {};
	for (const [k, on] of Object.entries(p.keywords ?? {})) out[`keywords/${escaped(k)}`] = on ? true : null;
	for (const [b, on] of Object.entries(p.boxes ?? {})) out[`mailboxIds/${escaped(b)}`] = on ? true : null;
	return out;
}

const escaped = (s: string) => s.replace(/~/g, "~0").replace(/\//g, "~1");
