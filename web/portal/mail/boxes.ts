/*
 * Folders: make, rename or put elsewhere, delete. A folder that is deleted goes to the trash with all that is in it, so that it can
 * come back; an empty one goes at once and is made anew by "undo"; only what lies in the trash goes for ever, after a question.
 */
import { BOX_PROPERTIES, JmapError, type Args, type GetResponse, type Id, type Jmap, type Mailbox, type SetResponse } from "../../common/jmap";
import type { Cache } from "./cache";

export type Place = { name: string; parentId: Id | null };

/** What a name lacks, before the server is asked; "" nothing. */
export function nameFault(boxes: readonly Mailbox[], p: Place, self: Id | "" = ""): "" | "empty" | "signs" | "taken" {
	const name = p.name.trim();
	if (!name) return "empty";
	if (/[/*%\u0000-\u001f\u007f]/.test(name) || new TextEncoder().encode(name).length > 200) return "signs";
	return boxes.some((b) => b.id !== self && b.parentId === p.parentId && b.name.toLowerCase() === name.toLowerCase()) ? "taken" : "";
}

/** The folder and all below it, children first. */
export function family(boxes: readonly Mailbox[], id: Id): Mailbox[] {
	const out: Mailbox[] = boxes.filter((b) => b.id === id);
	for (let i = 0; i < out.length; i++) out.push(...boxes.filter((b) => b.parentId === out[i]!.id && !out.includes(b)));
	return out.reverse();
}

/** A name nobody below this parent has. */
export function freeName(boxes: readonly Mailbox[], p: Place, self: Id): string {
	let name = p.name;
	for (let i = 2; nameFault(boxes, { ...p, name }, self) === "taken"; i++) name = `${p.name} ${i}`;
	return name;
}

export const isInTrash = (boxes: readonly Mailbox[], b: Mailbox): boolean => {
	const trash = boxes.find((x) => x.role === "trash");
	return !!trash && b.id !== trash.id && family(boxes, trash.id).includes(b);
};

export class Boxes {
	constructor(private readonly mail: { jmap: Pick<Jmap, "call">; cache: Cache; tookBoxes(r: GetResponse<Mailbox>): void; changed(): void }) {}

	async create(p: Place): Promise<Id> {
		const r = await this.set({ create: { n: { name: p.name.trim(), parentId: p.parentId } } });
		return refused(r.notCreated?.n) ?? (r.created?.n as { id: Id }).id;
	}

	/** Another name, another parent, or both. */
	async put(id: Id, p: Place): Promise<void> {
		const r = await this.set({ update: { [id]: { name: p.name.trim(), parentId: p.parentId } } });
		refused(r.notUpdated?.[id]);
	}

	/** Gives back how to undo it. */
	async remove(b: Mailbox): Promise<() => Promise<void>> {
		const all = this.mail.cache.boxes(), trash = all.find((x) => x.role === "trash");
		const was = { name: b.name, parentId: b.parentId };
		if (!trash || (family(all, b.id).length === 1 && b.totalEmails === 0)) {
			await this.destroy([b.id], false);
			return async () => { await this.create(was); };
		}
		await this.put(b.id, { name: freeName(all, { name: b.name, parentId: trash.id }, b.id), parentId: trash.id });
		return () => this.put(b.id, was);
	}

	/** With all messages and folders in it; nothing brings it back. */
	removeForEver(b: Mailbox): Promise<void> {
		return this.destroy(family(this.mail.cache.boxes(), b.id).map((x) => x.id), true);
	}

	private async destroy(ids: Id[], withMail: boolean): Promise<void> {
		const r = await this.set({ destroy: ids, onDestroyRemoveEmails: withMail });
		refused(Object.values(r.notDestroyed ?? {}).find((e) => e.type !== "notFound"));
	}

	private async set(args: Args): Promise<SetResponse> {
		const set = this.mail.jmap.call<SetResponse>("Mailbox/set", args);
		const boxes = this.mail.jmap.call<GetResponse<Mailbox>>("Mailbox/get", { ids: null, properties: BOX_PROPERTIES });
		const [r, b] = await Promise.all([set, boxes.catch(() => null)]);
		if (b) this.mail.tookBoxes(b);
		this.mail.changed();
		return r;
	}
}

function refused(why: { type: string; description?: string | null } | undefined): undefined {
	if (why) throw new JmapError(why.type, why.description);
}

/** The server's "no" about a name, to be said at the name. */
export const isAboutName = (e: unknown): boolean => e instanceof JmapError && e.type === "invalidProperties";
