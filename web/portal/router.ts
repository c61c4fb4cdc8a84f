/*
 * Which page is shown stands behind the # of the address, so that "back" works and the server needs to know one file only.
 *   #/mail/<mailbox id or "inbox">[/<thread id>]   #/search/<words>[/<thread id>]   #/write[/<kind>/<email id>]   #/settings[/<part>]   #/help
 */
import { encoded } from "../common/jmap";
import { Cell } from "../common/cell";

export type Route =
	| { page: "mail"; box: string; thread: string }
	| { page: "search"; words: string; thread: string }
	| { page: "write"; kind: string; email: string }
	| { page: "settings"; part: string }
	| { page: "help" }
	| { page: "none" };

export function parse(hash: string): Route {
	const [page = "", a = "", b = ""] = hash.replace(/^#?\/?/, "").split("/").map(decoded);
	switch (page) {
	case "":
	case "mail":
		return { page: "mail", box: a || "inbox", thread: b };
	case "search":
		return { page: "search", words: a, thread: b };
	case "write":
		return { page: "write", kind: a, email: b };
	case "settings":
		return { page: "settings", part: a };
	case "help":
		return { page: "help" };
	default:
		return { page: "none" };
	}
}

function decoded(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		return "";
	}
}

export function path(r: Route): string {
	const parts: string[] =
		r.page === "mail" ? ["mail", r.box, r.thread]
		: r.page === "search" ? ["search", r.words, r.thread]
		: r.page === "write" ? ["write", r.kind, r.email]
		: r.page === "settings" ? ["settings", r.part]
		: [r.page];
	while (parts.length > 1 && !parts[parts.length - 1]) parts.pop();
	return "#/" + parts.map(encoded).join("/");
}

export const route = new Cell<Route>({ page: "mail", box: "inbox", thread: "" });

/** Asked before a page is left, with where to; false keeps it (a page that would lose something typed). */
let guard: ((to: Route) => boolean) | null = null;
export function setGuard(g: typeof guard): void {
	guard = g;
}

export function go(r: Route, how: "push" | "replace" = "push"): void {
	const to = path(r);
	if (to === location.hash) return;
	if (how === "replace") {
		history.replaceState(history.state, "", to);
		shown = to;
		route.value = parse(to);
	} else {
		location.hash = to;
	}
}

let shown = "";

export function startRouter(): void {
	shown = location.hash;
	const look = () => {
		const next = parse(location.hash);
		if (guard && location.hash !== shown && !guard(next)) {
			history.pushState(null, "", shown);
			return;
		}
		shown = location.hash;
		route.value = next;
	};
	window.addEventListener("hashchange", look);
	look();
}
