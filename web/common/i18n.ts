/* The language of the page, and how it writes dates and sizes. Texts: texts/en.ts and texts/de.ts, one shape for all. */
import { keptCell, useCell } from "./cell";
import * as en from "../texts/en";
import * as de from "../texts/de";

export type Language = "en" | "de";
export const LANGUAGES: readonly { id: Language; name: string }[] = [
	{ id: "en", name: "English" },
	{ id: "de", name: "Deutsch" },
];

const isChoice = (v: unknown): v is Language | "" => v === "" || LANGUAGES.some((l) => l.id === v);
/** What the person chose; "" is as the browser says. */
export const chosenLanguage = keptCell<Language | "">("language", "", isChoice);

export function language(): Language {
	if (chosenLanguage.value) return chosenLanguage.value;
	const wanted = typeof navigator === "undefined" ? [] : navigator.languages ?? [navigator.language];
	for (const w of wanted) {
		const l = LANGUAGES.find((x) => w.toLowerCase().startsWith(x.id));
		if (l) return l.id;
	}
	return "en";
}

/** The present language, watched. */
export function useLanguage(): Language {
	useCell(chosenLanguage);
	return language();
}

const portal = { en: en.portal, de: de.portal };
export type PortalTexts = typeof en.portal;
/** The portal's texts in the present language: for components. */
export const useTexts = (): PortalTexts => portal[useLanguage()];
/** The same outside of components. */
export const texts = (): PortalTexts => portal[language()];

const formats = new Map<string, Intl.DateTimeFormat>();
/** Dates and times in the present language; English ones as the browser's own kind of English writes them. */
export function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
	const key = language() + JSON.stringify(options);
	let f = formats.get(key);
	if (!f) formats.set(key, (f = new Intl.DateTimeFormat(language() === "en" ? undefined : language(), options)));
	return f;
}

const sameDay = (a: Date, b: Date) => a.toDateString() === b.toDateString();

/** For lists: the time today, the weekday this week, else the date. */
export function shortDate(iso: string, at = new Date()): string {
	const d = new Date(iso);
	if (Number.isNaN(d.getTime())) return "";
	if (sameDay(d, at)) return format({ hour: "2-digit", minute: "2-digit" }).format(d);
	const days = (at.getTime() - d.getTime()) / 86_400_000;
	if (days >= 0 && days < 6) return format({ weekday: "short" }).format(d);
	if (d.getFullYear() === at.getFullYear()) return format({ day: "numeric", month: "short" }).format(d);
	return format({ day: "2-digit", month: "2-digit", year: "numeric" }).format(d);
}

/** For reading: day and time in full. */
export function longDate(iso: string): string {
	const d = new Date(iso);
	return Number.isNaN(d.getTime()) ? "" : format({ weekday: "short", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(d);
}

/** For the head of a message: short, but with the day. */
export function mediumDate(iso: string, at = new Date()): string {
	const d = new Date(iso);
	if (Number.isNaN(d.getTime())) return "";
	const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
	if (sameDay(d, at)) return format(time).format(d);
	return format(d.getFullYear() === at.getFullYear() ? { weekday: "short", day: "numeric", month: "short", ...time } : { day: "numeric", month: "short", year: "numeric", ...time }).format(d);
}

/** For sentences ("since ..."): the time, with the day when it was not today. */
export function sinceDate(iso: string, at = new Date()): string {
	const d = new Date(iso);
	if (Number.isNaN(d.getTime())) return "";
	if (sameDay(d, at)) return format({ hour: "2-digit", minute: "2-digit" }).format(d);
	return format({ weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" }).format(d);
}

export function number(n: number): string {
	return new Intl.NumberFormat(language()).format(n);
}

export function bytes(n: number): string {
	const units = ["B", "kB", "MB", "GB"];
	let u = 0;
	while (n >= 1000 && u < units.length - 1) {
		n /= 1000;
		u++;
	}
	return `${new Intl.NumberFormat(language(), { maximumFractionDigits: n < 10 && u > 0 ? 1 : 0 }).format(n)} ${units[u]}`;
}
