package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// notesText returns the canonical text of notes, with what comes before it.
func notesText(notes map[string]note) string {
	if len(notes) == 0 {
		return ""
	}
	var texts []string
	for _, id := range slices.Sorted(maps.Keys(notes)) {
		label := ""
		if notes[id].Label != "" {
			label = `"label":` + quote(notes[id].Label) + `,`
		}
		texts = append(texts, fmt.Sprintf(`"%s":{%s"added_at":"%s"}`, id, label, notes[id].AddedAt))
	}
	return `,"notes":{` + strings.Join(texts, ",") + `}`
}

const noted = "2026-02-01T00:00:00Z"

// keyringNotes has notes of slots. The usual keyring has abcd2345 and zzzz7777.
func (s *suite) keyringNotes() {
	ok := func(name string, value sealedValue) {
		r := usualRing()
		r.value, r.label = valueText(value), "notes "+name
		s.ring("keyring notes", name, r.object().text(), "ok", having{file: true}, &value)
	}
	of := func(notes map[string]note) sealedValue {
		return sealedValue{Generation: 1, State: "steady", Retired: []string{}, Notes: notes}
	}
	ok("one without a label", of(map[string]note{"abcd2345": {AddedAt: noted}}))
	ok("of the second slot alone", of(map[string]note{"zzzz7777": {AddedAt: "1970-01-01T00:00:00Z", Label: "x"}}))
	ok("of both", of(map[string]note{"abcd2345": {AddedAt: noted, Label: "Zo\u00eb's laptop"}, "zzzz7777": {AddedAt: "9999-12-31T23:59:59.999999999Z"}}))
	ok("a label with quotes and backslash", of(map[string]note{"abcd2345": {AddedAt: noted, Label: `a"b\c`}}))
	ok("a label of 64 characters", of(map[string]note{"abcd2345": {AddedAt: noted, Label: strings.Repeat("\U0001f511", 64)}}))
	ok("a label of spaces and a line separator", of(map[string]note{"abcd2345": {AddedAt: noted, Label: " \u2028 "}}))
	rotating := of(map[string]note{"abcd2345": {AddedAt: noted, Label: "x"}})
	rotating.Generation, rotating.State, rotating.SwitchedAt, rotating.Retired = 2, "rotating", "2026-02-01T00:00:00Z", retired(1)
	ok("while rotating", rotating)
	for i, notes := range badNotes() {
		r := usualRing()
		r.value, r.label = strings.TrimSuffix(steady, "}")+notes+"}", "notes "+notes
		s.badRing("keyring notes", fmt.Sprintf("%d: %.60q", i+1, notes), r.object().text())
	}
}

func badNotes() []string {
	at := `"added_at":"` + noted + `"`
	a, z := `"abcd2345":{`+at+`}`, `"zzzz7777":{`+at+`}`
	labelled := func(label string) string { return `,"notes":{"abcd2345":{"label":` + label + `,` + at + `}}` }
	return []string{
		`,"notes":{}`, `,"notes":null`, `,"notes":[]`, `,"notes":""`, `,"Notes":{` + a + `}`, `,"notes":{` + a + `},"notes":{` + a + `}`,
		`,"notes":{` + z + `,` + a + `}`, `,"notes":{` + a + `,` + a + `}`, `,"notes":{` + a + `,}`, `,"notes":{,` + a + `}`, `,"notes":{` + a + ` }`, `,"notes": {` + a + `}`,
		`,"notes":{"abcd2346":{` + at + `}}`, `,"notes":{"":{` + at + `}}`, `,"notes":{"ABCD2345":{` + at + `}}`, `,"notes":{"\u0061bcd2345":{` + at + `}}`,
		`,"notes":{"abcd2345":{}}`, `,"notes":{"abcd2345":null}`, `,"notes":{"abcd2345":` + `"x"` + `}`, `,"notes":{"abcd2345":{"label":"x"}}`,
		`,"notes":{"abcd2345":{` + at + `,"label":"x"}}`, `,"notes":{"abcd2345":{` + at + `,"more":1}}`, `,"notes":{"abcd2345":{` + at + `,` + at + `}}`,
		`,"notes":{"abcd2345":{"added_at":"2026-02-01T00:00:00.000Z"}}`, `,"notes":{"abcd2345":{"added_at":"2026-02-30T00:00:00Z"}}`, `,"notes":{"abcd2345":{"added_at":null}}`,
		labelled(`""`), labelled(`null`), labelled(`1`), labelled(`"a\nb"`), labelled("\"a\nb\""), labelled("\"\x7f\""), labelled("\"\u0085\""), labelled("\"\xff\""), labelled(`"\u0061"`),
		labelled(`"` + strings.Repeat("l", 65) + `"`), labelled(`"` + strings.Repeat("\u00e9", 65) + `"`),
	}
}
