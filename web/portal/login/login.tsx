import { useTexts } from "../../shared/i18n";

export function LoginPage({ again }: { again: boolean }) {
	const t = useTexts();
	return <main id="main" tabIndex={-1}><h1>{t.login.title}</h1>{again && <p>{t.login.again}</p>}</main>;
}
