package awsserver

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault says what goes wrong with some calls: those of an operation, on a secret, a
// number of times or for a while, whichever ends first. If several faults match a call,
// it uses the first injected one.
//
//	server.Inject(awsserver.Fault{Operation: "GetSecretValue", Times: 2, Error: awsserver.Throttled})
//	server.Inject(awsserver.Fault{For: 10 * time.Second, Error: awsserver.Throttled})
//	server.Inject(awsserver.Fault{Operation: "PutSecretValue", Times: 1, Cut: awsserver.CutAfter})
//	stop := server.Inject(awsserver.Fault{Operation: "DescribeSecret", Secret: "app/*", Deny: true})
//
// A fault for GetSecretValue with an Error or Deny holds for the items of a batch as
// well: the batch succeeds and names the error of the item. Each such item counts for
// Times. Deny for TagResource also refuses CreateSecret with tags, and Deny for
// ListSecrets also refuses a batch by filters, as IAM does.
type Fault struct {
	Operation string        // empty: any
	Secret    string        // a name, or its beginning and "*"; empty: any call
	Skip      int           // how many calls pass first
	Times     int           // 0: without limit
	For       time.Duration // by the server's clock, from Inject on; 0: without limit

	Delay time.Duration // real time to wait first; shorter if the client goes away
	Cut   Cut           // the connection ends without an answer
	Error *Error        // answered instead of acting
	Deny  bool          // IAM refuses: an AccessDeniedException with action and resource
}

// Cut says when a connection is cut.
type Cut int

const (
	NoCut     Cut = iota
	CutBefore     // nothing was done
	CutAfter      // it was done, and the answer is lost
)

// injector holds the faults of a server.
type injector struct {
	clock  func() time.Time
	faults struct {
		sync.Mutex
		active []*activeFault
	}
}

type activeFault struct {
	Fault
	until time.Time // zero means without limit
}

// Inject adds a fault. stop ends it, and may be called more than once.
func (n *injector) Inject(f Fault) (stop func()) {
	n.faults.Lock()
	defer n.faults.Unlock()
	active := &activeFault{Fault: f}
	if f.For > 0 {
		active.until = n.clock().Add(f.For)
	}
	n.faults.active = append(n.faults.active, active)
	return func() {
		n.faults.Lock()
		defer n.faults.Unlock()
		n.faults.active = slices.DeleteFunc(n.faults.active, func(one *activeFault) bool { return one == active })
	}
}

// ClearFaults ends all faults.
func (n *injector) ClearFaults() {
	n.faults.Lock()
	defer n.faults.Unlock()
	n.faults.active = nil
}

var noFault = &Fault{}

// takeFault returns the fault for a call, which counts the call, or a fault that does
// nothing.
func (n *injector) takeFault(operation, id string) *Fault {
	return n.take(func(f *Fault) bool { return f.matches(operation, id) })
}

// innerFault returns the error of a fault for an action that another operation needs
// too.
func (s *Server) innerFault(operation, id string) *Error {
	f := s.take(func(f *Fault) bool {
		return f.Operation == operation && (f.Error != nil || f.Deny) && f.matches(operation, id)
	})
	if f.Deny {
		return s.denied(operation, id)
	}
	return f.Error
}

func (n *injector) take(match func(*Fault) bool) *Fault {
	now := n.clock()
	n.faults.Lock()
	defer n.faults.Unlock()
	n.faults.active = slices.DeleteFunc(n.faults.active, func(f *activeFault) bool { return !f.until.IsZero() && !now.Before(f.until) })
	for i, f := range n.faults.active {
		if !match(&f.Fault) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		found := f.Fault
		if f.Times == 1 {
			n.faults.active = slices.Delete(n.faults.active, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return &found
	}
	return noFault
}

// passes waits for the fault's delay. It reports whether the request may take effect:
// the client is still there, and the connection is not cut before.
func (f *Fault) passes(ctx context.Context) bool {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
	}
	return f.Cut != CutBefore
}

func (f *Fault) matches(operation, id string) bool {
	if f.Operation != "" && f.Operation != operation {
		return false
	}
	if f.Secret == "" {
		return true
	}
	name := nameOf(id)
	if prefix, ok := strings.CutSuffix(f.Secret, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == f.Secret
}
