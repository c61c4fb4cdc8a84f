/* Folders: what is made, renamed and deleted, and that each comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fake, run } from "../dev/fake.mjs";
import { Boxes, family, freeName, isAboutName, isInTrash, nameFault } from "../portal/mail/boxes";
import { Mail } from "../portal/mail/sync";
import type { Jmap, Mailbox } from "../common/jmap";

async function office() {
	const f = fake({ messages: 100 });
	let n = 0;
	const call = ((name: string, args: Record<string, unknown>) => {
		const id = `c${n++}`;
		return Object.assign(Promise.resolve().then(() => structuredClone((run(f, [[name, structuredClone(args), id]]) as [string, unknown, string][])[0]![1])), { ref: () => ({}) });
	}) as unknown as Jmap["call"];
	const mail = new Mail({ call });
	mail.tookBoxes({ accountId: "A1", state: "1", notFound: [], list: (run(f, [["Mailbox/get", { ids: null }, "c"]]) as [string, { list: Mailbox[] }, string][])[0]![1].list });
	return { f, mail, boxes: new Boxes(mail), names: () => mail.cache.boxes().map((b) => b.name), get: (id: string) => mail.cache.box(id)! };
}

test("a folder is made, renamed and put elsewhere; a name that is taken is said to be", async () => {
	const { boxes, get } = await office();
	const id = await boxes.create({ name: " Travel ", parentId: "F7" });
	assert.equal(get(id).name, "Travel");
	assert.equal(get(id).parentId, "F7");
	await boxes.put(id, { name: "Trips", parentId: null });
	assert.deepEqual([get(id).name, get(id).parentId], ["Trips", null]);
	await assert.rejects(boxes.create({ name: "Trips", parentId: null }), isAboutName);
	await assert.rejects(boxes.put(id, { name: "Projects", parentId: null }), isAboutName);
});

test("names are looked at before the server is asked", async () => {
	const { mail } = await office();
	const all = mail.cache.boxes();
	const rows: [string, string | null, string, string][] = [["", null, "", "empty"], ["  ", null, "", "empty"], ["a/b", null, "", "signs"], ["50 %", null, "", "signs"], ["x".repeat(201), null, "", "signs"],
		["projects", null, "", "taken"], ["Projects", null, "F7", ""], ["Projects", "F1", "", ""], ["Übergabe", null, "", ""]];
	for (const [name, parentId, self, want] of rows) assert.equal(nameFault(all, { name, parentId }, self), want, name);
	assert.deepEqual(family(all, "F7").map((b) => b.id), ["F8", "F7"], "children first");
	assert.equal(freeName(all, { name: "Projects", parentId: null }, ""), "Projects 2");
});

test("a folder with something in it goes to the trash and comes back whole", async () => {
	const { f, mail, boxes, get } = await office();
	const before = get("F7").totalEmails;
	assert.ok(before > 0);
	await boxes.create({ name: "Projects", parentId: "F5" }); // one of this name lies there already
	const undo = await boxes.remove(get("F7"));
	assert.deepEqual([get("F7").parentId, get("F7").name, get("F8").parentId], ["F5", "Projects 2", "F7"]);
	assert.ok(isInTrash(mail.cache.boxes(), get("F8")));
	await undo();
	assert.deepEqual([get("F7").parentId, get("F7").name, get("F7").totalEmails], [null, "Projects", before]);
	assert.ok(!isInTrash(mail.cache.boxes(), get("F8")));
	assert.ok(![...f.emails.values()].some((e) => e.mailboxIds.F5));
});

test("an empty folder goes at once and is made anew by undo; for ever takes all that is in it", async () => {
	const { f, boxes, get, names } = await office();
	const undo = await boxes.remove(get("F8"));
	assert.ok(!names().includes("Moon"));
	await undo();
	assert.ok(names().includes("Moon"));
	await boxes.remove(get("F7"));
	await boxes.removeForEver(get("F7"));
	assert.ok(!names().includes("Projects") && !names().includes("Moon"));
	assert.ok(![...f.emails.values()].some((e) => e.mailboxIds.F7));
});
