import { useEffect, useRef, useState } from "preact/hooks";
import { useTexts } from "../../common/i18n";
import { IconButton } from "../../common/components/button";
import { Icon } from "../../common/components/icon";
import { go } from "../router";
import type { MailRoute } from "./mail";

export function SearchField({ route }: { route: MailRoute }) {
	const t = useTexts();
	const there = route.page === "search" ? route.words : "";
	const [words, setWords] = useState(there);
	const input = useRef<HTMLInputElement>(null);
	useEffect(() => { setWords(there); }, [there]);
	const clear = () => {
		setWords("");
		if (there) go({ page: "mail", box: "inbox", thread: "" });
		input.current?.focus();
	};
	return (
		<form class="search" role="search" onSubmit={(e) => {
			e.preventDefault();
			const w = words.trim();
			if (w) go({ page: "search", words: w, thread: "" });
			else clear();
			input.current?.blur();
		}}>
			<Icon name="search" />
			<input ref={input} id="search" type="search" value={words} placeholder={t.search.placeholder} aria-label={t.search.label} aria-description={t.search.hint} title={t.search.hint}
				autocomplete="off" spellcheck={false} maxLength={300} enterKeyHint="search" onInput={(e) => setWords(e.currentTarget.value)}
				onKeyDown={(e) => { if (e.key === "Escape") { e.preventDefault(); if (words) clear(); else input.current?.blur(); } }} />
			{words && <IconButton icon="close" label={t.search.clear} onClick={clear} />}
		</form>
	);
}
