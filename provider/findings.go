package provider

import "github.com/nebula-credential/nebula"

// Findings collects the results of the examination of a backend.
type Findings []nebula.Finding

// Add adds a finding. fix may be "".
func (f *Findings) Add(check string, severity nebula.Severity, message, fix string) {
	*f = append(*f, nebula.Finding{Check: check, Severity: severity, Message: message, Fix: fix})
}

// Failed adds that a check failed, and why.
func (f *Findings) Failed(check string, e *nebula.Error) {
	*f = append(*f, nebula.Finding{Check: check, Kind: e.Kind, Severity: nebula.SeverityError, Message: e.Message, Fix: e.Hint})
}
