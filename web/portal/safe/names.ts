/*
 * Words of strangers among our own: names, subjects, file names. They are always set as text; what text alone can do is
 * turn the direction of reading, hide itself, or pretend to be an address or a harmless file. Pure.
 */

/* Turns or isolates the direction (UAX #9), and what has no width of its own. */
const turning = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;
const unseen = /[\u0000-\u001F\u007F-\u009F\u00AD\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u2028\u2029\u2060-\u2065\u206A-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E0FFF}]/gu;

/* The text without what turns or hides; lone surrogates become U+FFFD. */
export function plain(text: string): string {
	const whole = text.replace(/\p{Surrogate}/gu, "\uFFFD");

	return whole.replace(turning, "").replace(unseen, (c) => (/[\t\n\r\u2028\u2029]/.test(c) ? " " : ""));
}

export const isTurned = (text: string): boolean => text.search(turning) >= 0;

/* ---- people ---- */

export interface Address {
	name?: string | null;
	email: string;
}

export type NameWarning = "address-in-name" | "turned" | "mixed-letters";

const addressIn = /[^\s<>()"',;:]+@([^\s<>()"',;:]+\.[^\s<>()"',;:]+)/;

/* Latin together with Cyrillic or Greek in one word: letters that look alike. */
export function isMixed(word: string): boolean {
	return /\p{Script=Latin}/u.test(word) && /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(word);
}

const domainOf = (email: string): string => email.slice(email.lastIndexOf("@") + 1).toLowerCase();

export function warnOfName(from: Address): NameWarning[] {
	const out: NameWarning[] = [];
	const name = plain(from.name ?? "").normalize("NFKC");
	const inside = addressIn.exec(name);

	if (inside && !name.toLowerCase().includes(from.email.toLowerCase())) out.push("address-in-name");
	if (isTurned(from.name ?? "") || isTurned(from.email)) out.push("turned");
	if ([...name.split(/[\s@.]+/), ...domainOf(from.email).split(".")].some(isMixed)) out.push("mixed-letters");
	return out;
}

/* True when answers would go to another domain than the mail claims to come from. */
export function answersElsewhere(from: Address[], replyTo: Address[] | null | undefined): string | null {
	const home = new Set(from.map((a) => domainOf(a.email)));
	const other = (replyTo ?? []).find((a) => !home.has(domainOf(a.email)));

	return other ? other.email : null;
}

/* ---- files ---- */

export type FileWarning = "runs" | "two-endings" | "turned" | "page" | "other-type";

const running = words("exe com scr pif bat cmd msi msp mst cpl jar js jse vbs vbe wsf wsh wsc hta ps1 psm1 reg lnk url scf dll sys " +
	"app dmg pkg deb rpm apk ipa sh bash command iso img vhd vhdx gadget inf application appref-ms xll docm xlsm pptm dotm " +
	"xlam ppam one library-ms settingcontent-ms");
const pages = words("html htm xhtml xht shtml mht mhtml svg svgz xml xsl");
const quiet = words("pdf doc docx xls xlsx ppt pptx odt ods odp txt rtf csv jpg jpeg png gif bmp tif tiff webp mp3 mp4 avi mov zip");
const runningTypes = /^application\/(x-(ms-?dos|msdownload|dosexec|sh|executable|msi|java-archive|javascript)|java-archive|hta|javascript|vnd\.microsoft\.portable-executable)/i;

function words(text: string): Set<string> {
	return new Set(text.split(" "));
}

export function endingOf(name: string): string {
	const clean = plain(name).trim();
	const dot = clean.lastIndexOf(".");

	return dot > 0 ? clean.slice(dot + 1).toLowerCase() : "";
}

export function warnOfFile(name: string, type: string): FileWarning[] {
	const out: FileWarning[] = [];
	const clean = plain(name).trim().replace(/[. ]+$/, "");
	const parts = clean.split(".").map((p) => p.trim().toLowerCase());
	const ending = parts.length > 1 ? (parts.at(-1) as string) : "";

	if (isTurned(name)) out.push("turned");
	if (running.has(ending) || runningTypes.test(type)) out.push("runs");
	else if (pages.has(ending) || /html|svg|xml/i.test(type)) out.push("page");
	if (parts.length > 2 && quiet.has(parts.at(-2) as string) && (running.has(ending) || pages.has(ending)))
		out.push("two-endings");
	if (quiet.has(ending) && runningTypes.test(type)) out.push("other-type");
	return out;
}

/* A name to save a file under: its own, without what directs or leads elsewhere, its ending kept; never empty. */
export function fileName(name: string | null | undefined, fallback: string): string {
	const clean = plain(name ?? "").replace(/[\\/:*?"<>|]/g, "_").replace(/\s+/g, " ").replace(/^[. ]+/, "").trim();

	if (!clean) return fallback;
	if (clean.length <= 120) return clean;

	const ending = endingOf(clean);

	return ending && ending.length <= 12 ? `${clean.slice(0, 119 - ending.length)}.${ending}` : clean.slice(0, 120);
}
