import { useEffect } from "preact/hooks";
import { useCell } from "../common/cell";
import { info } from "./session";

/** The name of the window: what is unread, the page, the organisation. */
export function usePageTitle(title: string, unread = 0): void {
	const about = useCell(info);
	useEffect(() => {
		document.title = `${unread ? `(${unread}) ` : ""}${title}${about?.organisation ? ` – ${about.organisation}` : ""}`;
	}, [title, unread, about]);
}
