export function SettingsPage({ part }: { part: string }) {
	return <main id="main" tabIndex={-1}>{part}</main>;
}
