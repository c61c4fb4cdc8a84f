/* How the usual mail server fares: for the banner. Comes by push, or is asked for now and then. */
import { Cell } from "../common/cell";
import * as api from "../common/api";
import { texts, sinceDate } from "../common/i18n";
import { login } from "./session";
import type { BannerKind } from "../common/components/banner";

export const now = new Cell<api.Now | null>(null);

export function startNow(): void {
	const ask = () => {
		if (document.visibilityState === "visible" && login.value.state === "in") void api.now().then((n) => { now.value = n; }, () => {});
	};
	ask();
	setInterval(ask, 30_000);
	document.addEventListener("visibilitychange", ask);
	login.watch(ask);
}

/** What the banner says: a sentence, its weight, and progress; null: nothing is worth a banner. */
export function said(n: api.Now | null): { kind: BannerKind; text: string; done?: number; total?: number } | null {
	if (!n) return null;
	const t = texts().banner;
	const since = n.since ? sinceDate(n.since) : "";
	const h = n.handback;
	const isPaused = n.state === "down" && n.class === "operator"; // hold by command
	const waits = n.sends === "queued";
	const sends = waits ? t.queued : t.direct;
	if (h && h.left > 0 && (n.state === "up" || n.state === "probation")) {
		const text = t.handback(h.done, h.total, h.eta_s === null ? null : Math.round(h.eta_s / 60));
		return { kind: "good", text: waits ? `${text} ${t.waits}` : text, done: h.done, total: h.total };
	}
	switch (n.state) {
	case "down":
		return { kind: "care", text: isPaused ? t.hold(since, sends) : t.down(since, sends) };
	case "stopped":
		return { kind: "care", text: t.stopped(since, sends) };
	case "suspect":
		return { kind: "care", text: t.suspect(since, sends) };
	case "probation":
		return { kind: "good", text: t.probation(sends) };
	default: {
		const all = [n.continuity === "on" ? t.continuity : "", waits ? t.waits : ""].filter(Boolean);
		return all.length ? { kind: "note", text: all.join(" ") } : null;
	}
	}
}
