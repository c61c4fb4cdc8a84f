/*
 * The service worker: keeps the page itself (files of the build, no mail and no answer of the server) so that it opens at once and
 * without a connection. A new build has a new VERSION: its files are fetched beside the old ones, which an open page may still need;
 * what is older than that goes.
 */
export {};
declare const SHELL: string[];
declare const VERSION: string;

/* the part of the worker's world that is used here; the page's types know none of it */
type ServiceWorkerScope = {
	addEventListener(kind: "install" | "activate", on: (e: { waitUntil(p: Promise<unknown>): void }) => void): void;
	addEventListener(kind: "fetch", on: (e: { request: Request; respondWith(p: Promise<Response>): void }) => void): void;
	skipWaiting(): Promise<void>;
	clients: { claim(): Promise<void> };
	location: Location;
};
const me = self as unknown as ServiceWorkerScope;
const NAME = "shell.";
const cacheName = NAME + VERSION;
const paths = new Set(SHELL.map((f) => `/${f}`));

me.addEventListener("install", (e) => {
	e.waitUntil(caches.open(cacheName).then((c) => c.addAll([...paths].map((p) => new Request(p, { cache: "no-cache" })))).then(() => me.skipWaiting()));
});

me.addEventListener("activate", (e) => {
	e.waitUntil((async () => {
		const old = (await caches.keys()).filter((k) => k.startsWith(NAME) && k !== cacheName);
		for (const k of old.slice(0, -1)) await caches.delete(k);
		await me.clients.claim();
	})());
});

/** The page comes as it was installed; files of builds before it from whichever cache has them; all else from the server alone. */
me.addEventListener("fetch", (e) => {
	const url = new URL(e.request.url);
	if (e.request.method !== "GET" || url.origin !== me.location.origin) return;
	const path = url.pathname === "/" ? "/index.html" : url.pathname;
	if (!paths.has(path) && !path.startsWith("/assets/")) return;
	e.respondWith((async () => {
		const own = await (await caches.open(cacheName)).match(path);
		return own ?? (await caches.match(path)) ?? fetch(e.request);
	})());
});
