/* Addresses that mail was seen from or written to, for completion. Kept in the browser, per account; forgotten with log-out. */
import type { Address, Email, GetResponse, Id, Jmap } from "../../common/jmap";
import { plain } from "../safe/names";

type Known = Address & { weight: number };
const MOST = 600;

export class People {
	private all = new Map<string, Known>();

	constructor(private readonly name: string, private readonly storage: Pick<Storage, "getItem" | "setItem">) {
		try {
			for (const k of JSON.parse(storage.getItem(name) ?? "[]") as Known[]) this.all.set(k.email.toLowerCase(), k);
		} catch {
			/* begins anew */
		}
	}

	/** weight: how much it says that one wants to write there. */
	saw(list: readonly Address[] | null | undefined, weight: number): void {
		for (const a of list ?? []) {
			const key = a.email.toLowerCase();
			const known = this.all.get(key);
			const name = plain(a.name ?? "").trim();
			if (!a.email.includes("@") || /^(no-?reply|do-?not-?reply|mailer-daemon|bounce)/i.test(a.email)) continue;
			this.all.set(key, { email: a.email, name: name && !name.includes("@") ? name : known?.name ?? null, weight: (known?.weight ?? 0) + weight });
		}
	}

	keep(): void {
		const most = [...this.all.values()].sort((a, b) => b.weight - a.weight).slice(0, MOST);
		try {
			this.storage.setItem(this.name, JSON.stringify(most));
		} catch {
			/* storage may be full: only completion suffers */
		}
	}

	/** Of newest mail, once per visit. */
	async learn(jmap: Pick<Jmap, "call">): Promise<void> {
		const q = jmap.call<{ ids: Id[] }>("Email/query", { filter: null, sort: [{ property: "receivedAt", isAscending: false }], position: 0, limit: 200 }) as ReturnType<Jmap["call"]>;
		const g = jmap.call<GetResponse<Pick<Email, "from" | "to" | "keywords"> & { cc: Address[] | null; id: Id }>>("Email/get", { "#ids": q.ref("/ids"), properties: ["id", "from", "to", "cc", "keywords"] });
		const [, r] = await Promise.all([q, g]);
		this.all.forEach((k) => { k.weight *= 0.8; });
		for (const e of r.list) {
			this.saw(e.from, e.keywords.$answered ? 2 : 1);
			this.saw([...(e.to ?? []), ...(e.cc ?? [])], 0.5);
		}
		this.keep();
	}

	/** Best first: beginnings of names and addresses before what is only inside. */
	find(words: string, not: readonly string[], most = 6): Address[] {
		const w = words.trim().toLowerCase();
		if (!w) return [];
		const rank = (k: Known): number => {
			const name = (k.name ?? "").toLowerCase(), email = k.email.toLowerCase();
			if (email.startsWith(w) || name.startsWith(w)) return 3;
			if (name.split(/[\s,.]+/).some((p) => p.startsWith(w)) || email.split(/[@.]/).some((p) => p.startsWith(w))) return 2;
			return name.includes(w) || email.includes(w) ? 1 : 0;
		};
		return [...this.all.values()].filter((k) => !not.includes(k.email.toLowerCase())).map((k) => ({ k, r: rank(k) })).filter((x) => x.r > 0)
			.sort((a, b) => b.r - a.r || b.k.weight - a.k.weight).slice(0, most).map(({ k }) => ({ name: k.name ?? null, email: k.email }));
	}
}
