package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// setting returns the line of a section with which the store is opened, or the
// variable. A store with a name has no variables.
func (k *Keys) setting(section, line, variable string) string {
	if k.store.name != DefaultStore {
		return line + " in [stores." + k.store.name + "." + section + "]"
	}
	return line + " in [" + section + "], or " + variable
}

func (k *Keys) fileSetting(path string) string {
	if files, _ := k.Files(); slices.Contains(files, path) {
		return ""
	}
	return k.setting("key", "file = "+strconv.Quote(path), "NEBULA_KEY_FILE="+atomicfile.Quote(path))
}

// SettingOf returns the setting with which a new slot is opened. It is the one that
// [FirstKey] has, with one exception: if a service knows the key by a name that
// stays with it, it is that name, because an alias can be moved to another key.
func (k *Keys) SettingOf(key FirstKey, slot nebula.Slot) string {
	for _, s := range services() {
		if s.kind != slot.Kind || s.service.nameIn == nil {
			continue
		}
		if name := s.service.nameIn(slot); name != "" {
			return k.serviceSetting(s.service, name)
		}
	}
	return key.Setting
}

// serviceSetting names a key that is configured already beside the new one.
func (k *Keys) serviceSetting(s *keyService, name string) string {
	section := "key." + s.section
	if configured := s.named(&k.store.key); configured != "" && configured != name {
		return k.setting(section, strconv.Quote(name)+" among also", "NEBULA_KEY_"+strings.ToUpper(s.section)+"_ALSO")
	}
	return k.setting(section, s.setting+" = "+strconv.Quote(name),
		"NEBULA_KEY_"+strings.ToUpper(s.section+"_"+s.setting)+"="+atomicfile.Quote(name))
}
