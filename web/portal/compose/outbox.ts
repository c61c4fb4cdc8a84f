/*
 * What is to be sent. An entry waits some seconds (undo), then for a connection, and goes: first it is put into the mailbox of
 * drafts, then submitted, and the server moves it to the sent ones in the same step (RFC 8621 s7.5). Kept in the browser until
 * the server has said yes or no, so that a reload or a lost line neither loses it nor sends it twice:
 *
 * O1: an entry knows the id of its message before that is submitted; after an answer that never came, the message itself tells
 *     whether it was submitted: then it is no draft any more.
 * O2: of all tabs one works at a time (Web Locks).
 */
import { ApiError, OfflineError } from "../../common/api";
import { Cell } from "../../common/cell";
import { JmapError, refused, type GetResponse, type Id, type Identity, type Jmap, type SetResponse } from "../../common/jmap";
import type { Draft } from "./draft";
import { boxes, create, destroy } from "./saver";

export type Entry = { id: string; draft: Draft; identity: Identity | null; at: number; emailId: Id | null; tried: boolean };

export const UNDO_MS = 7000;
const AGAIN_MS = 10_000;

export class Outbox {
	readonly entries = new Cell<readonly Entry[]>([]);
	onSent: (e: Entry) => void = () => {};
	/** The server says no: the message is a draft again. */
	onRefused: (e: Entry, why: JmapError | ApiError) => void = () => {};
	private timer: ReturnType<typeof setTimeout> | undefined;
	private running = false;

	constructor(private readonly jmap: Pick<Jmap, "call">, private readonly name: string, private readonly storage: Pick<Storage, "getItem" | "setItem">,
		private readonly now: () => number = Date.now) {
		this.read();
	}

	/** What another tab may have changed. */
	read(): void {
		try {
			const all = JSON.parse(this.storage.getItem(this.name) ?? "[]") as Entry[];
			this.entries.value = Array.isArray(all) ? all.filter((e) => e && typeof e.id === "string" && e.draft) : [];
		} catch {
			this.entries.value = [];
		}
	}

	private keep(entries: readonly Entry[]): boolean {
		this.entries.value = entries;
		try {
			this.storage.setItem(this.name, JSON.stringify(entries));
			return true;
		} catch {
			return false;
		}
	}

	add(draft: Draft, identity: Identity | null, delay = UNDO_MS): Entry {
		const e: Entry = { id: `${this.now()}.${Math.random().toString(36).slice(2, 8)}`, draft, identity, at: this.now() + delay, emailId: null, tried: false };
		this.read();
		this.keep([...this.entries.value, e]);
		this.plan(delay);
		return e;
	}

	/** Takes it back while it has not been submitted; null: too late. */
	undo(id: string): Draft | null {
		this.read();
		const e = this.entries.value.find((x) => x.id === id);
		if (!e || e.tried) return null;
		this.keep(this.entries.value.filter((x) => x.id !== id));
		return { ...e.draft, serverId: e.emailId ?? e.draft.serverId };
	}

	/** Works on what is due; later again when something is left. */
	wake(): void {
		void this.run();
	}

	private plan(ms: number): void {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => void this.run(), Math.max(ms, 50));
	}

	private async run(): Promise<void> {
		if (this.running) return;
		this.running = true;
		try {
			await alone(this.name, () => this.work());
		} finally {
			this.running = false;
			const next = Math.min(...this.entries.value.map((e) => e.at - this.now()));
			if (Number.isFinite(next)) this.plan(next > 0 ? next + 20 : AGAIN_MS);
		}
	}

	private async work(): Promise<void> {
		this.read();
		for (const e of this.entries.value.filter((x) => x.at <= this.now())) {
			try {
				await this.deliver(e);
			} catch (why) {
				if (why instanceof OfflineError || (why instanceof ApiError && (why.temporary || why.loggedOut))) return;
				if (!(why instanceof JmapError || why instanceof ApiError)) throw why;
				if (why instanceof JmapError && isPassing(why.type)) continue;
				this.drop(e);
				this.onRefused(this.latest(e), why);
			}
		}
	}

	private latest(e: Entry): Entry {
		return { ...e, draft: { ...e.draft, serverId: e.emailId ?? e.draft.serverId } };
	}

	private drop(e: Entry): void {
		this.read();
		this.keep(this.entries.value.filter((x) => x.id !== e.id));
	}

	private note(e: Entry, what: Partial<Entry>): void {
		Object.assign(e, what);
		this.keep(this.entries.value.map((x) => (x.id === e.id ? e : x)));
	}

	private async deliver(e: Entry): Promise<void> {
		if (!e.emailId) {
			const emailId = await create(this.jmap, e.draft, e.identity ?? undefined);
			this.note(e, { emailId });
			if (e.draft.serverId) void destroy(this.jmap, e.draft.serverId).catch(() => {});
		}
		if (e.tried && (await this.isSubmitted(e.emailId as Id))) return this.done(e);
		this.note(e, { tried: true });
		await this.submit(e);
		this.done(e);
	}

	private done(e: Entry): void {
		this.drop(e);
		this.onSent(e);
	}

	/** O1 */
	private async isSubmitted(emailId: Id): Promise<boolean> {
		const r = await this.jmap.call<GetResponse<{ id: Id; keywords: Record<string, boolean> }>>("Email/get", { ids: [emailId], properties: ["id", "keywords"] });
		const found = r.list[0];
		return !found || !found.keywords.$draft;
	}

	private async submit(e: Entry): Promise<void> {
		const { drafts, sent } = await boxes(this.jmap);
		const moved = sent && sent !== drafts ? { [`mailboxIds/${drafts}`]: null, [`mailboxIds/${sent}`]: true } : {};
		const call = this.jmap.call<SetResponse>("EmailSubmission/set", { create: { s: { emailId: e.emailId, identityId: e.identity?.id } },
			onSuccessUpdateEmail: { "#s": { ...moved, "keywords/$draft": null, "keywords/$seen": true } } });
		const no = refused(await call, "s");
		if (no) {
			this.note(e, { tried: false }); // it said no: it was not sent
			throw no;
		}
		if (e.draft.sourceId && e.draft.sourceKeyword)
			void this.jmap.call("Email/set", { update: { [e.draft.sourceId]: { [`keywords/${e.draft.sourceKeyword}`]: true } } }).catch(() => {});
	}
}

const isPassing = (type: string): boolean => ["serverUnavailable", "serverFail", "serverPartialFail", "rateLimit"].includes(type);

async function alone(name: string, work: () => Promise<void>): Promise<void> {
	if (typeof navigator === "undefined" || !("locks" in navigator)) return work();
	await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
		if (lock) await work();
	});
}
