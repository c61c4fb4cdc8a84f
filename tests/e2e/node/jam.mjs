// What jmap-jam, somebody else's JMAP client, sees and does; told by JSON on standard input, answers with one line of JSON.
import JamClient from 'jmap-jam'

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
const chunks = []
for await (const c of process.stdin) chunks.push(c)
const told = JSON.parse(chunks.join(''))
const out = {}
const jam = new JamClient({sessionUrl: `https://127.0.0.1:${told.https}/.well-known/jmap`, bearerToken: told.token})
const accountId = await jam.getPrimaryAccount()

const [boxes] = await jam.api.Mailbox.get({accountId, ids: null})
out.roles = Object.fromEntries(boxes.list.filter((b) => b.role).map((b) => [b.role, b.name]))
const box = (role) => boxes.list.find((b) => b.role === role).id

// One request: query, fetch by reference.
const [{emails}] = await jam.requestMany((t) => {
	const found = t.Email.query({accountId, filter: {inMailbox: box('inbox')}, sort: [{property: 'receivedAt', isAscending: false}]})
	const emails = t.Email.get({accountId, ids: found.$ref('/ids'), properties: ['id', 'subject', 'from', 'keywords', 'preview', 'bodyValues', 'textBody'], fetchTextBodyValues: true})
	return {found, emails}
})
out.subjects = emails.list.map((e) => e.subject)
out.first = emails.list[0]

// Flags and a move.
const id = emails.list[0].id
const [set] = await jam.api.Email.set({accountId, update: {[id]: {'keywords/$flagged': true, 'keywords/$seen': true}}})
out.flagged = Object.keys(set.updated ?? {}).length === 1
const [moved] = await jam.api.Email.set({accountId, update: {[emails.list[1].id]: {mailboxIds: {[box('archive')]: true}}}})
out.moved = Object.keys(moved.updated ?? {}).length === 1

// Push, then sending with an attachment.
const events = []
const {blobId} = await jam.uploadBlob(accountId, new Blob(['a,b\n1,2\n'], {type: 'text/csv'}))
const [identities] = await jam.api.Identity.get({accountId, ids: null})
const [{sent}] = await jam.requestMany((t) => {
	const draft = t.Email.set({
		accountId,
		create: {
			draft: {
				mailboxIds: {[box('drafts')]: true},
				keywords: {$draft: true, $seen: true},
				from: [{name: 'Anna', email: told.user}],
				to: [{name: 'Bert', email: told.to}],
				subject: 'By jmap-jam',
				bodyStructure: {
					type: 'multipart/mixed',
					subParts: [{type: 'text/plain', partId: 'text'}, {type: 'text/csv', blobId, name: 'Übersicht.csv', disposition: 'attachment'}],
				},
				bodyValues: {text: {value: 'Grüße\n'}},
			},
		},
	})
	const sent = t.EmailSubmission.set({
		accountId,
		create: {go: {emailId: '#draft', identityId: identities.list[0].id}},
		onSuccessUpdateEmail: {'#go': {[`mailboxIds/${box('drafts')}`]: null, [`mailboxIds/${box('sent')}`]: true, 'keywords/$draft': null}},
	})
	return {draft, sent}
})
// The Email/set that follows has the same id (RFC 8621 s7.5), and this client keeps the last answer of an id.
out.sent = sent.created?.go ?? (sent.updated ? {id: Object.keys(sent.updated)[0]} : sent)
console.log(JSON.stringify(out))
process.exit(0)
