/* Tells the browser of the service worker (sw.ts), so that the page itself is there without a connection and can be installed. */
type ScriptUrls = { createScriptURL(url: string): string };

export function startWorker(): void {
	if (!("serviceWorker" in navigator)) return;
	const own: ScriptUrls = { createScriptURL: () => "/sw.js" }; // this one and no other
	const urls = (window as { trustedTypes?: { createPolicy(name: string, p: ScriptUrls): ScriptUrls } }).trustedTypes?.createPolicy("worker", own) ?? own;
	const begin = () => void navigator.serviceWorker.register(urls.createScriptURL("/sw.js"), { scope: "/" }).catch(() => {});
	if (document.readyState === "complete") setTimeout(begin, 1500);
	else window.addEventListener("load", () => setTimeout(begin, 1500)); // the first list goes first
}
