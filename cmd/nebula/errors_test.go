package main

import (
	"testing"

	"github.com/nebula-credential/nebula/config"
)

// The commands and settings in a hint are those of the chosen store.
func TestHintsForAStore(t *testing.T) {
	for hint, want := range map[string]string{
		"":                              "",
		"try: nebula key list":          "try: nebula --store work key list",
		"mend it:\nnebula key trust ID": "mend it:\nnebula --store work key trust ID",
		"set id in [key], or NEBULA_KEY_ID, to 9a41":                                                                               "set id in [stores.work.key] to 9a41",
		"name its key with id in [key], or NEBULA_KEY_ID":                                                                          "name its key with id in [stores.work.key]",
		`it is now: id = "9a41" in [key], or NEBULA_KEY_ID=9a41`:                                                                   `it is now: id = "9a41" in [stores.work.key]`,
		"name the data key with NEBULA_KEY_ID or id in [key]":                                                                      "name the data key with id in [stores.work.key]",
		"give their keys too, several key files in NEBULA_KEY_FILE or files of [key]; or drop them: nebula key rotate --drop SLOT": "give their keys too, several key files in files of [stores.work.key]; or drop them: nebula --store work key rotate --drop SLOT",
		"allow_group_read = true in [key], or NEBULA_KEY_ALLOW_GROUP_READ=true":                                                    "allow_group_read = true in [stores.work.key]",
		"the path of a key file is taken from NEBULA_KEY_FILE":                                                                     "the path of a key file is taken from NEBULA_KEY_FILE",
	} {
		if got := (&app{global: globalFlags{store: "work"}}).forStore(hint); got != want {
			t.Errorf("%q: %q, want %q", hint, got, want)
		}
		for _, store := range []string{"", config.DefaultStore} {
			if got := (&app{global: globalFlags{store: store}}).forStore(hint); got != hint {
				t.Errorf("%q: %q for the default store", hint, got)
			}
		}
	}
}
