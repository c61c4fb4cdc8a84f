/* The banner: what is said is so in every state, in both languages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { said } from "../portal/now";
import { chosenLanguage } from "../common/i18n";
import type { Now } from "../common/api";

const base: Now = { site: "hq", state: "up", since: "2026-11-22T03:00:00Z", class: "", continuity: "off", held: 0, handback: null, mode: "backup-mx", sends: "direct" };
const moving = { total: 400, done: 100, left: 300, eta_s: 240 };
const told = (part: Partial<Now>) => said({ ...base, ...part })?.text ?? null;

type Row = [Partial<Now>, "care" | "good" | "note" | null, { en: RegExp[]; de: RegExp[] }];
const AT_ONCE = { en: /other organisations goes out at once/, de: /andere Organisationen geht sofort hinaus/ };
const LATER = { en: /goes out as soon as it can\./, de: /geht hinaus, sobald es möglich ist\./ };
const WAITS = { en: /does not go out at once at the moment/, de: /geht im Moment nicht sofort hinaus/ };

const rows: Row[] = [
	[{}, null, { en: [], de: [] }],
	[{ mode: "gateway" }, null, { en: [], de: [] }],
	[{ state: "unknown" }, null, { en: [], de: [] }],
	[{ state: "down", class: "tcp" }, "care", { en: [/has not answered since/, AT_ONCE.en], de: [/antwortet seit .* nicht/, AT_ONCE.de] }],
	[{ state: "down", class: "tcp", since: null }, "care", { en: [/has not answered\. You/], de: [/antwortet nicht\. Hier/] }],
	[{ state: "down", class: "tcp", mode: "gateway", continuity: "on" }, "care", { en: [/has not answered/, AT_ONCE.en], de: [/antwortet/, AT_ONCE.de] }],
	[{ state: "down", class: "tcp", sends: "queued" }, "care", { en: [/has not answered/, LATER.en], de: [/nicht\. Hier/, LATER.de] }],
	[{ state: "down", class: "operator" }, "care", { en: [/paused by your administrators/, AT_ONCE.en], de: [/angehalten/, AT_ONCE.de] }],
	[{ state: "down", class: "operator", handback: moving }, "care", { en: [/paused by your administrators/], de: [/angehalten/] }],
	[{ state: "stopped" }, "care", { en: [/takes no mail/, AT_ONCE.en], de: [/keine Mail an/, AT_ONCE.de] }],
	[{ state: "suspect" }, "care", { en: [/answers badly/, AT_ONCE.en], de: [/schlecht/, AT_ONCE.de] }],
	[{ state: "suspect", handback: moving }, "care", { en: [/answers badly/], de: [/schlecht/] }], // it does not "work again"
	[{ state: "suspect", sends: "queued" }, "care", { en: [/answers badly/, LATER.en], de: [/schlecht/, LATER.de] }],
	[{ state: "probation" }, "good", { en: [/answers again/, AT_ONCE.en], de: [/antwortet wieder/, AT_ONCE.de] }],
	[{ state: "probation", sends: "queued" }, "good", { en: [/answers again/, LATER.en], de: [/antwortet wieder/, LATER.de] }],
	[{ handback: moving }, "good", { en: [/100 of 400 messages have moved back, the rest takes about 4 minutes\.$/], de: [/100 von 400 Nachrichten sind zurückgekehrt, der Rest dauert etwa 4 Minuten\.$/] }],
	[{ handback: { ...moving, eta_s: null } }, "good", { en: [/moved back\.$/], de: [/zurückgekehrt\.$/] }],
	[{ handback: { ...moving, eta_s: 20 } }, "good", { en: [/less than a minute\.$/], de: [/weniger als eine Minute\.$/] }],
	[{ handback: moving, sends: "queued" }, "good", { en: [/moved back/, WAITS.en], de: [/zurückgekehrt/, WAITS.de] }],
	[{ handback: { total: 4, done: 4, left: 0, eta_s: null } }, null, { en: [], de: [] }],
	[{ continuity: "on" }, "note", { en: [/replacement mail/], de: [/Ersatz-Mail/] }],
	[{ sends: "queued" }, "note", { en: [WAITS.en], de: [WAITS.de] }],
	[{ sends: "queued", continuity: "on", mode: "gateway" }, "note", { en: [/replacement mail/, WAITS.en], de: [/Ersatz-Mail/, WAITS.de] }],
];

for (const language of ["en", "de"] as const)
	test(`the banner's sentence in every state: ${language}`, () => {
		chosenLanguage.value = language;
		assert.equal(said(null), null);
		for (const [part, kind, want] of rows) {
			const s = said({ ...base, ...part });
			assert.equal(s?.kind ?? null, kind, JSON.stringify(part));
			for (const r of want[language]) assert.match(s?.text ?? "", r, JSON.stringify(part));
			assert.ok(!/undefined|null|  |\.\./.test(s?.text ?? ""), s?.text);
		}
	});

test("at once is said only while it is so", () => {
	chosenLanguage.value = "en";
	for (const state of ["unknown", "up", "suspect", "down", "probation", "stopped"] as const)
		for (const continuity of ["on", "off"] as const)
			for (const handback of [null, moving]) {
				assert.ok(!/organisations goes out at once/.test(told({ state, continuity, handback, sends: "queued" }) ?? ""), state);
				assert.ok(!/organisations (is kept|does not)/.test(told({ state, continuity, handback }) ?? ""), state);
			}
});
