/* Loading for a page: what is asked, again when something changes, and what went wrong. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../common/api";
import { toast } from "../common/components/toast";
import { lost, mayAsk } from "./session";
import type { Texts } from "./texts";

/** A sentence for what went wrong. */
export function why(t: Texts, e: unknown): string {
	return e instanceof ApiError && e.message ? e.message : e instanceof ApiError ? t.app.failed : t.app.noAnswer;
}

export type Loaded<T> = { value: T | null; fault: unknown; busy: boolean; again: () => void };

/** Asks when `key` changes, and every `every` ms while the page is seen. An answer that was overtaken is dropped. */
export function useLoad<T>(key: string, ask: () => Promise<T>, every = 0): Loaded<T> {
	const [state, set] = useState<{ key: string; value: T | null; fault: unknown; busy: boolean }>({ key, value: null, fault: null, busy: true });
	const [turn, setTurn] = useState(0);
	const asked = useRef(0);
	const how = useRef(ask);
	how.current = ask;
	useEffect(() => {
		const mine = ++asked.current;
		set((s) => ({ key, value: s.key === key ? s.value : null, fault: null, busy: true }));
		how.current().then(
			(value) => { if (mine === asked.current) set({ key, value, fault: null, busy: false }); },
			(fault) => { if (mine === asked.current && !lost(fault)) set((s) => ({ ...s, fault, busy: false })); },
		);
		if (!every) return;
		const timer = setInterval(() => { if (mayAsk()) setTurn((n) => n + 1); }, every);
		return () => clearInterval(timer);
	}, [key, turn, every]);
	useEffect(() => () => { asked.current = -1; }, []);
	return { value: state.key === key ? state.value : null, fault: state.fault, busy: state.busy, again: () => setTurn((n) => n + 1) };
}

/** Does something and says how it went. True: it worked. */
export async function attempt<T>(t: Texts, what: () => Promise<T>, done?: (value: T) => string): Promise<boolean> {
	try {
		const value = await what();
		const said = done?.(value);
		if (said) toast(said);
		return true;
	} catch (e) {
		if (!lost(e)) toast(why(t, e), { bad: true });
		return false;
	}
}
