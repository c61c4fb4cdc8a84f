/* Who is logged in, and the status, which is asked for again and again while the page is seen. */
import * as api from "../common/api";
import { Cell } from "../common/cell";
import { status as askStatus, type Status } from "./api";

export type Login = { state: "unknown" } | { state: "out"; again: boolean } | { state: "in"; me: api.Me };
export const login = new Cell<Login>({ state: "unknown" });

/** answered: when the last answer came (ms). */
export const status = new Cell<{ is: Status | null; answered: number; failing: boolean }>({ is: null, answered: 0, failing: false });

const EVERY_MS = 3000;
const ASLEEP_MS = 15 * 60_000;

/** False when nobody has touched the page for a while: then it asks nothing, for each question keeps the session from ending. */
export const isAwake = new Cell(true);
let touched = Date.now();

function startWaking(): void {
	const touch = () => {
		touched = Date.now();
		if (isAwake.value) return;
		isAwake.value = true;
		void look();
	};
	for (const what of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) document.addEventListener(what, touch, { passive: true, capture: true });
	setInterval(() => { if (Date.now() - touched > ASLEEP_MS) isAwake.value = false; }, 5000);
}

/** Something may be asked by itself now. */
export const mayAsk = (): boolean => !document.hidden && isAwake.value;

export async function startSession(): Promise<void> {
	api.setOnToken((token) => {
		if (login.value.state === "in") login.value = { state: "in", me: { ...login.value.me, token } };
	});
	startWaking();
	await enter();
	setInterval(() => { if (mayAsk()) void look(); }, EVERY_MS);
	document.addEventListener("visibilitychange", () => { if (mayAsk()) void look(); });
}

export async function enter(): Promise<void> {
	try {
		login.value = { state: "in", me: await api.me() };
		await look();
	} catch (e) {
		if (e instanceof api.ApiError && e.loggedOut) login.value = { state: "out", again: false };
		else setTimeout(() => void enter(), EVERY_MS);
	}
}

let isAsking = false;
/** Asks for the status now. */
export async function look(): Promise<void> {
	if (isAsking || login.value.state !== "in") return;
	isAsking = true;
	try {
		status.value = { is: await askStatus(), answered: Date.now(), failing: false };
	} catch (e) {
		if (!lost(e)) status.value = { ...status.value, failing: true };
	} finally {
		isAsking = false;
	}
}

/** True: the session is over, and a log-in was laid over the page. */
export function lost(e: unknown): boolean {
	if (!(e instanceof api.ApiError) || !e.loggedOut) return false;
	if (login.value.state === "in") login.value = { state: "out", again: true };
	return true;
}

export async function logout(): Promise<void> {
	await api.logout().catch(() => {});
	location.replace(location.pathname);
}
