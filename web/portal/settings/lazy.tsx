/* The settings, fetched when somebody opens them; their style is here, so that the page does not jump. */
import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../../common/components/button";
import { useTexts } from "../../common/i18n";
import "./settings.css";

type Page = FunctionComponent<{ part: string }>;
let loaded: Page | null = null;

export function SettingsPage(props: { part: string }) {
	const t = useTexts();
	const [Show, setShow] = useState<{ page: Page } | null>(loaded && { page: loaded });
	const [failed, setFailed] = useState(false);
	const begin = () => {
		setFailed(false);
		import("./settings").then((m) => setShow({ page: (loaded = m.SettingsPage) }), () => setFailed(true));
	};
	useEffect(() => { if (!Show) begin(); }, []);
	if (Show) return <Show.page {...props} />;
	return (
		<main id="main" class="settings" tabIndex={-1}>
			<h1 class="sr-only">{t.settings.title}</h1>
			{failed ? <div class="notice bad" role="alert"><p>{t.app.noAnswer}</p><Button onClick={begin}>{t.app.retry}</Button></div> : <div class="loading"><div class="spinner" /></div>}
		</main>
	);
}
