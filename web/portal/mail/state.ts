/* The one mailbox of the page, what is chosen in it, and how the parts hear of each other. */
import { keptCell, Cell } from "../../common/cell";
import { announce } from "../../common/announce";
import { toast } from "../../common/components/toast";
import { texts } from "../../common/i18n";
import { isOnline, jmap, login, leaving } from "../session";
import { Actions } from "./actions";
import { Mail } from "./sync";

const inboxKey = () => (login.value.state === "in" ? `inbox.${login.value.me.account}` : "inbox");

/** What came with the log-in, for a browser that has never been here. */
const told = () => (login.value.state === "in" && login.value.me.inbox) || "";

export const mail = new Mail(jmap, {
	get: () => {
		try {
			return localStorage.getItem(inboxKey()) ?? told();
		} catch {
			return told();
		}
	},
	set: (id) => {
		try {
			localStorage.setItem(inboxKey(), id);
		} catch {
			/* storage may be forbidden: one request more at the next visit */
		}
	},
});
export const actions = new Actions(mail);

/** Chosen rows of the list, by thread. */
export const chosen = new Cell<ReadonlySet<string>>(new Set());
/** The row that keys act on; -1 none. */
export const cursor = new Cell(-1);
export const hasKeys = keptCell("keys", true, (v): v is boolean => typeof v === "boolean");

actions.onRefused = (why, count) => {
	const t = texts().mail;
	toast(why.type === "overQuota" || why.type === "tooManyKeywords" ? t.refusedFull(count) : t.refused(count), { bad: true });
};
mail.onArrived = (emails) => {
	const e = emails[emails.length - 1];
	if (e) announce(emails.length === 1 ? texts().mail.arrived(e.from?.[0]?.name || e.from?.[0]?.email || "") : texts().mail.arrivedMany(emails.length));
};

/** Called once somebody is logged in. A push (portal/push.ts) makes the slow look superfluous, not wrong. */
export function startMail(box: string): void {
	void jmap.session(login.value.state === "in" ? login.value.me.account : undefined).then(() => mail.start(box)).catch(() => mail.changed());
	const look = () => {
		if (document.visibilityState === "visible" && login.value.state === "in") void mail.refresh().catch(() => {});
	};
	document.addEventListener("visibilitychange", look);
	window.addEventListener("online", () => { actions.wake(); look(); });
	window.addEventListener("offline", () => { isOnline.value = false; });
	setInterval(look, 60_000);
	isOnline.watch(() => {
		if (isOnline.value) actions.wake();
		else setTimeout(probe, 3000);
	});
	if (!isOnline.value) setTimeout(probe, 3000);
	let was: string = login.value.state;
	login.watch(() => {
		const is = login.value.state;
		if (is === "in" && was !== "in") { // again: what was waiting goes on
			actions.wake();
			look();
		}
		was = is;
	});
	window.addEventListener("beforeunload", (e) => {
		if (actions.waiting.value && !leaving) e.preventDefault();
	});
}

/** While there is no connection: asks until there is one. */
function probe(): void {
	if (isOnline.value || login.value.state !== "in") return;
	mail.refresh().catch(() => {}).finally(() => { if (!isOnline.value) setTimeout(probe, 5000); });
}
