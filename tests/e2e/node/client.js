// What imapflow and nodemailer see and do; told by JSON on standard input, answers with one line of JSON.
const { ImapFlow } = require("imapflow");
const nodemailer = require("nodemailer");

async function main(told) {
	const out = {};
	const client = new ImapFlow({
		host: "127.0.0.1", port: told.imaps, secure: true, auth: { user: told.user, pass: told.password },
		tls: { rejectUnauthorized: false }, logger: false,
	});
	await client.connect();
	out.special = Object.fromEntries((await client.list()).map((b) => [b.path, b.specialUse || ""]));
	await client.mailboxOpen("INBOX");
	out.ids = [];
	for await (const m of client.fetch("1:*", { envelope: true, bodyStructure: true, flags: true })) {
		out.ids.push(m.envelope.messageId);
		out.structure = m.bodyStructure.type;
	}
	out.found = (await client.search({ header: { "message-id": out.ids[0] } })).length;
	await client.messageFlagsAdd("1", ["\\Answered"]);
	const moved = await client.messageMove("2", "Archive");
	out.moved_uid = moved.uidMap ? [...moved.uidMap.values()][0] : 0;

	// IDLE: a message arrives while we wait.
	const exists = new Promise((resolve) => client.once("exists", () => resolve(Date.now())));
	client.idle();
	const outside = nodemailer.createTransport({ host: "127.0.0.1", port: told.smtp, secure: false, ignoreTLS: true });
	await outside.sendMail({ from: "sender@example.org", to: told.user, subject: "Pushed", text: "now" });
	const accepted = Date.now();
	const timeout = new Promise((resolve) => setTimeout(() => resolve(null), 5000));
	const at = await Promise.race([exists, timeout]);
	out.pushed = at === null ? null : Math.max(0, at - accepted);

	const ours = nodemailer.createTransport({
		host: "127.0.0.1", port: told.submission, secure: false, requireTLS: true, tls: { rejectUnauthorized: false },
		auth: { user: told.user, pass: told.password },
	});
	await ours.sendMail({
		from: told.user, to: told.to, subject: "By nodemailer", text: "Hello", html: "<p>Hello</p>",
		attachments: [{ filename: "Übersicht.txt", content: "a table" }],
	});
	await client.logout();
	console.log(JSON.stringify(out));
	process.exit(0);
}

let text = "";
process.stdin.on("data", (d) => (text += d)).on("end", () => main(JSON.parse(text)).catch((e) => { console.error(e); process.exit(1); }));
