/*
 * JMAP in the browser (RFC 8620, 8621): calls made in the same moment travel in one request; a call may refer to results of
 * calls before it; the session object is kept between visits. Knows nothing of what is shown.
 */
import { ApiError, OfflineError, get, post } from "./api";

export const CORE = "urn:ietf:params:jmap:core";
export const MAIL = "urn:ietf:params:jmap:mail";
export const SUBMISSION = "urn:ietf:params:jmap:submission";
const USING = [CORE, MAIL, SUBMISSION];

export type Id = string;
export type Args = Record<string, unknown>;
export type Ref = { resultOf: string; name: string; path: string };

export type Address = { name: string | null; email: string };

export type Mailbox = {
	id: Id;
	name: string;
	parentId: Id | null;
	role: string | null;
	sortOrder: number;
	totalEmails: number;
	unreadEmails: number;
	totalThreads: number;
	unreadThreads: number;
	myRights: Record<string, boolean>;
	isSubscribed: boolean;
};

/** What lists show (LIST_PROPERTIES). */
export type Email = {
	id: Id;
	blobId: Id;
	threadId: Id;
	mailboxIds: Record<Id, boolean>;
	keywords: Record<string, boolean>;
	size: number;
	receivedAt: string;
	from: Address[] | null;
	to: Address[] | null;
	subject: string | null;
	preview: string;
	hasAttachment: boolean;
};

export type BodyPart = {
	partId: string | null;
	blobId: Id | null;
	size: number;
	name: string | null;
	type: string;
	charset: string | null;
	disposition: string | null;
	cid: string | null;
	location?: string | null;
	subParts?: BodyPart[] | null;
};

/** What reading needs besides (READ_PROPERTIES). */
export type FullEmail = Email & {
	messageId: string[] | null;
	inReplyTo: string[] | null;
	references: string[] | null;
	sender: Address[] | null;
	cc: Address[] | null;
	bcc: Address[] | null;
	replyTo: Address[] | null;
	sentAt: string | null;
	bodyValues: Record<string, { value: string; isEncodingProblem: boolean; isTruncated: boolean }>;
	textBody: BodyPart[];
	htmlBody: BodyPart[];
	attachments: BodyPart[];
	/** In their order: what our server found out stands above all that a sender wrote (portal/safe/verdict.ts). */
	headers?: { name: string; value: string }[];
};

export type Identity = {
	id: Id;
	name: string;
	email: string;
	replyTo: Address[] | null;
	bcc: Address[] | null;
	textSignature: string;
	htmlSignature: string;
	mayDelete: boolean;
};

export type Snippet = { emailId: Id; subject: string | null; preview: string | null };

/** Without the counts of conversations: those cost a look at every message of every mailbox. */
export const BOX_PROPERTIES = ["id", "name", "parentId", "role", "sortOrder", "totalEmails", "unreadEmails"] as const;
export const LIST_PROPERTIES = ["id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "subject", "preview",
	"hasAttachment"] as const;
export const READ_PROPERTIES = [...LIST_PROPERTIES, "messageId", "inReplyTo", "references", "sender", "cc", "bcc", "replyTo", "sentAt",
	"bodyValues", "textBody", "htmlBody", "attachments", "headers"] as const;

export type Session = {
	username: string;
	apiUrl: string;
	downloadUrl: string;
	uploadUrl: string;
	eventSourceUrl: string;
	state: string;
	primaryAccounts: Record<string, Id>;
	accounts: Record<Id, { name: string; isPersonal: boolean; isReadOnly: boolean; accountCapabilities: Record<string, Args> }>;
	capabilities: Record<string, Args>;
};

export type GetResponse<T> = { accountId: Id; state: string; list: T[]; notFound: Id[] };
export type QueryResponse = { accountId: Id; queryState: string; canCalculateChanges: boolean; position: number; ids: Id[]; total?: number };
export type ChangesResponse = { oldState: string; newState: string; hasMoreChanges: boolean; created: Id[]; updated: Id[]; destroyed: Id[];
	updatedProperties?: string[] | null };
export type SetError = { type: string; description?: string | null; properties?: string[] };
export type SetResponse = { oldState: string | null; newState: string; created: Record<Id, Args> | null; updated: Record<Id, Args | null> | null;
	destroyed: Id[] | null; notCreated: Record<Id, SetError> | null; notUpdated: Record<Id, SetError> | null;
	notDestroyed: Record<Id, SetError> | null };

/** A method said no (RFC 8620 s3.6.2), or one object of a set was refused (s5.3). */
export class JmapError extends Error {
	constructor(readonly type: string, description?: string | null) {
		super(description || type);
		this.name = "JmapError";
	}
}

type Waiting = { name: string; args: Args; id: string; resolve: (v: never) => void; reject: (e: unknown) => void };

/** A call under way: a promise of its answer, and something later calls of the same moment can refer to. */
export type Call<T> = Promise<T> & { ref(path: string): Ref };

const SESSION_KEY = "jmap.session";

export class Jmap {
	private queue: Waiting[] = [];
	private count = 0;
	private session_: Session | null = null;
	/** Told when a request could not be sent at all, and when one could again. */
	onOnline: (isOnline: boolean) => void = () => {};
	/** The session of the person is over. */
	onLoggedOut: () => void = () => {};

	/** From the last visit when it was the same person's; else asked for. */
	async session(account?: string): Promise<Session> {
		if (this.session_) return this.session_;
		const kept = account ? keptSession(account) : null;
		return (this.session_ = kept ?? (await this.renew()));
	}

	async renew(): Promise<Session> {
		const s = await get<Session>("/.well-known/jmap");
		keepSession(s);
		return (this.session_ = s);
	}

	forget(): void {
		this.session_ = null;
		keepSession(null);
	}

	get accountId(): Id {
		return this.session_?.primaryAccounts[MAIL] ?? "";
	}

	/** Takes part in the request that leaves at the end of this moment. `accountId` is filled in. */
	call<T>(name: string, args: Args): Call<T> {
		const id = `c${this.count++}`;
		const promise = new Promise<T>((resolve, reject) => {
			this.queue.push({ name, args, id, resolve: resolve as (v: never) => void, reject });
			if (this.queue.length === 1) queueMicrotask(() => void this.flush());
		}) as Call<T>;
		promise.ref = (path) => ({ resultOf: id, name, path });
		return promise;
	}

	private async flush(): Promise<void> {
		const calls = this.queue;
		this.queue = [];
		try {
			const session = await this.session();
			const accountId = this.accountId;
			const body = { using: USING, methodCalls: calls.map((c) => [c.name, c.name === "Core/echo" ? c.args : { accountId, ...c.args }, c.id]) };
			const answer = await post<{ methodResponses: [string, Args, string][]; sessionState: string }>(pathOf(session.apiUrl), body);
			this.onOnline(true);
			this.settle(calls, answer.methodResponses);
			if (answer.sessionState !== session.state) void this.renew().catch(() => {});
		} catch (e) {
			if (e instanceof OfflineError) this.onOnline(false);
			if (e instanceof ApiError && e.loggedOut) this.onLoggedOut();
			for (const c of calls) c.reject(e);
		}
	}

	private settle(calls: Waiting[], responses: [string, Args, string][]): void {
		for (const c of calls) {
			const r = responses.find(([name, , id]) => id === c.id && (name === c.name || name === "error"));
			if (!r) c.reject(new JmapError("serverFail", "no answer to " + c.name));
			else if (r[0] === "error") c.reject(new JmapError(String(r[1].type), r[1].description as string | undefined));
			else c.resolve(r[1] as never);
		}
	}

	downloadUrl(blobId: Id, name: string, type: string): string {
		const url = this.session_?.downloadUrl ?? "/jmap/download/{accountId}/{blobId}/{name}?type={type}";
		const values: Record<string, string> = { accountId: this.accountId, blobId, name: name || "file", type };
		return pathOf(url.replace(/\{(\w+)\}/g, (_, k: string) => encoded(values[k] ?? "")));
	}

	uploadUrl(): string {
		const url = this.session_?.uploadUrl ?? "/jmap/upload/{accountId}/";
		return pathOf(url.replace("{accountId}", encoded(this.accountId)));
	}

	eventSourceUrl(types: string, ping: number): string {
		const url = this.session_?.eventSourceUrl ?? "/jmap/events?types={types}&closeafter={closeafter}&ping={ping}";
		return pathOf(url.replace("{types}", types).replace("{closeafter}", "no").replace("{ping}", String(ping)));
	}
}

/** For URLs; half of a character, which strangers can put into names, does not end the page (encodeURIComponent throws). */
export const encoded = (text: string): string => encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\uFFFD"));

/** URLs of the session object may carry a host name; ours is always the one of the page. */
export function pathOf(url: string): string {
	return url.replace(/^https?:\/\/[^/]+/, "");
}

function keptSession(account: string): Session | null {
	try {
		const s = JSON.parse(localStorage.getItem(SESSION_KEY) ?? "null") as Session | null;
		return s && s.username === account && s.apiUrl && s.primaryAccounts ? s : null;
	} catch {
		return null;
	}
}

function keepSession(s: Session | null): void {
	try {
		if (s) localStorage.setItem(SESSION_KEY, JSON.stringify(s));
		else localStorage.removeItem(SESSION_KEY);
	} catch {
		/* storage may be forbidden */
	}
}

/** The refusal of one object of a set, as an error; null when it went well. */
export function refused(r: SetResponse, id: Id): JmapError | null {
	const e = r.notUpdated?.[id] ?? r.notCreated?.[id] ?? r.notDestroyed?.[id];
	return e ? new JmapError(e.type, e.description) : null;
}
