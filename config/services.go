package config

import (
	"context"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
)

// keyService is a service that keeps a key.
type keyService struct {
	section  string                                  // of [key] with its settings
	setting  string                                  // of that section, which names the key
	usage    string                                  // of the flag, for people
	named    func(*keyKeys) string                   // the key that new slots are for; "" if none is configured
	validate func(*keyKeys) error                    // the section
	check    func(name string) error                 // what the flag names
	forKey   func(*Keys, string) (nebula.Key, error) // that is named, with the other settings of the section
	obeys    map[string]string                       // the variables of the service's own tools that the defaults obey, by key

	// nameIn returns the name by which the service itself knows the key of a slot. If
	// it is nil, that is the name that the user gave.
	nameIn func(nebula.Slot) string

	// concern returns a reason against a key of the service for this store, or
	// "". It may be nil.
	concern func(k *Keys, name string) string
}

// ServiceFlag is the flag of init and key add for the keys of a service.
type ServiceFlag struct {
	Name  string // aws-kms
	Usage string // with the argument in backquotes

	source keySource
}

// ServiceFlags returns the flags of all services that can keep a key.
func ServiceFlags() (flags []ServiceFlag) {
	for _, s := range services() {
		name, _, _ := strings.Cut(strings.TrimPrefix(s.flag, "--"), " ")
		flags = append(flags, ServiceFlag{Name: name, Usage: s.service.usage, source: s})
	}
	return flags
}

// Check fails if the argument of the flag cannot be the name of a key.
func (f ServiceFlag) Check(name string) error { return f.source.service.check(name) }

// services are the sources that are services.
func services() []keySource {
	return slices.DeleteFunc(keySources(), func(s keySource) bool { return s.service == nil })
}

// ForService returns a key for a new slot, by the argument of the flag.
func (k *Keys) ForService(f ServiceFlag, name string) (FirstKey, error) {
	return k.ofService(f.source, name)
}

func (k *Keys) ofService(s keySource, name string) (FirstKey, error) {
	key, err := s.service.forKey(k, name)
	if concern := k.concern(s, name); err == nil && concern != "" {
		k.options.Tell("warning: " + concern)
	}
	return FirstKey{Key: key, Source: s.name + " " + name, Setting: k.serviceSetting(s.service, name)}, err
}

// CheckServices examines the services whose keys are configured.
func (k *Keys) CheckServices(ctx context.Context) (findings []nebula.Finding) {
	for _, key := range k.opening {
		if checker, ok := key.(nebula.Checker); ok {
			findings = append(findings, checker.Check(ctx)...)
		}
	}
	for _, s := range services() {
		if concern := k.concern(s, s.service.named(&k.store.key)); s.isSet(k) && concern != "" {
			findings = append(findings, nebula.Finding{Check: s.kind, Severity: nebula.SeverityWarning, Message: concern,
				Fix: "keep the key with somebody else than the store"})
		}
	}
	return findings
}

func (k *Keys) concern(s keySource, name string) string {
	if s.service.concern == nil {
		return ""
	}
	return s.service.concern(k, name)
}

// checkServices checks the sections of the services whose keys open a store.
func (l *loader) checkServices(s *store, section string) {
	for _, source := range services() {
		if err := source.service.validate(&s.key); err != nil {
			l.problems.addError(l.whereSection(section+"."+source.service.section), err)
		}
	}
}

// noteObeyed notes the variables that the settings of services came from.
func (l *loader) noteObeyed(section string) {
	for _, s := range services() {
		l.obeyed(section+"."+s.service.section, s.service.obeys)
	}
}
