// The page of a Nebula service. It keeps nothing: a reload forgets all of it.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { createDetails } from "./details.js";
import { h, button, field, announce, problem } from "./dom.js";
import { newCredential } from "./edit.js";
import { createList } from "./list.js";
import { hideValue } from "./value.js";

const idle = 15 * 60 * 1000; // without a key or a click, the token is forgotten

// askToken asks for a token until one is taken, and returns what the service is.
let asking;
function askToken(refused) {
	asking ??= tokenDialog(refused).finally(() => { asking = undefined; });
	return asking;
}

function tokenDialog(refused) {
	hideValue();
	const input = h("input", { type: "password", class: "mono", required: true, autofocus: true, autocomplete: "off", spellcheck: "false", placeholder: "nbt_…" });
	return ask({
		title: [h("img", { src: "page/icon.svg", alt: "", width: "24", height: "24" }), refused ? "Another token is needed" : "Open this store"],
		action: "Open", cancel: "", className: "token",
		body: [
			refused ? problem(refused) : "",
			field("Token", input, "Kept in the memory of this tab only: closing or reloading it forgets the token."),
			h("p", { class: "muted" }, "A token is made with ", h("code", {}, "nebula serve token add")),
		],
		submit: async () => {
			const text = input.value.trim();
			if (!/^[!-~]+$/.test(text)) throw new api.Problem("That is not a token.", { hint: "A token begins with nbt_ and has no spaces." });
			api.setToken(text);
			return api.signIn();
		},
	});
}

// forget reloads the page: whatever it knew is gone with its memory.
function forget() { location.reload(); }

// know takes what the service says of itself and of the token, which may be another one.
const store = {};
function know(description) {
	Object.assign(store, description, { may: (verb) => description.token.allow.includes(verb) });
	document.getElementById("store").textContent = `${store.provider} store`;
	document.getElementById("new").hidden = !store.may("write");
}

function start() {
	const main = document.getElementById("main");
	const details = createDetails({ store, close, changed: (id, item) => list.put(id, item), filterBy: (tag) => { close(); list.filterBy(tag); }, create });
	const list = createList({ open, absent });

	function open(item) {
		// Back, on a phone, leads to the list and not out of the page. No id is kept.
		if (!details.isOpen()) history.pushState({ details: true }, "");
		main.classList.add("split");
		list.select(item.id);
		details.open(item);
	}

	function close() {
		if (details.isOpen()) history.back();
	}

	addEventListener("popstate", () => {
		details.shut();
		main.classList.remove("split");
		list.focus();
		list.select("");
	});

	async function create(id) {
		const stored = await newCredential(store, typeof id === "string" ? id : "");
		if (!stored) return;
		announce(`${stored.id} is stored.`);
		list.put(stored.id, stored);
		open(stored);
	}

	// absent offers what can be done with an id that is not listed: it may be deleted.
	function absent(text, found, filtered) {
		const offered = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/.test(text) && !list.isListed(text);
		return h("div", { class: "empty" },
			found ? "" : h("p", {}, filtered ? "Nothing matches." : "No credential is listed."),
			found || !offered || !store.may("write") ? "" : button(`New credential ${text}`, () => create(text)),
			offered ? button(`Open ${text}, which may be deleted`, () => open({ id: text })) : "");
	}

	document.getElementById("new").addEventListener("click", create);
	main.replaceChildren(list.pane, details.pane);
	document.getElementById("search").focus();
	list.load();
	return list;
}

let leaving;
function stay() {
	clearTimeout(leaving);
	leaving = setTimeout(forget, idle);
}

const forgetting = document.getElementById("forget");
forgetting.addEventListener("click", forget);
addEventListener("pageshow", (event) => { if (event.persisted) forget(); });

know(await askToken());
const list = start();
forgetting.hidden = false;
api.onRefused(async (refused) => {
	const description = await askToken(refused);
	if (!description) return false;
	know(description);
	list.load(); // another token may reach other credentials
	return true;
});
for (const event of ["pointerdown", "keydown"]) addEventListener(event, stay);
stay();
