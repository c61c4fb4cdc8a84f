/*
 * What people do with messages. It shows at once; the server is told in order, one request at a time; without a connection it
 * waits; what is refused is taken back and said. Each has its opposite, for "undo".
 */
import { ApiError, OfflineError } from "../../common/api";
import { Cell } from "../../common/cell";
import { BOX_PROPERTIES, JmapError, type GetResponse, type Id, type Mailbox, type SetResponse } from "../../common/jmap";
import { patchObject, type Brief, type Operation, type Patch } from "./cache";
import type { Mail } from "./sync";

const PAUSES_MS = [1000, 2000, 4000, 8000, 15_000];
const TRIES = 8; // of a server that answers "not now"; without a connection there is no end
const AT_ONCE = 100; // messages of one Email/set

export type Done = { undo: () => void };

type Job = { op: Operation; tries: number; isSent: boolean };

export class Actions {
	private jobs: Job[] = [];
	private running = false;
	/** Operations nobody has answered yet. */
	readonly waiting = new Cell(0);
	/** Something was refused and has been taken back. */
	onRefused: (why: JmapError | ApiError, count: number) => void = () => {};

	private awaken: () => void = () => {};

	constructor(private readonly mail: Mail, private readonly pause: (ms: number) => Promise<void> = (ms) => new Promise((r) => setTimeout(r, ms))) {}

	/** The one way to change messages. */
	change(patches: Map<Id, Patch>): Done {
		const back = this.mail.cache.inverse(patches);
		const jobs = parts(patches).map((p): Job => ({ op: this.mail.cache.begin(p), tries: 0, isSent: false }));
		this.jobs.push(...jobs);
		this.told();
		void this.run();
		return { undo: () => this.undo(jobs, back) };
	}

	private undo(jobs: Job[], back: Map<Id, Patch>): void {
		const waits = jobs.every((j) => this.jobs.includes(j) && !j.isSent);
		if (waits) {
			this.jobs = this.jobs.filter((j) => !jobs.includes(j));
			for (const j of [...jobs].reverse()) this.mail.cache.abort(j.op);
			this.told();
			return;
		}
		if (!back.size) return;
		const removed = jobs.flatMap((j) => j.op.removed);
		for (const p of parts(back)) this.jobs.push({ op: this.mail.cache.begin(p), tries: 0, isSent: false });
		this.mail.cache.putBack({ id: 0, patches: back, removed });
		this.told();
		void this.run();
	}

	setKeyword(emails: readonly Brief[], keyword: string, on: boolean): Done {
		return this.change(new Map(emails.map((e) => [e.id, { keywords: { [keyword]: on } }])));
	}

	move(emails: readonly Brief[], from: Id, to: Id): Done {
		return this.change(new Map(emails.map((e) => [e.id, { boxes: from ? { [from]: false, [to]: true } : { ...allOff(e), [to]: true } }])));
	}

	destroy(emails: readonly Brief[]): void {
		this.change(new Map(emails.map((e) => [e.id, { destroy: true }])));
	}

	/** Tries again at once: the connection is back, or somebody has logged in again. */
	wake(): void {
		this.awaken();
		void this.run();
	}

	private told(): void {
		this.waiting.value = this.jobs.length;
		this.mail.changed();
	}

	private async run(): Promise<void> {
		if (this.running) return;
		this.running = true;
		try {
			while (this.jobs[0]) await this.one(this.jobs[0]);
		} finally {
			this.running = false;
		}
	}

	private async one(job: Job): Promise<void> {
		job.isSent = true;
		try {
			this.answered(job, await this.send(job.op));
		} catch (e) {
			if (waits(e) || (isTemporary(e) && job.tries < TRIES)) {
				const woken = new Promise<void>((r) => { this.awaken = r; });
				await Promise.race([woken, this.pause(PAUSES_MS[Math.min(job.tries++, PAUSES_MS.length - 1)]!)]);
				return;
			}
			this.end(job);
			this.mail.cache.abort(job.op);
			this.onRefused(e instanceof JmapError || e instanceof ApiError ? e : new JmapError("serverFail"), job.op.patches.size);
			this.told();
		}
	}

	private async send(op: Operation): Promise<SetResponse> {
		const update: Record<Id, Record<string, true | null>> = {};
		const destroy: Id[] = [];
		for (const [id, p] of op.patches) {
			if (p.destroy) destroy.push(id);
			else update[id] = patchObject(p);
		}
		const set = this.mail.jmap.call<SetResponse>("Email/set", destroy.length ? { destroy } : { update });
		const boxes = this.mail.jmap.call<GetResponse<Mailbox>>("Mailbox/get", { ids: null, properties: BOX_PROPERTIES });
		boxes.catch(() => {});
		const r = await set;
		const b = await boxes.catch(() => null);
		if (b) this.mail.tookBoxes(b);
		return r;
	}

	private answered(job: Job, r: SetResponse): void {
		this.end(job);
		const done = [...Object.keys(r.updated ?? {}), ...(r.destroyed ?? [])];
		const no = { ...r.notUpdated, ...r.notDestroyed };
		const gone = Object.keys(no).filter((id) => no[id]?.type === "notFound");
		const refused = Object.keys(no).filter((id) => no[id]?.type !== "notFound");
		this.mail.cache.commit(job.op, done);
		this.mail.cache.drop(gone);
		if (refused.length) this.mail.cache.putBack(job.op);
		for (const id of done) {
			const f = this.mail.full.get(id), e = this.mail.cache.base.get(id);
			if (f && e) this.mail.full.set(id, { ...f, keywords: e.keywords, mailboxIds: e.mailboxIds });
		}
		this.mail.stepped(r.oldState, r.newState);
		const why = refused[0] && no[refused[0]];
		if (why) this.onRefused(new JmapError(why.type, why.description), refused.length);
		this.told();
	}

	private end(job: Job): void {
		this.jobs = this.jobs.filter((j) => j !== job);
	}
}

/** Nobody has said no: it is kept until there is a connection, or a log-in. */
const waits = (e: unknown) => e instanceof OfflineError || (e instanceof ApiError && e.loggedOut);

function isTemporary(e: unknown): boolean {
	if (e instanceof ApiError) return e.temporary;
	return e instanceof JmapError && (e.type === "serverUnavailable" || e.type === "serverFail" || e.type === "serverPartialFail");
}

const allOff = (e: Brief): Record<Id, boolean> => Object.fromEntries(Object.keys(e.mailboxIds).map((b) => [b, false]));

function parts(patches: Map<Id, Patch>): Map<Id, Patch>[] {
	const all = [...patches], out: Map<Id, Patch>[] = [];
	for (let i = 0; i < all.length; i += AT_ONCE) out.push(new Map(all.slice(i, i + AT_ONCE)));
	return out;
}
