/* Writing: new, answer, forward, or a draft. kind: "" | "reply" | "replyall" | "forward" | "draft"; email: its id. */
export function ComposePage({ kind, email }: { kind: string; email: string }) {
	return <main id="main" tabIndex={-1}>{kind} {email}</main>;
}
