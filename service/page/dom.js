// Elements, made one by one: what comes from elsewhere is text and never markup.

// h returns an element. Properties that begin with "on" are listeners, true and
// false switch an attribute, undefined leaves it out.
export function h(name, properties = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(properties)) {
		if (value === undefined) continue;
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else if (key === "value") element.value = value;
		else if (typeof value === "boolean") element.toggleAttribute(key, value);
		else element.setAttribute(key, value);
	}
	element.append(...children.filter((child) => child !== undefined && child !== ""));
	return element;
}

export function button(label, onclick, properties = {}) {
	return h("button", { type: "button", onclick, ...properties }, label);
}

let fields = 0;

// field returns a control with its label, and a line on what may stand in it.
export function field(label, control, note) {
	control.id ||= `field-${++fields}`;
	const hint = note && h("small", { id: `${control.id}-note` }, note);
	if (hint) control.setAttribute("aria-describedby", hint.id);
	return h("div", { class: "field" }, h("label", { for: control.id }, label), control, hint || "");
}

let fading;

// announce shows a line for some seconds, and has it read out. One that is quiet is
// only read out: what it says can be seen already.
export function announce(text, quiet = false) {
	const status = document.getElementById("status");
	status.classList.toggle("quiet", quiet);
	status.textContent = text;
	clearTimeout(fading);
	fading = setTimeout(() => { status.textContent = ""; }, 8000);
}

// problem returns what went wrong and what to do about it.
export function problem(error, ...more) {
	const fine = [error.kind, error.status && `status ${error.status}`, error.request && `request ${error.request}`].filter(Boolean);
	return h("div", { class: "problem", role: "alert" },
		h("p", {}, h("strong", {}, error.message.replace(/^[a-z]/, (letter) => letter.toUpperCase()))),
		error.hint ? h("p", {}, h("span", { "aria-hidden": "true" }, "→ "), error.hint) : "",
		fine.length ? h("p", { class: "fine" }, fine.join(" · ")) : "",
		...more);
}

const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });

function distance(date) {
	const seconds = (date - Date.now()) / 1000;
	const unit = units.find(([, size]) => Math.abs(seconds) >= size);
	return unit ? relative.format(Math.trunc(seconds / unit[1]), unit[0]) : "just now";
}

// time returns how long ago something was, with the moment itself beside or behind it.
export function time(text, exact = false) {
	const date = moment(text);
	if (!date) return h("span", {}, text);
	const iso = date.toISOString();
	return h("time", { datetime: iso, title: iso },
		distance(date), exact ? h("span", { class: "muted" }, ` · ${iso.slice(0, 16).replace("T", " ")} UTC`) : "");
}

// moment takes RFC 3339 only: browsers read a date into almost anything.
function moment(text) {
	const date = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && new Date(text);
	return date && !Number.isNaN(date.getTime()) ? date : undefined;
}

// due returns when a credential is to be replaced: nothing if it has no policy, or
// never comes to it.
export function due(metadata) {
	const days = metadata?.rotation_policy?.interval_days;
	if (!days) return undefined;
	const from = moment(metadata.last_modified);
	if (!from) return undefined;
	const date = new Date(from.getTime() + days * 86400000);
	return Number.isNaN(date.getTime()) ? undefined : { days, late: date < Date.now(), when: distance(date) };
}

export function count(n, one, many = `${one}s`) {
	return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
