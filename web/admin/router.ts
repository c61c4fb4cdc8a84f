/* Which page is shown stands behind the # of the address: #/<page>[/<part>]. */
import { Cell } from "../common/cell";

export const PAGES = ["overview", "queue", "trace", "people", "audit", "account"] as const;
export type Page = (typeof PAGES)[number] | "site" | "message";
export type Route = { page: Page; part: string };

export function parse(hash: string): Route {
	const [page = "", part = ""] = hash.replace(/^#?\/?/, "").split("/").map((p) => {
		try {
			return decodeURIComponent(p);
		} catch {
			return "";
		}
	});
	const known = [...PAGES, "site", "message"] as string[];
	return { page: known.includes(page) ? (page as Page) : "overview", part };
}

export const path = (page: Page, part = ""): string => `#/${page}${part ? "/" + encodeURIComponent(part) : ""}`;

export const route = new Cell<Route>({ page: "overview", part: "" });

export function startRouter(): void {
	const look = () => { route.value = parse(location.hash); };
	window.addEventListener("hashchange", look);
	look();
}
