/* H-04: names, files, links and verdicts that pretend; the parts of safe/ that need no browser. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { claimedHost, isMisleading, linkify, safeHref } from "../portal/safe/links";
import { answersElsewhere, fileName, plain, warnOfFile, warnOfName } from "../portal/safe/names";
import { kindOf } from "../portal/safe/images";
import { readVerdict } from "../portal/safe/verdict";

test("links have known schemes only", () => {
	for (const bad of ["javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc", "blob:x", "//x.example", "x.example", "", "http://", "about:blank", "ftp://x/y"])
		assert.equal(safeHref(bad), null, bad);
	assert.equal(safeHref(" https://x.example/a b "), "https://x.example/a%20b");
	assert.equal(safeHref("http://bänk.example/"), "http://xn--bnk-qla.example/");
	assert.equal(safeHref("mailto:a@x.example"), "mailto:a@x.example");
});

test("words of a link that name another place", () => {
	const rows: [string, string, boolean][] = [
		["https://bank.example/x", "https://evil.example/", true], ["www.bank.example", "https://bank.example/x", false], ["bank.example", "https://login.bank.example/", false],
		["bank.example", "https://bank.example.evil.example/", true], ["click here", "https://evil.example/", false], ["report.pdf", "https://x.example/", false],
		["https://bank.example@evil.example/", "https://evil.example/", false], ["a@bank.example", "mailto:b@evil.example", true], ["( https://bank.example )", "https://evil.example", true],
		["bаnk.example", "https://bank.example/", true], ["1.5 million", "https://x.example", false],
	];
	for (const [words, href, is] of rows) assert.equal(isMisleading(words, href), is, `${words} -> ${href}`);
	assert.equal(claimedHost("Bank: see bank.example"), null);
});

test("plain text becomes links, with the sentence's marks left out", () => {
	const of = (t: string) => linkify(t).filter((p) => p.href).map((p) => p.href);
	assert.deepEqual(of("see https://x.example/a_(b), or (www.y.example/z). a.b@c.example!"), ["https://x.example/a_(b)", "http://www.y.example/z", "mailto:a.b@c.example"]);
	assert.deepEqual(of("javascript:alert(1) <https://x.example/?q=1&r=2> data:text/html,x"), ["https://x.example/?q=1&r=2"]);
	const text = "a https://x.example b";
	assert.equal(linkify(text).map((p) => p.text).join(""), text);
	const began = Date.now();
	linkify("a@".repeat(50_000) + "http://".repeat(50_000) + "(".repeat(50_000));
	assert.ok(Date.now() - began < 3000);
});

test("names that pretend", () => {
	assert.deepEqual(warnOfName({ name: "boss@example.com", email: "x@evil.example" }), ["address-in-name"]);
	assert.deepEqual(warnOfName({ name: "x@evil.example", email: "x@evil.example" }), []);
	assert.deepEqual(warnOfName({ name: "Ann \u202Emoc.elpmaxe", email: "x@evil.example" }), ["turned"]);
	assert.deepEqual(warnOfName({ name: "Раypal", email: "x@evil.example" }), ["mixed-letters"]);
	assert.deepEqual(warnOfName({ name: "Иван Петров / Müller", email: "x@evil.example" }), []);
	assert.equal(answersElsewhere([{ email: "a@x.example" }], [{ email: "b@y.example" }]), "b@y.example");
	assert.equal(answersElsewhere([{ email: "a@x.example" }], [{ email: "b@X.example" }]), null);
	assert.equal(plain("a\u202Eb\u200Bc\u0000d\ne\uD800f\u{E0041}"), "abcd e\uFFFDf");
});

test("files that pretend", () => {
	assert.deepEqual(warnOfFile("invoice.pdf.exe", "application/pdf"), ["runs", "two-endings"]);
	assert.deepEqual(warnOfFile("invoice.pdf", "application/pdf"), []);
	assert.deepEqual(warnOfFile("invoice.pdf", "application/x-msdownload"), ["runs", "other-type"]);
	assert.deepEqual(warnOfFile("photo\u202Egpj.exe", "image/jpeg"), ["turned", "runs"]);
	assert.deepEqual(warnOfFile("a.pdf                      .exe ", ""), ["runs", "two-endings"]);
	assert.deepEqual(warnOfFile("letter.docx.html", "text/html"), ["page", "two-endings"]);
	assert.deepEqual(warnOfFile("picture.svg", "image/svg+xml"), ["page"]);
	assert.deepEqual(warnOfFile("notes.txt", "text/plain"), []);
	assert.equal(fileName("../../etc/passwd", "x"), "_.._etc_passwd");
	assert.equal(fileName("a\r\nSet-Cookie: b", "x"), "a Set-Cookie_ b");
	assert.equal(fileName("\u202E", "x"), "x");
	assert.equal(fileName(`${"n".repeat(500)}.pdf`, "x").length, 120);
	assert.ok(fileName(`${"n".repeat(500)}.pdf`, "x").endsWith(".pdf"));
});

test("only our own server's word counts as a verdict", () => {
	const ar = (value: string) => ({ name: "Authentication-Results", value });
	const received = (by: string) => ({ name: "Received", value: ` from x (y [192.0.2.1])\r\n\tby ${by} (Holdfast) with ESMTPS id 1; date` });
	const good = [ar(" mx.example.net;\r\n\tspf=pass smtp.mailfrom=example.org"), received("mx.example.net")];
	assert.deepEqual(readVerdict(good, "example.org"), { state: "passed", domain: "example.org", aligned: true });
	assert.deepEqual(readVerdict(good, "bank.example"), { state: "passed", domain: "example.org", aligned: false });
	assert.deepEqual(readVerdict([ar("mx.example.net; spf=softfail smtp.mailfrom=bank.example"), received("mx.example.net")], "bank.example"),
		{ state: "failed", domain: "bank.example", result: "softfail" });
	for (const forged of [
		[received("mx.example.net"), ar("mx.example.net; spf=pass smtp.mailfrom=bank.example")], // below our own
		[ar("other.example; spf=pass smtp.mailfrom=bank.example"), received("mx.example.net")], // somebody else's name
		[ar("mx.example.net; spf=pass smtp.mailfrom=bank.example"), { name: "Subject", value: "x" }, received("mx.example.net")],
		[ar("mx.example.net; spf=pass smtp.mailfrom=bank.example"), { name: "Received", value: "from a by mx.example.net with ESMTP" }],
		[ar("mx.example.net; dkim=pass header.d=bank.example"), received("mx.example.net")], [],
	]) assert.deepEqual(readVerdict(forged, "bank.example"), { state: "unchecked" });
});

test("a picture is what its first bytes are", () => {
	const of = (s: string) => kindOf(Uint8Array.from(s, (c) => c.charCodeAt(0)));
	assert.equal(of("\x89PNG\r\n\x1a\n"), "image/png");
	assert.equal(of("GIF89a"), "image/gif");
	assert.equal(of("<svg onload=alert(1)>"), null);
	assert.equal(of("<html>"), null);
	assert.equal(of(""), null);
});
