package kubernetes

import (
	"encoding/json"
	"slices"

	"github.com/nebula-credential/nebula"
)

// A write whose answer was lost may have been carried out, and others may have
// written since. So the annotation of a record names those that came before it:
// if the lost one is among them, it was carried out. A writer that asks for a
// version knows them from what it read before; any other one names none.

const (
	// maxPast is how many records are named that came before.
	maxPast = 16

	// pastLength is how much of a digest names a record, in hex digits.
	pastLength = 16

	// maxKnown bounds the credentials that a process remembers reading.
	maxKnown = 1000
)

// known is what a process knows of a credential at a version.
type known struct {
	version nebula.Version
	past    []string // the record of that version first
}

// past returns the records up to this one, the newest first.
func (m objectMeta) past() []string {
	var l listed
	if json.Unmarshal([]byte(m.Annotations[metadataAnnotation]), &l) != nil || len(l.SHA256) < pastLength {
		return nil
	}
	return append([]string{l.SHA256[:pastLength]}, l.Before...)
}

// note remembers what was read or written.
func (d *driver) note(name nebula.Name, m objectMeta) {
	if past := m.past(); past != nil {
		d.known.Note(name, known{m.version(), past[:min(len(past), maxPast)]})
	}
}

// before returns the records before the one that is to be written, as far as
// they are known. A write that asks for no version does not know what it writes
// over.
func (d *driver) before(name nebula.Name, options nebula.StoreOptions) []string {
	v, asked := options.Precondition.Version()
	if !asked {
		return nil
	}
	if k, ok := d.known.Get(name); ok && k.version == v {
		return k.past
	}
	if options.Previous != nil {
		return []string{digest(options.Previous.Bytes())[:pastLength]}
	}
	return nil
}

// outcome is what became of a write whose answer was lost.
type outcome int

const (
	unknown outcome = iota
	current
	overwritten // carried out, and written over since
	undone      // not carried out
)

// outcome compares with what is stored now.
func (w writing) outcome(there objectMeta) outcome {
	past, before := there.past(), w.object.Metadata.past()
	switch i := slices.Index(past, before[0]); {
	case i == 0:
		return current
	case i > 0:
		return overwritten
	case w.version != "" && len(before) > 1 && slices.Contains(past, before[1]):
		return undone // the record that it was to replace is there, and this one is not
	}
	return unknown
}

// overwrittenVersion is for a record that is no longer there: its resource
// version was lost with the answer. It is the version of nothing else.
func (w writing) overwrittenVersion() objectMeta {
	return objectMeta{ResourceVersion: "overwritten-" + w.object.Metadata.past()[0]}
}
