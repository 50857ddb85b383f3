// The calls of the service. The token is kept here, in a variable of this tab.

let token = "";
let another = async () => false;

export function setToken(text) { token = text; }

// onRefused gives what asks for another token when this one is not taken (any
// longer). It resolves to true if there is one: the call is then made once more.
export function onRefused(ask) { another = ask; }

// Problem is an answer that is none, in the service's words.
export class Problem extends Error {
	constructor(message, { status = 0, kind = "", hint = "", request_id = "" } = {}) {
		super(message);
		Object.assign(this, { status, kind, hint, request: request_id });
	}
}

async function send(method, path, { query, headers, body, signal } = {}) {
	const url = new URL(`v1/${path}`, document.baseURI);
	for (const [name, value] of query ?? []) url.searchParams.append(name, value);
	// The mode stays "cors", which it is by itself: with "same-origin" and no
	// referrer, browsers send "Origin: null".
	const request = { method, signal, cache: "no-store", credentials: "omit", redirect: "error", headers: { Authorization: `Bearer ${token}`, ...headers } };
	if (body !== undefined) {
		request.body = JSON.stringify(body);
		request.headers["Content-Type"] = "application/json";
	}
	try {
		return await fetch(url, request);
	} catch (error) {
		if (error.name === "AbortError") throw error;
		throw new Problem("The service does not answer.", { kind: "unavailable", hint: "It may have ended. Nothing typed here is lost: try again when it runs." });
	}
}

async function call(method, path, options) {
	let answer = await send(method, path, options);
	if (answer.status === 401 && await another(await problemOf(answer))) answer = await send(method, path, options);
	if (!answer.ok) throw await problemOf(answer);
	return answer;
}

async function problemOf(answer) {
	const said = await answer.json().catch(() => ({}));
	return problemFrom({ ...said, status: answer.status });
}

// problemFrom takes a problem as the service writes it.
export function problemFrom(said) {
	return new Problem(said.detail || said.title || `The service answered ${said.status}.`, said);
}

const json = async (...request) => (await call(...request)).json();
const at = (id, rest = "") => `credentials/${encodeURIComponent(id)}${rest}`;
const tagged = (version) => (version ? { "If-Match": `"${version}"` } : {});

// signIn asks what the service is, and what the token may do. It asks for no other token.
export async function signIn() {
	const answer = await send("GET", "store");
	if (!answer.ok) throw await problemOf(answer);
	return answer.json();
}

export function list({ prefix = "", tags = [], cursor = "", details = false, limit = 1000 }, signal) {
	const query = [["limit", limit], ...tags.map((tag) => ["tag", tag])];
	if (prefix) query.push(["prefix", prefix]);
	if (cursor) query.push(["cursor", cursor]);
	if (details) query.push(["details", "true"]);
	return json("GET", "credentials", { query, signal });
}

// describe returns a credential without its value, undefined if it is not listed.
// Of all ids that begin with this one, it is the first.
export async function describe(id) {
	const { items } = await list({ prefix: id, limit: 1, details: true });
	return items.find((item) => item.id === id);
}

const versioned = (version) => (version ? [["version", version]] : []);

export function get(id, version) {
	return json("GET", at(id), { query: versioned(version), headers: { Accept: "application/json" } });
}

export async function bytes(id, version) {
	return (await call("GET", at(id), { query: versioned(version), headers: { Accept: "application/octet-stream" } })).blob();
}

// create stores a credential that must not be there.
export function create(id, content) {
	return json("PUT", at(id), { headers: { "If-None-Match": "*" }, body: content });
}

// put writes over a credential: of this version only, whichever it is without.
export function put(id, content, version) {
	return json("PUT", at(id), { headers: tagged(version), body: content });
}

// tag changes tags. Of two changes at once neither is lost: it needs no version.
export function tag(id, changes) { return json("PATCH", at(id, "/tags"), { body: changes }); }

export function remove(id, version) { return call("DELETE", at(id), { headers: tagged(version) }); }
export function restore(id) { return call("POST", at(id, "/restore")); }
export function purge(id) { return call("POST", at(id, "/purge")); }
export function versions(id) { return json("GET", at(id, "/versions")); }
