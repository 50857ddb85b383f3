package faultproxy

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is the kind of the fault that a request met.
type Kind string

// The kinds. Each says what the client sees and whether the server acts.
const (
	KindNone         Kind = "none"
	KindLatency      Kind = "latency"       // the request is forwarded later
	KindAnswer       Kind = "answer"        // an answer of the proxy's own; the server sees nothing
	KindAnswerAfter  Kind = "answer after"  // the same when the server has answered
	KindResetBefore  Kind = "reset before"  // the connection is reset; the server sees nothing
	KindResetAfter   Kind = "reset after"   // the connection is reset; the server has answered
	KindCut          Kind = "cut"           // half of the answer's body, then the end; the server has answered
	KindSilence      Kind = "silence"       // the connection goes dead; the server sees nothing
	KindSilenceAfter Kind = "silence after" // the connection goes dead; the server has answered
	KindLate         Kind = "late"          // the server sees it after the client gave up
)

// Fault is what happens to a request. The functions of this package make faults.
type Fault struct {
	Kind   Kind
	Delay  time.Duration // for KindLatency and KindLate
	Status int           // for KindAnswer and KindAnswerAfter, with Header and Body
	Header http.Header
	Body   string
}

// Latency forwards the request after a delay.
func Latency(d time.Duration) Fault { return Fault{Kind: KindLatency, Delay: d} }

// ResetBefore resets the connection instead of forwarding the request.
func ResetBefore() Fault { return Fault{Kind: KindResetBefore} }

// ResetAfter resets the connection after the server has answered.
func ResetAfter() Fault { return Fault{Kind: KindResetAfter} }

// Cut ends the answer in the middle of its body. An empty body is a ResetAfter.
func Cut() Fault { return Fault{Kind: KindCut} }

// Silence makes the connection go dead before the request is forwarded. It stays open,
// but what the client sends is lost, and nothing ever comes back, as when a NAT has
// forgotten the connection. New connections work.
func Silence() Fault { return Fault{Kind: KindSilence} }

// SilenceAfter is like Silence, but after the server has answered.
func SilenceAfter() Fault { return Fault{Kind: KindSilenceAfter} }

// Late keeps the request until the client gives up, and for a delay after that. Then it
// forwards it. With a delay of 0, it keeps it until Proxy.Release.
func Late(d time.Duration) Fault { return Fault{Kind: KindLate, Delay: d} }

// Answer answers instead of the server, with a Retry-After unless it is "".
func Answer(status int, retryAfter string) Fault {
	f := Fault{Kind: KindAnswer, Status: status, Header: http.Header{}}
	if retryAfter != "" {
		f.Header.Set("Retry-After", retryAfter)
	}
	return f
}

// AnswerAfter is Answer when the server has answered: something on the way fails.
func AnswerAfter(status int) Fault {
	f := Answer(status, "")
	f.Kind = KindAnswerAfter
	return f
}

// WithBody returns the fault with a body of this type in its answer.
func (f Fault) WithBody(contentType, body string) Fault {
	f.Header = f.Header.Clone()
	f.Header.Set("Content-Type", contentType)
	f.Body = body
	return f
}

// Form is one form of Retry-After.
type Form struct {
	Name  string
	Value string
	// Wait is how long a client that obeys it has to wait. It is negative if the value
	// says nothing that a client could obey.
	Wait time.Duration
}

// Forms returns the forms of Retry-After that servers send. RFC 9110 has seconds and
// dates; the others are mistakes and malice. Dates have whole seconds, so a client may
// wait up to 1 s less than Wait.
func Forms(now time.Time) []Form {
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	return []Form{
		{"none", "", -1},
		{"seconds", "1", time.Second},
		{"zero", "0", 0},
		{"date", date(2 * time.Second), 2 * time.Second},
		{"date that has passed", date(-time.Hour), 0},
		{"huge", "31536000", 365 * 24 * time.Hour},
		{"huge date", date(365 * 24 * time.Hour), 365 * 24 * time.Hour},
		{"beyond every integer", "99999999999999999999", -1},
		{"negative", "-1", -1},
		{"fraction", "0.5", -1},
		{"garbage", "soon", -1},
	}
}

// Rule says which requests meet a fault. A condition with its zero value holds for
// every request.
type Rule struct {
	Method      string                   // the exact method
	Path        string                   // the beginning of the path
	Match       func(*http.Request) bool // must not read the body
	Skip        int                      // the number of matching requests that pass first
	Times       int                      // the number of requests that meet the fault; 0 is all
	Probability float64                  // of each matching request beyond Skip; 0 is 1
	Fault       Fault
}

// Mix returns rules by which about this share of all requests, at random, meets a
// fault. Faults that a client notices at once are equally frequent. Faults that cost it
// a timeout are a tenth as frequent.
func Mix(share float64) []Rule {
	quick := []Fault{Latency(20 * time.Millisecond), ResetBefore(), ResetAfter(), Cut(), Answer(http.StatusServiceUnavailable, ""), Answer(http.StatusTooManyRequests, "0")}
	slow := []Fault{Silence(), SilenceAfter(), Late(50 * time.Millisecond)}
	each := share / (float64(len(quick)) + float64(len(slow))/10)
	var mix []Rule
	for _, f := range quick {
		mix = append(mix, Rule{Probability: each, Fault: f})
	}
	for _, f := range slow {
		mix = append(mix, Rule{Probability: each / 10, Fault: f})
	}
	return mix
}

func (r *Rule) matches(request *http.Request) bool {
	return (r.Method == "" || r.Method == request.Method) &&
		strings.HasPrefix(request.URL.Path, r.Path) &&
		(r.Match == nil || r.Match(request))
}

// rules are the rules in force, in the order in which they were added.
type rules struct {
	mu     sync.Mutex
	active []*activeRule
	random *rand.Rand
}

type activeRule struct {
	Rule
	seen, met int
}

func (r *rules) add(list []Rule) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	added := map[*activeRule]bool{}
	for _, rule := range list {
		one := &activeRule{Rule: rule}
		added[one] = true
		r.active = append(r.active, one)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.active = slices.DeleteFunc(slices.Clone(r.active), func(one *activeRule) bool { return added[one] })
	}
}

func (r *rules) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active = nil
}

// fault returns the fault of the first rule that the request meets. Later rules do not
// see the request.
func (r *rules) fault(request *http.Request) Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.active {
		if one.Times > 0 && one.met >= one.Times || !one.matches(request) {
			continue
		}
		one.seen++
		if one.seen <= one.Skip || one.Probability > 0 && r.random.Float64() >= one.Probability {
			continue
		}
		one.met++
		return one.Fault
	}
	return Fault{Kind: KindNone}
}
