// The list: filtered by the service, searched here as one types.

import * as api from "./api.js";
import { h, button, field, time, due, problem, count } from "./dom.js";

const shownAtOnce = 1000;

// createList returns the pane of the list. It calls open with the item that is chosen;
// absent returns what is offered for what is searched and not found.
export function createList({ open, absent }) {
	let items = [], next = "", tags = [], details = false, failure, most = shownAtOnce, reading, selected = "";

	const text = { autocomplete: "off", autocapitalize: "off", spellcheck: "false" };
	const search = h("input", { id: "search", type: "search", placeholder: "ids and tags", ...text, oninput: () => { most = shownAtOnce; draw(); readOn(); } });
	const prefix = h("input", { type: "text", class: "mono", placeholder: "prod_", ...text, oninput: later(300, () => load()) });
	const tag = h("input", { type: "text", class: "mono", placeholder: "key=value", pattern: "[^=]+=.*", ...text });
	const tagForm = h("form", { onsubmit: (event) => { event.preventDefault(); if (tag.value) filterBy(tag.value); } }, field("Tag", tag));
	const chips = h("div", { class: "chips" });
	const status = h("p", { class: "muted", role: "status" });
	const more = h("p", { class: "muted" });
	const rows = h("ul", { id: "rows", class: "rows", role: "listbox", "aria-label": "Credentials", onkeydown: move, onclick: choose });
	const below = h("div", { class: "below" });
	const pane = h("section", { class: "list", "aria-label": "List" },
		h("div", { class: "filters", role: "search" }, field("Search", search), field("Prefix", prefix), tagForm), chips,
		h("div", { class: "status" }, status, more), rows, below);

	function filterBy(text) {
		if (!tags.includes(text)) tags = [...tags, text];
		tag.value = "";
		drawChips();
		return load();
	}

	function drawChips() {
		chips.replaceChildren(...tags.map((text) => button(`${text} ×`, () => {
			tags = tags.filter((other) => other !== text);
			drawChips();
			tag.focus();
			load();
		}, { class: "chip", "aria-label": `Remove the filter ${text}` })));
	}

	// load reads the first page. What was read before stays until it is there.
	async function load() {
		reading?.abort();
		most = shownAtOnce;
		await read("");
		readOn();
	}

	async function read(cursor) {
		const mine = reading = new AbortController();
		try {
			status.textContent = cursor ? status.textContent : "Reading …";
			const page = await api.list({ prefix: prefix.value, tags, cursor, details }, mine.signal);
			const read = new Set(page.items.map((item) => item.id)); // some may have been put here meanwhile
			items = cursor ? [...items.filter((item) => !read.has(item.id)), ...page.items] : page.items;
			next = page.next ?? "";
			failure = undefined;
		} catch (error) {
			if (error.name === "AbortError") return;
			if (!cursor) { items = []; next = ""; }
			failure = error;
		} finally {
			if (reading === mine) reading = undefined;
		}
		draw();
	}

	// readOn reads the other pages while somebody searches: what is searched is the
	// whole store.
	async function readOn() {
		while (next && search.value && !reading && !failure) await read(next);
	}

	const isListed = (id) => items.some((item) => item.id === id);

	function matches() {
		const wanted = search.value.trim().toLowerCase();
		if (!wanted) return items;
		return items.filter((item) => item.id.toLowerCase().includes(wanted) ||
			Object.entries(item.metadata?.tags ?? {}).some(([key, value]) => `${key}=${value}`.toLowerCase().includes(wanted)));
	}

	function draw() {
		const found = matches(), shown = found.slice(0, most);
		const focused = rows.contains(document.activeElement);
		rows.replaceChildren(...shown.map(row));
		rows.hidden = !shown.length;
		const current = rows.querySelector("[aria-selected=true]") ?? rows.firstElementChild;
		if (current) current.tabIndex = 0;
		if (focused) (current ?? search).focus({ preventScroll: true });
		status.textContent = summary(found.length);
		below.replaceChildren();
		if (failure) below.append(problem(failure, button("Try again", () => (items.length && next ? read(next) : load()))));
		const bare = !details && items.some((item) => !item.metadata && !item.error);
		more.replaceChildren(...(bare ? ["The backend lists names only. ", button("Read tags and times", () => { details = true; search.focus(); load(); }), " A call for each credential."] : []));
		if (found.length > most) below.append(button(`Show ${count(Math.min(shownAtOnce, found.length - most), "more", "more")}`, () => { most += shownAtOnce; draw(); }));
		else if (next) below.append(button("Read the next 1,000", () => { most += shownAtOnce; read(next); }));
		if (!reading) below.append(absent(search.value.trim(), found.length, Boolean(search.value || prefix.value || tags.length)));
	}

	function summary(found) {
		const more = next ? " read, more are in the store" : "";
		return search.value ? `${found.toLocaleString("en")} of ${count(items.length, "credential")}${more}` : `${count(items.length, "credential")}${more}`;
	}

	function row(item) {
		const rotation = due(item.metadata);
		return h("li", { role: "option", class: "row", tabindex: "-1", "aria-selected": String(item.id === selected), "data-id": item.id },
			h("span", { class: "id mono" }, item.id),
			h("span", { class: "tags" }, ...Object.entries(item.metadata?.tags ?? {}).sort().map(([key, value]) => h("span", { class: "tag" }, `${key}=${value}`))),
			h("span", { class: "when" },
				item.error ? h("span", { class: "late" }, "unreadable") : "",
				rotation?.late ? h("span", { class: "late" }, "overdue") : "",
				item.metadata?.last_modified ? time(item.metadata.last_modified) : ""));
	}

	function choose(event) {
		const li = event.target.closest("[role=option]");
		if (li) open(items.find((item) => item.id === li.dataset.id));
	}

	function move(event) {
		const li = event.target.closest("[role=option]");
		if (!li || event.altKey || event.ctrlKey || event.metaKey) return;
		const all = [...rows.children], at = all.indexOf(li);
		const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: all.length - 1 }[event.key];
		if (event.key === "Enter" || event.key === " ") choose(event);
		else if (to === undefined) return;
		else {
			const target = all[Math.max(0, Math.min(all.length - 1, to))];
			li.tabIndex = -1;
			target.tabIndex = 0;
			target.focus();
		}
		event.preventDefault();
	}

	// select marks a row, "" none.
	function select(id) {
		selected = id;
		for (const li of rows.children) {
			const is = li.dataset.id === id;
			li.setAttribute("aria-selected", String(is));
			if (id) li.tabIndex = is ? 0 : -1;
		}
		if (!rows.querySelector("[tabindex='0']") && rows.firstElementChild) rows.firstElementChild.tabIndex = 0;
	}

	// put takes what is known of a credential into the list, or out of it.
	function put(id, item) {
		items = items.filter((other) => other.id !== id);
		if (item) items = [...items, item].sort((a, b) => (a.id < b.id ? -1 : 1));
		draw();
	}

	function focus() {
		(rows.querySelector("[tabindex='0']") ?? search).focus();
	}

	return { pane, load, select, put, filterBy, focus, isListed };
}

function later(wait, work) {
	let timer;
	return () => {
		clearTimeout(timer);
		timer = setTimeout(work, wait);
	};
}
