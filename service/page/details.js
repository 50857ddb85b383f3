// One credential: what is known of it, its value, its versions, what can be done.

import * as api from "./api.js";
import { deletion, newTags, newValue, purging } from "./edit.js";
import { h, button, time, due, problem, announce } from "./dom.js";
import { hideValue, value } from "./value.js";

// createDetails returns the pane. changed is told the id and what is known of it now,
// undefined if it is gone.
export function createDetails({ store, close, changed, filterBy, create }) {
	const pane = h("section", { class: "details", "aria-label": "Details", hidden: true, onkeydown: (event) => { if (event.key === "Escape") close(); } });
	const notes = h("div", { class: "part" }), rest = h("div", { class: "part" });
	let current = "", box;

	// open shows an item at once as far as it is known, and then as it is. It takes an
	// id alone, too, of a credential that may be deleted.
	async function open(item) {
		hideValue();
		current = item.id;
		box = store.may("read") ? value(h("h3", {}, "Value"), item.id) : h("p", { class: "muted" }, "This token does not read values.");
		pane.replaceChildren(
			h("header", {}, h("h2", { class: "mono", tabindex: "-1" }, item.id), button("×", close, { class: "quiet", "aria-label": "Close the details" })),
			notes, box, rest);
		fill(item, { reading: true });
		pane.hidden = false;
		heading().focus();
		await refresh(item);
	}

	async function refresh(item) {
		try {
			const now = await api.describe(item.id);
			if (current !== item.id) return;
			changed(item.id, now);
			fill(now ?? item, { absent: !now });
		} catch (error) {
			if (current === item.id) fill(item, { error });
		}
	}

	// fill shows what is known of the credential, around its value.
	function fill(item, { reading, absent, error }) {
		const focused = notes.contains(document.activeElement) || rest.contains(document.activeElement);
		if (absent || rest.querySelector(".value")) hideValue();
		box.hidden = Boolean(absent);
		notes.replaceChildren(error ? problem(error) : "", item.error ? problem(api.problemFrom(item.error)) : "");
		rest.replaceChildren(...(absent ? gone(item) : [metadata(item, reading), tags(item), store.abilities.versions && store.may("read") ? versions(item) : "", end(item)]));
		if (focused) heading().focus();
	}

	// act does what a dialog asks for, and then shows how things stand.
	const act = (item, dialog, said, after) => async () => {
		const result = await dialog(store, item), done = result !== undefined;
		if (done || item.stale) hideValue(); // it is another one, or gone
		if (done) announce(said);
		if (result?.version) item.version = result.version; // for whoever goes on at once
		if (current !== item.id || !done && !item.stale) return;
		await (done && after ? after(item) : renewed(item));
		heading()?.focus();
	};

	function gone(item) {
		const restoring = button("Restore", async () => {
			try {
				await api.restore(item.id);
				announce(`${item.id} is restored.`);
				await refresh({ id: item.id });
			} catch (error) {
				place.replaceChildren(problem(error));
			}
		}, { class: "primary" });
		const place = h("div"), reached = !store.token.scope; // a deleted one does not tell its own
		return [
			h("p", {}, "There is no credential with this id, or it is deleted."),
			h("div", { class: "actions" }, reached && store.abilities.restore && store.may("write") ? restoring : "", store.may("write") ? button("New credential", () => create(item.id)) : "", reached ? purgeButton(item) : ""), place,
		];
	}

	function purgeButton(item) {
		// Without restore, deleting does it.
		if (!store.abilities.purge || !store.abilities.restore || !store.may("admin")) return "";
		return button("Purge …", act(item, purging, `${item.id} is purged.`, lost), { class: "danger-text" });
	}

	function lost(item) {
		changed(item.id, undefined);
		fill({ id: item.id }, { absent: true });
	}

	function renewed(item) { return refresh({ id: item.id }); }

	function metadata({ metadata: m, version }, reading) {
		const rotation = due(m);
		const rows = [
			["Modified", m?.last_modified && time(m.last_modified, true)],
			["Created", m?.created_at && time(m.created_at, true)],
			["Read", m?.last_accessed && time(m.last_accessed, true)],
			["By", m?.created_by],
			["Scope", m?.scope],
			["Rotation", rotation && h("span", {}, `every ${rotation.days} days, `, h("span", { class: rotation.late ? "late" : "" }, rotation.late ? `overdue by ${rotation.when.replace(" ago", "")}` : `due ${rotation.when}`))],
			["Version", version && h("span", { class: "mono" }, version)],
		].filter(([, content]) => content);
		if (!rows.length) return h("p", { class: "muted" }, reading ? "Reading …" : "");
		return h("dl", {}, ...rows.flatMap(([name, content]) => [h("dt", {}, name), h("dd", {}, content)]));
	}

	function tags(item) {
		const entries = Object.entries(item.metadata?.tags ?? {}).sort();
		const edit = store.may("write") ? button("Edit tags", act(item, newTags, "The tags are saved.")) : "";
		return h("section", {}, h("header", {}, h("h3", {}, "Tags"), edit),
			entries.length
				? h("ul", { class: "chips" }, ...entries.map(([key, text]) => h("li", {}, button(`${key}=${text}`, () => filterBy(`${key}=${text}`), { class: "chip", title: "List those with this tag" }))))
				: h("p", { class: "muted" }, "None."));
	}

	function versions(item) {
		const place = h("div");
		const read = button("List versions", async () => {
			try {
				const { items } = await api.versions(item.id);
				place.replaceChildren(h("ol", { class: "versions" }, ...items.map((v) => version(item, v))));
			} catch (error) {
				place.replaceChildren(problem(error));
			}
		});
		return h("section", {}, h("header", {}, h("h3", {}, "Versions"), read), place);
	}

	function version(item, v) {
		const state = v.current ? " · current" : v.deleted ? " · no longer readable" : "";
		const heading = h("p", {}, h("span", { class: "mono" }, v.version), h("br"), h("span", { class: "fine" }, time(v.created_at), state));
		return h("li", {}, v.current || v.deleted ? heading : value(heading, item.id, v.version));
	}

	function end(item) {
		return h("footer", { class: "actions" },
			store.may("write") ? button("New value", act(item, newValue, "The value is replaced."), { class: "primary" }) : "",
			store.may("delete") ? button("Delete …", act(item, deletion, `${item.id} is deleted.`, lost), { class: "danger-text" }) : "", purgeButton(item));
	}

	const heading = () => pane.querySelector("h2");

	function shut() {
		hideValue();
		current = "";
		pane.hidden = true;
		pane.replaceChildren();
	}

	return { pane, open, shut, isOpen: () => current };
}
