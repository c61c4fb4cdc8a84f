/*
 * Saves what is being written on the server: a new message in the mailbox of drafts, and then the one before it is destroyed, in
 * this order, so that at every moment one of them is there. One save at a time; changes made meanwhile lead to one more.
 */
import { refused, type GetResponse, type Id, type Identity, type Jmap, type Mailbox, type SetResponse } from "../../common/jmap";
import { emailOf, type Draft } from "./draft";

export type Boxes = { drafts: Id; sent: Id };
type Server = Pick<Jmap, "call">;

let known: Promise<Boxes> | null = null;

/** Where drafts and sent mail are. */
export function boxes(jmap: Server): Promise<Boxes> {
	return (known ??= jmap.call<GetResponse<Mailbox>>("Mailbox/get", { ids: null, properties: ["id", "role"] }).then((r) => {
		const of = (role: string) => r.list.find((b) => b.role === role)?.id ?? "";
		return { drafts: of("drafts") || of("inbox"), sent: of("sent") };
	}).catch((e) => {
		known = null;
		throw e;
	}));
}

/** Puts a message into the mailbox of drafts. */
export async function create(jmap: Server, d: Draft, identity: Identity | undefined): Promise<Id> {
	const { drafts } = await boxes(jmap);
	const r = await jmap.call<SetResponse>("Email/set", { create: { d: emailOf(d, drafts, identity) } });
	const no = refused(r, "d");
	const id = r.created?.d?.id as Id | undefined;
	if (no || !id) throw no ?? new Error("the draft was not created");
	return id;
}

export const destroy = (jmap: Server, id: Id): Promise<unknown> => jmap.call<SetResponse>("Email/set", { destroy: [id] });

export class Saver {
	private running: Promise<void> | null = null;
	private again = false;
	/** No save is begun any more: the message is on its way, or thrown away. */
	private ended = false;

	constructor(private readonly jmap: Server, private readonly draft: () => Draft, private readonly identity: () => Identity | undefined,
		private readonly onSaved: (id: Id, changedAt: number) => void) {}

	save(): Promise<void> {
		if (this.running) {
			this.again = true;
			return this.running;
		}
		return (this.running = this.rounds().finally(() => { this.running = null; }));
	}

	/** Waits for what is under way; nothing follows. */
	async end(): Promise<void> {
		this.ended = true;
		await this.running?.catch(() => {});
	}

	private async rounds(): Promise<void> {
		do {
			this.again = false;
			const d = { ...this.draft() };
			if (this.ended || d.savedAt >= d.changedAt) return;
			const id = await create(this.jmap, d, this.identity());
			this.onSaved(id, d.changedAt);
			if (d.serverId) await destroy(this.jmap, d.serverId).catch(() => {}); // one copy too many is better than none
		} while (this.again);
	}
}
