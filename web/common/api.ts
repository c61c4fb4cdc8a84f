/*
 * Talks to /api/*. One place knows the token against forged requests, what an error looks like, and the difference between
 * "the server says no" and "there is no connection".
 */

/** The server answered, and the answer is no. */
export class ApiError extends Error {
	constructor(readonly status: number, readonly type: string, title: string, readonly retryAfter = 0) {
		super(title);
		this.name = "ApiError";
	}
	/** The session is over: log in again. */
	get loggedOut(): boolean {
		return this.status === 401;
	}
	/** Worth another try by itself. */
	get temporary(): boolean {
		return this.status === 429 || this.status >= 500;
	}
}

/** Nothing answered: no connection, or the server is starting. */
export class OfflineError extends Error {
	constructor() {
		super("no connection");
		this.name = "OfflineError";
	}
}

export type Me = {
	account: string;
	person: string;
	send_as: string[];
	token: string;
	until: string;
	has_factor: boolean;
	is_admin: boolean;
	/** Id of the inbox: the first list is asked for at once. */
	inbox?: string;
};

/** factor: a code is asked for next; invitation: what was given is an invitation's code, and a password is to be chosen. */
export type LoginAnswer = { state: "in" | "factor" | "invitation"; account?: string; person?: string };

export type Contact = { name: string; phone?: string; mail?: string; note?: string };

export type PortalInfo = {
	organisation: string;
	contacts: Contact[];
	/** The organisation's own sentences: language -> name (welcome, outage, help) -> text. */
	words: Record<string, Record<string, string>>;
	version: string;
	/** Is the usual mail away for anybody here, or are people told to work here? Coarse, for those who are not logged in yet. */
	outage?: "down" | "continuity" | "none";
};

export type SiteState = "unknown" | "up" | "suspect" | "down" | "probation" | "stopped";

export type Now = {
	site: string;
	state: SiteState;
	since: string | null;
	/** What kind of outage: dns, tcp, ... operator (paused by hand). */
	class: string;
	continuity: "on" | "off";
	held: number;
	handback: { total: number; done: number; left: number; eta_s: number | null } | null;
	mode: string;
	/** queued: mail to the world waits at the moment; to colleagues here it never does. */
	sends: "queued" | "direct";
};

let token = "";
/** For requests that do not go through http(). */
export const requestToken = (): string => token;
export function setToken(t: string): string {
	return (token = t);
}
/** Told when an answer brought a new token. */
let onToken: (t: string) => void = () => {};
export function setOnToken(f: typeof onToken): void {
	onToken = f;
}

const TIMEOUT_MS = 30_000;

/** One request. Throws ApiError or OfflineError and nothing else (but AbortError when `signal` says so). */
export async function http(method: string, url: string, body?: BodyInit, type?: string, signal?: AbortSignal): Promise<Response> {
	const headers: Record<string, string> = { Accept: "application/json" };
	if (type) headers["Content-Type"] = type;
	if (token && method !== "GET") headers["X-Holdfast-Token"] = token;
	const end = new AbortController();
	const timer = setTimeout(() => end.abort(), TIMEOUT_MS);
	const stop = () => end.abort();
	signal?.addEventListener("abort", stop);
	try {
		const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store", redirect: "error", signal: end.signal };
		if (body !== undefined) init.body = body;
		const answer = await fetch(url, init);
		if (!answer.ok) throw await refusal(answer);
		const renewed = answer.headers.get("X-Holdfast-Token"); // a new session took the place of ours
		if (renewed) onToken(setToken(renewed));
		return answer;
	} catch (e) {
		if (e instanceof ApiError) throw e;
		if (signal?.aborted) throw new DOMException("aborted", "AbortError");
		throw new OfflineError();
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener("abort", stop);
	}
}

async function refusal(answer: Response): Promise<ApiError> {
	let type = "", title = "";
	try {
		const said = (await answer.json()) as { type?: unknown; title?: unknown; detail?: unknown };
		type = typeof said.type === "string" ? said.type : "";
		title = typeof said.title === "string" ? said.title : typeof said.detail === "string" ? said.detail : "";
	} catch {
		/* not JSON: the status has to do */
	}
	return new ApiError(answer.status, type, title, Number(answer.headers.get("Retry-After")) || 0);
}

async function json<T>(answer: Response): Promise<T> {
	if (answer.status === 204) return {} as T;
	try {
		return (await answer.json()) as T;
	} catch {
		throw new OfflineError();
	}
}

export async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
	return json<T>(await http("GET", url, undefined, undefined, signal));
}

export async function post<T>(url: string, body: unknown, signal?: AbortSignal): Promise<T> {
	return json<T>(await http("POST", url, JSON.stringify(body), "application/json", signal));
}

/* Log-in (RFC 6265bis cookies; the page never sees a session's secret). */
export const login = (account: string, password: string) => post<LoginAnswer>("/api/login", { account, password });
export const loginFactor = (code: string) => post<LoginAnswer>("/api/login/factor", { code });
export const loginInvitation = (account: string, code: string, password: string) =>
	post<LoginAnswer>("/api/login/invitation", { account, code, password });
export const logout = () => post<unknown>("/api/logout", {});

/** Who is logged in; takes over the token. */
export async function me(): Promise<Me> {
	const m = await get<Me>("/api/me");
	setToken(m.token);
	return m;
}

export const portalInfo = () => get<PortalInfo>("/api/portal");
export const now = () => get<Now>("/api/now");

/** What people order for themselves: POST /api/me/<verb>. */
export type SelfOrder = { argument?: string; password?: string; new_password?: string };
export const order = <T>(verb: string, o: SelfOrder = {}) => post<T>(`/api/me/${verb}`, o);
