package kubernetes

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/nebula-credential/nebula"
)

// admission reports whether admission control refused the request: a policy or a
// webhook of the cluster. It may do so with any code and reason, even 404, so
// only the message shows it.
func (s *StatusError) admission() bool {
	return strings.HasPrefix(s.message, "admission webhook ") && strings.Contains(s.message, " denied the request") ||
		strings.Contains(s.message, " is forbidden: ValidatingAdmissionPolicy ")
}

// refusesDryRuns reports that the server refuses a dry run because it would
// have to call a webhook that may have side effects.
func refusesDryRuns(err error) bool {
	s, ok := refusal(err)
	return ok && strings.Contains(s.message, " does not support dry run")
}

// explainAdmission shows the policy's message, since only the policy knows the
// reason.
func (d *driver) explainAdmission(s *StatusError) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrPermissionDenied, Hint: admissionHint(s.message),
		Message: fmt.Sprintf("admission control of the cluster refuses to %s %s in namespace %s%s", s.verb, s.resource, d.names.namespace, s.words())}
	switch {
	case s.Code == http.StatusRequestEntityTooLarge:
		e.Kind = nebula.ErrTooLarge
	case s.Code == http.StatusTooManyRequests, s.Code >= 500:
		e.Kind = nebula.ErrUnavailable
	}
	return e
}

// admissionHint names the settings that give a Secret what policies demand.
func admissionHint(message string) string {
	message = strings.ToLower(message)
	var settings []string
	if strings.Contains(message, "label") {
		settings = append(settings, "labels that it asks for in default_labels")
	}
	if strings.Contains(message, "annotation") {
		settings = append(settings, "annotations that it asks for in default_annotations")
	}
	if settings == nil {
		return "ask the cluster's administrator about that policy"
	}
	return "set " + strings.Join(settings, ", ") + "; or ask the cluster's administrator about that policy"
}
