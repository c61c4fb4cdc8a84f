import type { Route } from "../router";

export function MailPage({ route }: { route: Route & { page: "mail" | "search" } }) {
	return <main id="main" tabIndex={-1}>{route.page}</main>;
}
