package kubernetes

import (
	"encoding/json"
	"slices"

	"github.com/nebula-credential/nebula"
)

// If the answer to a write was lost, it may have been carried out, and others
// may have written since. So the annotation of a record names the records
// before it: if the lost one is among them, it was carried out. A writer with a
// condition on the version knows them from its read. Any other writer names
// none.

const (
	// maxPast is the number of earlier records that are named.
	maxPast = 16

	// pastLength is the number of hex digits of a digest that name a record.
	pastLength = 16

	// maxKnown limits the number of credentials that a process remembers.
	maxKnown = 1000
)

// known is what a process knows about a credential at a version.
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

// note remembers a state that was read or written.
func (d *driver) note(name nebula.Name, m objectMeta) {
	if past := m.past(); past != nil {
		d.known.Note(name, known{m.version(), past[:min(len(past), maxPast)]})
	}
}

// before returns the records before the one that is to be written, as far as
// they are known. A write without a condition on the version does not know what
// it writes over.
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

// outcome is the outcome of a write whose answer was lost.
type outcome int

const (
	unknown outcome = iota
	current
	overwritten // carried out, and written over since
	undone      // not carried out
)

// outcome compares a write with the present state.
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

// overwrittenVersion is the version of a record that is no longer there and
// whose resource version was lost with the answer. Nothing else has this
// version.
func (w writing) overwrittenVersion() objectMeta {
	return objectMeta{ResourceVersion: "overwritten-" + w.object.Metadata.past()[0]}
}
