/*
 * Who is logged in. The page knows no secret: the session is a cookie it cannot read. What is kept between visits (name, token
 * against forged requests, ids) only saves questions; each is asked anew in the background, and forgotten with log-out.
 */
import { Cell } from "../common/cell";
import * as api from "../common/api";
import { Jmap } from "../common/jmap";

export type Login =
	| { state: "unknown" }
	| { state: "out"; again: boolean }
	| { state: "in"; me: api.Me };

export const login = new Cell<Login>({ state: "unknown" });
export const info = new Cell<api.PortalInfo | null>(null);
export const isOnline = new Cell(true);
export const jmap = new Jmap();

const ME = "me";
/** For whom this browser may keep what is being written: as long as nobody has logged out, in whatever tab, also when the session ends by itself. */
const OWNER = "owner";
let isOwned = false;
/** Whose mail this page has in memory. */
let shown = "";

jmap.onOnline = (on) => { isOnline.value = on; };
jmap.onLoggedOut = loggedOut;
api.setOnToken((token) => {
	if (login.value.state !== "in") return;
	const me = { ...login.value.me, token };
	keepMe(me);
	login.value = { state: "in", me };
});

/** At the start of the page: from what is kept, at once; then as the server says. */
export async function startSession(): Promise<void> {
	const kept = keptMe();
	window.addEventListener("storage", left);
	window.addEventListener("pageshow", left); // "Back" may bring a page as it was
	if (kept) {
		keepMe(kept);
		api.setToken(kept.token);
		shown = kept.account;
		login.value = { state: "in", me: kept };
	}
	void api.portalInfo().then((i) => { info.value = i; }, () => {});
	try {
		loggedIn(await api.me());
	} catch (e) {
		if (e instanceof api.ApiError && e.loggedOut) forget(false);
		else if (!kept) login.value = { state: "out", again: false };
		if (e instanceof api.OfflineError) isOnline.value = false;
	}
}

/** The account may differ from the one that is shown: everything of the other goes with the page. */
export function loggedIn(me: api.Me): void {
	keepMe(me);
	if (shown && shown !== me.account) {
		jmap.forget();
		location.reload();
		return;
	}
	shown = me.account;
	api.setToken(me.token);
	login.value = { state: "in", me };
}

/** After a log-in that asked nothing more. */
export async function finishLogin(): Promise<void> {
	jmap.forget();
	const [me] = await Promise.all([api.me(), jmap.renew().catch(() => {})]); // together: the line may be slow
	loggedIn(me);
}

/** The server no longer knows the session: what is on the page stays, a log-in is laid over it. */
export function loggedOut(): void {
	if (login.value.state === "out") return;
	forget(login.value.state === "in");
}

export async function logout(): Promise<void> {
	try {
		await api.logout();
	} catch (e) {
		if (!(e instanceof api.ApiError && e.loggedOut)) throw e;
	}
	clearKept(); // first: what is taken off the page now would keep itself
	forget(false);
	leaving = true;
	location.replace(location.pathname);
}

function clearKept(): void {
	try {
		const keep = ["theme", "language"];
		for (const k of Object.keys(localStorage)) if (!keep.includes(k)) localStorage.removeItem(k);
		sessionStorage.clear();
	} catch {
		/* storage may be forbidden */
	}
}

/** The page goes because somebody logged out: nothing asks whether it may. */
export let leaving = false;

/** Somebody logged out in another tab, or before this page came back: it goes, too, with all that is on it. */
function left(): void {
	if (!isOwned || leaving) return;
	try {
		if (localStorage.getItem(OWNER) !== null) return;
	} catch {
		return; /* storage may be forbidden */
	}
	forget(false);
	leaving = true;
	location.replace(location.pathname);
}

/** The browser's memory for what a person writes. It refuses once that person has logged out: no timer, and no tab that slept, brings words back. */
export function storageOf(account: string): Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length"> {
	return {
		get length() { return localStorage.length; },
		key: (i) => localStorage.key(i),
		getItem: (k) => localStorage.getItem(k),
		removeItem: (k) => localStorage.removeItem(k),
		setItem: (k, v) => {
			if (localStorage.getItem(OWNER) !== account) throw new Error("logged out");
			localStorage.setItem(k, v);
		},
	};
}

function forget(again: boolean): void {
	keepMe(null);
	if (!again) jmap.forget();
	login.value = { state: "out", again };
}

function keptMe(): api.Me | null {
	try {
		const m = JSON.parse(localStorage.getItem(ME) ?? "null") as api.Me | null;
		return m && typeof m.account === "string" && typeof m.token === "string" ? m : null;
	} catch {
		return null;
	}
}

function keepMe(m: api.Me | null): void {
	try {
		if (m) {
			localStorage.setItem(OWNER, m.account);
			isOwned = true;
			localStorage.setItem(ME, JSON.stringify(m));
		} else localStorage.removeItem(ME);
	} catch {
		/* storage may be forbidden */
	}
}
