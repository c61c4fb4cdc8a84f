// Messages as postal-mime sees them: file names on stdin, one a line; one JSON object a line: subject and attachments.
import fs from "node:fs";
import PostalMime from "postal-mime";

for (const path of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
	let seen;
	try {
		const mail = await new PostalMime().parse(fs.readFileSync(path));
		seen = {
			file: path,
			subject: mail.subject ?? null,
			attachments: mail.attachments.map((a) => ({
				type: a.mimeType,
				filename: a.filename,
				bytes: Buffer.from(a.content).toString("hex"),
			})),
		};
	} catch (error) {
		seen = { file: path, error: String(error) };
	}
	console.log(JSON.stringify(seen));
}
