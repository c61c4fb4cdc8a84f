/*
 * The copy of what is being written in this browser: after each burst of typing, so that neither a lost connection nor a reload
 * nor a crash loses words. It goes when the message is sent, thrown away, or safe on the server and closed.
 */
import type { Draft } from "./draft";

const PREFIX = "draft.";

export class LocalDrafts {
	constructor(private readonly account: string, private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">) {}

	private name(key: string): string {
		return `${PREFIX}${this.account}.${key}`;
	}

	/** False: this browser does not keep it (storage full or forbidden). */
	put(d: Draft): boolean {
		try {
			this.storage.setItem(this.name(d.key), JSON.stringify(d));
			return true;
		} catch {
			return false;
		}
	}

	get(key: string): Draft | null {
		try {
			return asDraft(JSON.parse(this.storage.getItem(this.name(key)) ?? "null"));
		} catch {
			return null;
		}
	}

	/** The one whose copy on the server has this id. */
	ofServer(id: string): Draft | null {
		return this.all().find((d) => d.serverId === id) ?? null;
	}

	drop(key: string): void {
		try {
			this.storage.removeItem(this.name(key));
		} catch {
			/* storage may be forbidden */
		}
	}

	/** Newest first. */
	all(): Draft[] {
		const out: Draft[] = [];
		try {
			for (let i = 0; i < this.storage.length; i++) {
				const name = this.storage.key(i) ?? "";
				if (!name.startsWith(this.name(""))) continue;
				const d = this.get(name.slice(this.name("").length));
				if (d) out.push(d);
			}
		} catch {
			/* storage may be forbidden */
		}
		return out.sort((a, b) => b.changedAt - a.changedAt);
	}
}

function asDraft(v: unknown): Draft | null {
	const d = v as Draft | null;
	return d && typeof d.key === "string" && typeof d.text === "string" && typeof d.html === "string" && Array.isArray(d.to) && Array.isArray(d.files) ? d : null;
}
