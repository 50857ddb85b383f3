package transfer

import (
	"github.com/nebula-credential/nebula"
)

// Report says what a copy did. Every credential of the plan is in one of the
// lists, which are sorted by id.
type Report struct {
	Copied   []nebula.ID // written and read back; with Move, deleted at the source
	Same     []nebula.ID // there already; with Move, deleted at the source
	Differs  []nebula.ID // there, another one, and left
	Failed   []Failure
	NotBegun []nebula.ID // of a copy that was stopped

	Bytes int64 // of the records that were written
}

// Failure is a credential that was not copied, or with Move not deleted.
type Failure struct {
	ID  nebula.ID
	Err error
}

func newReport() Report {
	return Report{Copied: []nebula.ID{}, Same: []nebula.ID{}, Differs: []nebula.ID{}, Failed: []Failure{}}
}

// outcome is the outcome for a credential.
type outcome uint8

const (
	notBegun outcome = iota
	copied
	same
	differs
	failed
)

// report sorts the outcomes.
func (r *run) report() Report {
	report := newReport()
	report.Bytes = r.bytes
	for i, item := range r.Items {
		switch r.outcomes[i] {
		case copied:
			report.Copied = append(report.Copied, item.ID)
		case same:
			report.Same = append(report.Same, item.ID)
		case differs:
			report.Differs = append(report.Differs, item.ID)
		case failed:
			report.Failed = append(report.Failed, Failure{item.ID, r.errs[i]})
		default:
			report.NotBegun = append(report.NotBegun, item.ID)
		}
	}
	return report
}
