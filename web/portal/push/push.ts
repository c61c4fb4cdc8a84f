/*
 * News from the server: one stream (EventSource, RFC 8620 s7.3) for all tabs of the portal. The tab that holds the lock has the
 * stream and tells the others by a channel; when it closes, the next one takes over. A browser keeps awake who holds a lock.
 * Where there are no locks, each tab has its own.
 */
import type { Now } from "../../common/api";

export type News = { onState: (changed: Record<string, string>) => void; onNow: (now: Now) => void;
	/** The stream began (again): something may have been missed. */
	onBegun: () => void };

type Told = { kind: "state"; changed: Record<string, string> } | { kind: "now"; now: Now } | { kind: "begun" };

const PAUSES_MS = [2000, 5000, 15_000, 30_000];

export class Push {
	private source: EventSource | null = null;
	private readonly channel: BroadcastChannel | null;
	private readonly end = new AbortController();
	private timer: ReturnType<typeof setTimeout> | undefined;
	private failed = 0;

	constructor(private readonly url: () => string, private readonly account: () => string, private readonly news: News, name: string) {
		this.channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(`push.${name}`) : null;
		if (this.channel) this.channel.onmessage = (e) => this.tell(e.data as Told);
		if (!this.channel || typeof navigator === "undefined" || !("locks" in navigator)) {
			this.open();
			return;
		}
		navigator.locks.request(`push.${name}`, { signal: this.end.signal }, () => {
			this.open();
			return new Promise<void>((resolve) => this.end.signal.addEventListener("abort", () => resolve()));
		}).catch(() => {}); // ended while it waited
	}

	stop(): void {
		this.end.abort();
		clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
		this.channel?.close();
	}

	/** The stream is tried again at once: the connection is back. */
	wake(): void {
		if (!this.timer) return;
		clearTimeout(this.timer);
		this.open();
	}

	private open(): void {
		this.timer = undefined;
		if (this.end.signal.aborted) return;
		const s = (this.source = new EventSource(this.url()));
		s.onopen = () => {
			this.failed = 0;
			this.share({ kind: "begun" });
		};
		s.addEventListener("state", (e) => this.took((e as MessageEvent<string>).data));
		s.addEventListener("now", (e) => {
			const now = parsed((e as MessageEvent<string>).data) as Now | null;
			if (now) this.share({ kind: "now", now });
		});
		/* a browser tries a broken stream again by itself, but not one that was refused */
		s.onerror = () => {
			if (s.readyState !== EventSource.CLOSED || this.end.signal.aborted) return;
			this.timer = setTimeout(() => this.open(), PAUSES_MS[Math.min(this.failed++, PAUSES_MS.length - 1)]);
		};
	}

	private took(text: string): void {
		const said = parsed(text) as { changed?: Record<string, Record<string, string>> } | null;
		const changed = said?.changed?.[this.account()];
		if (changed) this.share({ kind: "state", changed });
	}

	private share(told: Told): void {
		this.channel?.postMessage(told);
		this.tell(told);
	}

	private tell(told: Told): void {
		if (told.kind === "state") this.news.onState(told.changed);
		else if (told.kind === "now") this.news.onNow(told.now);
		else this.news.onBegun();
	}
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
