/* The console's texts, and times and sizes as its pages write them. */
import * as de from "../texts/de";
import * as en from "../texts/en";
import { format, language, useLanguage } from "../common/i18n";

const all = { en: en.admin, de: de.admin };
export type Texts = typeof en.admin;
export const useTexts = (): Texts => all[useLanguage()];
export const texts = (): Texts => all[language()];

/** "2 h 11 min" */
export function span(t: Texts, seconds: number): string {
	const n = Math.max(0, Math.round(seconds));
	if (n < 60) return t.time.s(n);
	if (n < 3600) return t.time.m(Math.round(n / 60));
	if (n < 86_400) return t.time.h(Math.floor(n / 3600), Math.round((n % 3600) / 60) % 60);
	return t.time.d(Math.floor(n / 86_400), Math.floor((n % 86_400) / 3600));
}

const sameDay = (a: Date, b: Date) => a.toDateString() === b.toDateString();

/** The time, with the day when it was not today. */
export function when(iso: string | null | undefined, seconds = false): string {
	const d = new Date(iso ?? "");
	if (Number.isNaN(d.getTime())) return "–";
	const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) };
	return format(sameDay(d, new Date()) ? time : { day: "numeric", month: "short", ...time }).format(d);
}
export const whenUs = (us: number, seconds = false): string => when(new Date(us / 1000).toISOString(), seconds);
