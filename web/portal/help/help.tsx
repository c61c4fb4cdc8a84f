/* "What to do now": filled from /api/portal, printable. */
export function HelpPage() {
	return <main id="main" tabIndex={-1}></main>;
}
