package azureserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Fault makes requests fail after their token was found good and before they do
// anything. If several faults match a request, the first one counts.
type Fault struct {
	Operation Operation // "" is every operation of the vaults, not those of the login
	Name      string    // of the secret, ignoring case; "" is every secret
	Vault     string    // host; "" is every vault. Vault.Inject sets it
	After     int       // how many matching requests pass first
	Times     int       // how many requests fail; 0 is all

	// Delay passes in real time first.
	Delay time.Duration
	// CutBefore cuts the connection before anything is done. Go's transport repeats a
	// GET by itself if the connection had served a request before.
	CutBefore bool
	// CutAfter lets the request take effect and cuts the connection instead of
	// answering.
	CutAfter bool
	// Status is the answer's status. If it is not 0, the request has no effect.
	Status     int
	Code       string // error.code; if empty, Status decides
	Inner      string // innererror.code
	Message    string
	RetryAfter string // the header, sent as it is
	Location   string // the header, with a 3xx status

	// about makes a message that mentions the request.
	about func(x *exchange, v *Vault) string
}

// faults are the faults in force, and how often a request met each.
type faults struct {
	mu   sync.Mutex
	list []*injected
}

type injected struct {
	Fault
	met int
}

// Inject puts a fault in force, until remove is called.
func (s *Server) Inject(f Fault) (remove func()) {
	in := &injected{Fault: f}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, in)
	return func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		for i, other := range s.faults.list {
			if other == in {
				s.faults.list = append(s.faults.list[:i:i], s.faults.list[i+1:]...)
				return
			}
		}
	}
}

// Inject is Server.Inject for this vault only.
func (v *Vault) Inject(f Fault) (remove func()) {
	f.Vault = v.host
	return v.server.Inject(f)
}

func (f *injected) fits(r *Request) bool {
	return (f.Operation == r.Operation || f.Operation == "" && strings.HasSuffix(r.Host, vaultSuffix)) &&
		(f.Name == "" || strings.EqualFold(f.Name, r.Name)) && (f.Vault == "" || f.Vault == r.Host)
}

// meet returns the fault that the request meets, if any.
func (f *faults) meet(r *Request) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, in := range f.list {
		if !in.fits(r) {
			continue
		}
		in.met++
		if in.met > in.After && (in.Times == 0 || in.met <= in.After+in.Times) {
			return &in.Fault
		}
	}
	return nil
}

// hit applies the fault that the request meets. It reports whether the request is
// finished. The vault is nil for the login.
func (x *exchange) hit(v *Vault) bool {
	f := x.server.faults.meet(&x.entry)
	if f == nil {
		return false
	}
	pause(x.r.Context(), f.Delay)
	x.cut = f.CutBefore || f.CutAfter
	if f.CutBefore {
		return true
	}
	if f.Status == 0 {
		return false
	}
	if f.RetryAfter != "" {
		x.w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Location != "" {
		x.w.Header().Set("Location", f.Location)
		x.answer(f.Status, nil)
		return true
	}
	x.refuse(*f, v)
	return true
}

// refuse sends the answer of a fault.
func (x *exchange) refuse(f Fault, v *Vault) {
	e := &apiError{status: f.Status, code: f.Code, inner: f.Inner, message: f.Message}
	if e.code == "" {
		e.code = strings.ReplaceAll(http.StatusText(f.Status), " ", "")
	}
	if f.about != nil && v != nil {
		e.message = f.about(x, v)
	}
	if x.entry.Operation == IdentityToken {
		x.refuseIdentity(e.status, e.code, e.message)
		return
	}
	x.fail(e)
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// place names the vault at the end of messages about refusals.
func (v *Vault) place() string {
	name, _, _ := strings.Cut(v.host, ".")
	return "Vault: " + name + ";location=westeurope"
}

const caller = "appid=" + ClientID + ";oid=" + objectID + ";iss=https://sts.windows.net/" + TenantID + "/"

// ForbiddenByRbac refuses an operation because a role is missing.
func ForbiddenByRbac(op Operation) Fault {
	return Fault{Operation: op, Status: http.StatusForbidden, Code: "Forbidden", Inner: "ForbiddenByRbac",
		about: func(x *exchange, v *Vault) string {
			name, _, _ := strings.Cut(v.host, ".")
			return fmt.Sprintf("The caller may not do this on the resource. A role that was given a moment ago may not be in force yet.\r\n"+
				"Caller: %s\r\nAction: '%s'\r\n"+
				"Resource: '/subscriptions/%s/resourcegroups/test/providers/microsoft.keyvault/vaults/%s/%ss/%s'\r\n"+
				"Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n%s\r\n",
				caller, x.entry.Operation.Action(), TenantID, name, x.entry.Operation.collection(), x.entry.Name, v.place())
		}}
}

// AccessDenied refuses an operation that the vault's access policies do not
// grant.
func AccessDenied(op Operation) Fault {
	return Fault{Operation: op, Status: http.StatusForbidden, Code: "Forbidden", Inner: "AccessDenied",
		about: func(x *exchange, v *Vault) string {
			return fmt.Sprintf("The user, group or application '%s' does not have %ss %s permission on key vault '%s'.",
				caller, x.entry.Operation.collection(), x.entry.Operation.Permission(), v.place())
		}}
}

// ForbiddenByPolicy refuses an operation by the vault's policy.
func ForbiddenByPolicy(op Operation) Fault {
	return Fault{Operation: op, Status: http.StatusForbidden, Code: "Forbidden", Inner: "ForbiddenByPolicy",
		about: func(x *exchange, v *Vault) string {
			return fmt.Sprintf("Operation %s is not allowed by policy for '%s'. %s",
				x.entry.Operation.Permission(), caller, v.place())
		}}
}

// ForbiddenByFirewall refuses every operation because of the address that it comes
// from.
func ForbiddenByFirewall() Fault {
	return Fault{Status: http.StatusForbidden, Code: "Forbidden", Inner: "ForbiddenByFirewall",
		about: func(_ *exchange, v *Vault) string {
			return fmt.Sprintf("Client address is not allowed and the caller is not a trusted service.\r\n"+
				"Client address: 203.0.113.7\r\nCaller: %s\r\n%s", caller, v.place())
		}}
}

// Throttled refuses every operation because there were too many. No Retry-After was
// ever seen on such an answer; RetryAfter can be set.
func Throttled() Fault {
	return Fault{Status: http.StatusTooManyRequests, Code: "Throttled",
		about: func(x *exchange, v *Vault) string {
			return fmt.Sprintf("The request was not processed because there were too many. Reason: VaultRequestTypeLimitReached. %s", v.place())
		}}
}

// Unavailable answers every operation with a 5xx status.
func Unavailable(status int) Fault {
	return Fault{Status: status, Message: "The service cannot answer now."}
}
