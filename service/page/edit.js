// What changes credentials: new ones, values, tags, deletion.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { h, button, field } from "./dom.js";

const grammar = "[A-Za-z0-9_][A-Za-z0-9_\\-]{0,127}";

// typed returns a field for a value, masked until somebody wants to see it, or a file
// in its place, and what reads it as the service takes it. Whichever came last holds.
function typed(limit) {
	const text = h("textarea", { class: "mono masked", rows: "3", autocomplete: "off", autocapitalize: "off", autocorrect: "off", spellcheck: "false" });
	const file = h("input", { type: "file", onchange: () => { if (file.files.length) text.value = ""; } });
	text.addEventListener("input", () => { file.value = ""; });
	const shown = h("input", { type: "checkbox", onchange: () => text.classList.toggle("masked", !shown.checked) });
	const read = async () => {
		if (!file.files.length) {
			if (!text.value) throw new api.Problem("There is no value.", { hint: "Type one or choose a file." });
			return fits(new TextEncoder().encode(text.value).length, { value: text.value, encoding: "utf8" });
		}
		const bytes = new Uint8Array(await file.files[0].arrayBuffer());
		return fits(bytes.length, { value: base64(bytes), encoding: "base64" });
	};
	const fits = (size, content) => {
		if (limit && size > limit) throw new api.Problem(`The value has ${size.toLocaleString("en")} bytes; a record of this store has at most ${limit.toLocaleString("en")}.`, { kind: "too_large" });
		return content;
	};
	const nodes = [
		field("Value", text, "Exactly as typed: no line break is added."),
		h("label", { class: "check" }, shown, " Show what I type"),
		field("or the bytes of a file", file),
	];
	return { nodes, read };
}

function base64(bytes) {
	let text = "";
	for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
	return btoa(text);
}

// tagRows returns rows for tags and what reads them.
function tagRows(tags) {
	const rows = h("div", { class: "tag-rows" });
	const add = (key = "", value = "") => {
		const row = h("div", { class: "tag-row", role: "group", "aria-label": "Tag" },
			h("input", { value: key, "aria-label": "Key", placeholder: "key", maxlength: "128", autocomplete: "off", autocapitalize: "off", spellcheck: "false" }),
			h("span", { "aria-hidden": "true" }, "="),
			h("input", { value, "aria-label": "Value", placeholder: "value", maxlength: "256", autocomplete: "off", autocapitalize: "off", spellcheck: "false" }),
			button("×", () => {
				const next = row.nextElementSibling ?? row.previousElementSibling;
				row.remove();
				rows.dispatchEvent(new Event("input", { bubbles: true }));
				(next?.querySelector("input") ?? more).focus();
			}, { class: "quiet", "aria-label": "Remove this tag" }));
		rows.append(row);
		return row;
	};
	const more = button("Add a tag", () => add().querySelector("input").focus());
	Object.entries(tags).sort().forEach(([key, value]) => add(key, value));
	const read = () => {
		const read = new Map();
		for (const row of rows.children) {
			const [key, value] = [...row.querySelectorAll("input")].map((input) => input.value);
			if (!key && !value) continue;
			if (!key) throw new api.Problem(`The tag with the value “${value}” has no key.`);
			if (read.has(key)) throw new api.Problem(`The tag “${key}” occurs twice.`);
			read.set(key, value);
		}
		return Object.fromEntries(read);
	};
	return { nodes: [h("fieldset", { class: "field" }, h("legend", {}, "Tags"), rows, more)], read };
}

function interval(days) {
	const input = h("input", { type: "number", min: "0", max: "4294967295", step: "1", inputmode: "numeric", value: days || "" });
	return { node: field("Rotate every … days", input, "Empty: no rotation."), read: () => Number(input.value || 0) };
}

// newCredential returns the id and the version of what was stored.
export function newCredential(store, id = "") {
	const name = h("input", { class: "mono", value: id, required: true, pattern: grammar, maxlength: "128", autofocus: true, autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
	const value = typed(store.limits.record_bytes), tags = tagRows({}), days = interval(0);
	return ask({
		title: "New credential", action: "Store", className: "wide",
		body: [field("Id", name, "1 to 128 of A–Z a–z 0–9 _ -, not beginning with -."), ...value.nodes, ...tags.nodes, days.node],
		submit: async () => {
			const content = { ...await value.read(), tags: tags.read() };
			if (days.read()) content.interval_days = days.read();
			const id = name.value;
			const stored = store.abilities.conditions ? await api.create(id, content) : await api.put(id, content);
			return { id, version: stored.version, metadata: undefined };
		},
	});
}

// again tells that somebody else came first, and offers to write over it all the same.
// What is known of the credential is then out of date.
function again(item, write) {
	return (error, run) => {
		if (error.status !== 412) return [];
		item.stale = true;
		Object.assign(error, { message: "Somebody has changed it since you opened it.", hint: error.message });
		return [button("Write over it all the same", () => run(async () => write((await api.describe(item.id))?.version)))];
	};
}

function unconditional(store, item) {
	if (store.abilities.conditions && item.version) return "";
	return h("p", { class: "note" }, store.abilities.conditions
		? "The current version is not known: if somebody changes it meanwhile, this writes over it."
		: "This backend cannot compare versions: if somebody changes it meanwhile, this writes over it.");
}

const expected = (store, item) => (store.abilities.conditions ? item.version : undefined);

export function newValue(store, item) {
	const value = typed(store.limits.record_bytes), before = item.metadata?.rotation_policy?.interval_days ?? 0, days = interval(before);
	const write = async (version) => {
		const content = await value.read();
		if (days.read() !== before) content.interval_days = days.read();
		return api.put(item.id, content, version);
	};
	return ask({
		title: `New value for ${item.id}`, action: "Replace", className: "wide",
		body: [h("p", { class: "note" }, "Tags stay as they are."), unconditional(store, item), ...value.nodes, days.node],
		submit: () => write(expected(store, item)), refused: again(item, write),
	});
}

export function newTags(store, item) {
	const before = item.metadata?.tags ?? {}, tags = tagRows(before);
	return ask({
		title: `Tags of ${item.id}`, action: "Save", className: "wide",
		body: [h("p", { class: "note" }, "Tags are not secret: anyone who runs the backend can read them."), ...tags.nodes],
		submit: () => {
			const after = tags.read();
			const set = Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value));
			return api.tag(item.id, { set, remove: Object.keys(before).filter((key) => !Object.hasOwn(after, key)) });
		},
	});
}

export function deletion(store, item) {
	const write = async (version) => { await api.remove(item.id, version); return true; };
	return ask({
		title: `Delete ${item.id}?`, action: "Delete", danger: true,
		body: [h("p", {}, store.abilities.restore ? "It can be restored afterwards, until it is purged." : "This backend cannot restore it: it is gone for good."), unconditional(store, item)],
		submit: () => write(expected(store, item)), refused: again(item, write),
	});
}

export function purging(store, item) {
	const name = h("input", { class: "mono", autocomplete: "off", autocapitalize: "off", spellcheck: "false", autofocus: true });
	return ask({
		title: `Purge ${item.id}?`, action: "Purge for good", danger: true,
		body: [h("p", {}, "All its versions are removed. Nobody can bring it back."), field("Type the id again", name, item.id)],
		submit: async () => {
			if (name.value !== item.id) throw new api.Problem("That is not the id.", { hint: `To purge it, type ${item.id}` });
			await api.purge(item.id);
			return true;
		},
	});
}
