/* What the console's server says: src/role/console/README.md, doc/formats/status.md and report.md. */
import { get, post } from "../common/api";

export type Time = string | null;

export type Override = { mode: "on" | "off" | "auto"; until: Time; by: string; reason: string };
export type DomainOverride = Override & { target: string };
export type Drain = {
	open: boolean; began: Time; up: Time; total: number; handed_back: number; unsure: number; decide: number; deferred: number; returned: number;
	discarded: number; receipt: string; per_minute: number | null; remaining_s: number | null;
};
export type Primary = { host: string; port: number; good: boolean | null; text: string; class: string; at: Time; latency_ms: number; addresses: string[] };
export type Site = {
	name: string; domains: string[]; state: string; seen?: string; since: Time; class?: string; confidence?: number; evidence: string;
	hold?: Override & { configured: string };
	continuity?: Override & { state: "off" | "on" | "asks"; switch: "auto" | "ask" | "manual"; after_ms: number; since: Time; why: string; blocked: boolean };
	probe?: { every_ms: number; next_ms: number };
	primaries?: Primary[];
	held: number | null; held_bytes: number | null; decide: number | null; deferred: number | null; oldest_age_s: number | null; stopped: string;
	drain: Drain | null;
	home: { waiting: number | null; decide: number | null; accounts: number | null };
};
export type Role = { name: string; state: string; restarts: number; last_words: string; condition: string };
export type Status = {
	ok: boolean; missing: string[]; version: string; node: string; now: string; held: number | null; held_bytes: number | null; decide: number | null;
	sites: Site[]; overrides?: DomainOverride[]; continuity_overrides?: DomainOverride[];
	controls?: { asked: number; good: number; own_network_down: boolean };
	roles?: Role[]; disk?: { free_bytes?: number; reserve_bytes?: number; below_reserve?: boolean };
	ledger?: { trouble: string; waiting: number };
	views: { lag_records: number | null };
	people: { accounts: number; can_log_in: number; invited: number } | null;
};

export type Bucket = {
	at_us: number; probes: number; failed: number; latency_ms: number | null; latency_most_ms: number; accepted: number; refused: number; unreached: number;
	class: string; state: string; continuity: boolean;
};
export type Mark = { at_us: number; verb: string; argument: string; reason: string; actor: string; class: string; confidence: number };
export type Timeline = { ok: boolean; site: string; now_us: number; bucket_s: number; buckets: Bucket[]; marks: Mark[]; primaries: string[] };

export type Row = {
	id: string; number: number; recipient_index: number; received: Time; age_s: number; size: number; sender: string; recipient: string; site: string;
	subject_text: string; state: string; next_in_s: number; tries: number; unsure: number; reason: string; redirect: string; held_since?: Time; way?: Step[];
};
export type Queue = { total: number; total_bytes: number; messages: Row[]; next?: { number: number; recipient: number } | null };
export type Step = { what: string; at: Time; recipient?: number; code?: number; enhanced?: string; text?: string; queue_id?: string; host?: string; stage?: string };
export type Message = {
	id: string; number: number; received: Time; size: number; sender: string; from_text: string; subject_text: string; message_id: string; peer: string; helo: string;
	protocol: string; tls: string; spf: string; recipients: Row[]; attempts?: Step[];
};
export type Traced = Message & {
	origin: string; account: string;
	mailboxes: { account: string; mailbox: string; special: string; there: boolean; since: Time }[];
	home: { account: string; state: string; did: string[]; at: Time; reason: string }[];
};
export type Traces = { messages: Traced[]; next: number | null };
export type HomeRow = { account: string; site: string; state: string; what: string; number: number; subject_text: string; reason: string; next_in_s: number };
export type Home = { waiting: number; decide: number; changes: HomeRow[] };

export type Account = {
	account: string; name: string; state: string; can_log_in: boolean; passthrough: boolean; password: string; app_passwords: { name: string }[]; totp: boolean;
	invited: boolean; admin?: boolean;
};
export type People = { accounts: Account[]; left_out: number; damaged_files?: number };
export type Act = {
	number: number; at: string; verb: string; object: string; argument: string; reason: string; actor: string; class: string; until: Time; count: number; ok: boolean | null;
	result: string;
};
export type Acts = { history: Act[]; next: number | null };
export type Outcome = { ok: boolean; text: string; count: number; code?: string; until_us?: number };
export type Session = { id: string; use: string; source: string; agent: string; made_us: number; used_us: number; until_us: number; here?: boolean };

const query = (o: Record<string, string | number | null | undefined>) => {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(o)) if (v !== undefined && v !== null && v !== "") q.set(k, String(v));
	const text = q.toString();
	return text ? "?" + text : "";
};

export const status = () => get<Status>("/api/status");
export const timeline = (site: string, after_us?: number) => get<Timeline>("/api/timeline" + query({ site, after_us }));
export const queue = (o: { match?: string; limit?: number; after?: number; after_recipient?: number; unsure?: number }) => get<Queue>("/api/queue" + query(o));
export const message = (id: string) => get<Message>("/api/queue/" + encodeURIComponent(id));
export const home = () => get<Home>("/api/home");
export const trace = (o: { from?: string; to?: string; subject?: string; message_id?: string; after_us?: number; before_us?: number; before?: number; reason?: string }) =>
	get<Traces>("/api/trace" + query({ ...o, limit: 20 }));
export const audit = (o: { text?: string; orders?: number; before?: number; limit?: number }) => get<Acts>("/api/audit" + query(o));

/** All pages of the list. */
export async function people(match: string): Promise<People> {
	const all: People = { accounts: [], left_out: 0 };
	for (let after = ""; ;) {
		const page = await get<People>("/api/people" + query({ match, after }));
		all.accounts.push(...page.accounts);
		if (page.damaged_files) all.damaged_files = page.damaged_files;
		const last = page.accounts[page.accounts.length - 1]?.account;
		if (!page.left_out || !last || last === after) return all;
		after = last;
	}
}

export const order = (what: "hold" | "continuity", o: { target: string; mode: string; for_ms: number; reason: string }) => post<Outcome>(`/api/${what}`, o);
export const queueAct = (o: { verb: string; match: string; argument?: string; reason?: string }) => post<Outcome>("/api/queue", o);
export const peopleAct = (o: { verb: string; account: string; reason?: string; for_ms?: number }) => post<Outcome>("/api/people", o);
