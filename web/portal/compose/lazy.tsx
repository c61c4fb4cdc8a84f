/* The page for writing, fetched when somebody writes. Its style is here: a style fetched later would make the page jump. */
import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../../common/components/button";
import { useTexts } from "../../common/i18n";
import "./compose.css";

type Page = FunctionComponent<{ kind: string; email: string }>;
let loaded: Page | null = null;
const load = (): Promise<Page> => import("./compose").then((m) => (loaded = m.ComposePage as Page));

/** While nothing else is to do: the first message is begun at once. */
export function loadAhead(): void {
	setTimeout(() => void load().catch(() => {}), 4000);
}

export function ComposePage(props: { kind: string; email: string }) {
	const t = useTexts();
	const [Show, setShow] = useState<{ page: Page } | null>(loaded && { page: loaded });
	const [failed, setFailed] = useState(false);
	const begin = () => {
		setFailed(false);
		load().then((page) => setShow({ page }), () => setFailed(true));
	};
	useEffect(() => { if (!Show) begin(); }, []);
	if (Show) return <Show.page {...props} />;
	return (
		<main id="main" class="compose" tabIndex={-1}>
			<h1 class="sr-only">{t.compose.titles.new}</h1>
			{failed ? <div class="notice bad" role="alert"><p>{t.app.noAnswer}</p><Button onClick={begin}>{t.app.retry}</Button></div> : <div class="loading"><div class="spinner" /></div>}
		</main>
	);
}
