package awsserver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// exchange is one line of a file of recordings: see testdata/README.md.
type exchange struct {
	Scenario  string
	Step      int
	Recorded  string
	Operation string
	Input     map[string]any
	Status    int
	ErrorCode string         `json:"error_code"`
	Shape     any            `json:"output_shape"`
	Output    map[string]any `json:"-"` // the shape, if it is an object
	Observed  []string
	Repeats   int
	Seconds   *float64 `json:"seconds_after_previous_step"`
}

// uncovered are exchanges that the server does not answer as recorded, by
// "scenario/step", with the reason. There are none.
var uncovered = map[string]string{}

const recordings = "testdata/exchanges.jsonl"

// documented are exchanges in the same form that nobody recorded. They follow the
// service's documentation.
const documented = "testdata/documented.jsonl"

func readExchanges(t *testing.T, path string) []*exchange {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []*exchange
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e := &exchange{Repeats: 1}
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			t.Fatalf("%s, line %d: %v", path, len(all)+1, err)
		}
		e.Output, _ = e.Shape.(map[string]any)
		all = append(all, e)
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%s: %d exchanges, %v", path, len(all), err)
	}
	return all
}

// Each scenario is replayed on a server of its own.
func TestReplay(t *testing.T) {
	known := readExchanges(t, recordings)
	replayed := append(readExchanges(t, documented), known...)
	if path := os.Getenv("NEBULA_TEST_AWS_EXCHANGES"); path != "" {
		replayed = readExchanges(t, path)
		known = append(known, replayed...)
	}
	forEachScenario(replayed, func(name string, exchanges []*exchange) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, known)
			for _, e := range exchanges {
				w.check(e)
			}
		})
	})
}

// The replay reports an answer that differs in its status, its code or any field.
func TestReplayNoticesDifferences(t *testing.T) {
	known := readExchanges(t, recordings)
	changes := 0
	forEachScenario(known, func(name string, exchanges []*exchange) {
		w := newWorld(t, known)
		w.answered = func(e *exchange, in map[string]any, got answer) {
			for what, changed := range differences(e, got) {
				changes++
				bound := maps.Clone(w.bound)
				if len(w.compare(e, in, changed)) == 0 {
					t.Errorf("%s, step %d: %s is not noticed in %s", name, e.Step, what, got.raw)
				}
				w.bound = bound
			}
		}
		for _, e := range exchanges {
			w.check(e)
		}
	})
	if changes < 1000 {
		t.Errorf("only %d answers were changed", changes)
	}
}

// differences returns answers that differ from a right one in one thing.
func differences(e *exchange, got answer) map[string]answer {
	all := map[string]answer{}
	change := func(what string, f func(*answer)) {
		other := got
		other.body = maps.Clone(got.body)
		f(&other)
		all[what] = other
	}
	change("the status", func(a *answer) { a.status++ })
	if e.ErrorCode != "" {
		change("the code", func(a *answer) { a.body["__type"] = "OtherException" })
	}
	if e.Output["includes"] != nil {
		return all // the recording says nothing about fields
	}
	change("one more field", func(a *answer) { a.body["Other"] = "x" })
	for field := range got.body {
		if e.Output[field] == nil {
			continue // only newer recordings have it, or it has two names
		}
		change("without "+field, func(a *answer) { delete(a.body, field) })
		change("another type of "+field, func(a *answer) { a.body[field] = []any{true} })
	}
	return all
}

func forEachScenario(all []*exchange, f func(name string, exchanges []*exchange)) {
	scenarios := map[string][]*exchange{}
	var order []string
	for _, e := range all {
		if scenarios[e.Scenario] == nil {
			order = append(order, e.Scenario)
		}
		scenarios[e.Scenario] = append(scenarios[e.Scenario], e)
	}
	for _, name := range order {
		f(name, scenarios[name])
	}
}

// world is a server on which a scenario is replayed, and what the recordings alone say
// about its state. It does not ask the server: then no answer could be wrong.
type world struct {
	t      *testing.T
	server *awsserver.Server
	now    time.Time
	known  []*exchange
	bound  map[string]string // what stands for a placeholder
	// mentioned are the placeholders of the earlier exchanges.
	mentioned map[string]bool

	values  map[string]string // by version, as JSON of the value that was sent
	secrets map[string]*state // by name
	tokens  int
	changed float64        // LastChangedDate in the description before this exchange
	seen    float64        // LastChangedDate in the last description
	before  map[string]any // the item that "as above" means

	answered func(e *exchange, in map[string]any, got answer) // if set, sees every answer that is as recorded
}

func newWorld(t *testing.T, known []*exchange) *world {
	w := &world{t: t, known: known, now: time.Date(2026, 1, 15, 10, 0, 0, 123e6, time.UTC),
		bound: map[string]string{}, mentioned: map[string]bool{}, values: map[string]string{}, secrets: map[string]*state{}}
	w.server = newServer(t, awsserver.Options{Now: func() time.Time { return w.now }})
	w.bound["{region}"], w.bound["{region2}"], w.bound["{account}"] = "us-east-1", "eu-west-1", "123456789012"
	return w
}

// check replays one exchange and reports how the server's answer differs.
func (w *world) check(e *exchange) {
	id := fmt.Sprintf("%s/%d", e.Scenario, e.Step)
	problems := w.replay(e)
	if reason, listed := uncovered[id]; listed {
		if len(problems) == 0 {
			w.t.Errorf("step %d is listed as uncovered (%s), but passes", e.Step, reason)
		}
		return
	}
	for _, p := range problems {
		w.t.Errorf("step %d, %s: %s", e.Step, e.Operation, p)
	}
}

var manyOperations = regexp.MustCompile(`^\d+ operations with the name or id$`)

func (w *world) replay(e *exchange) []string {
	if manyOperations.MatchString(e.Operation) {
		return w.replayMany(e)
	}
	w.arrange(e)
	if e.Seconds == nil {
		w.now = w.now.Add(10 * time.Millisecond)
	} else {
		w.now = w.now.Add(time.Duration(*e.Seconds * float64(time.Second)))
	}
	in := w.input(e)
	var problems []string
	var first string
	for i := range e.Repeats {
		if i > 0 && e.Seconds != nil {
			w.now = w.now.Add(time.Second)
		}
		got := send(w.t, w.server, e.Operation, in)
		if i == 0 {
			first = got.raw
		}
		problems = append(problems, w.compare(e, in, got)...)
		if w.answered != nil && len(problems) == 0 {
			w.answered(e, in, got)
		}
		problems = append(problems, w.observe(e, in, got, first)...)
	}
	w.remember(e, in)
	for _, p := range placeholder.FindAllString(fmt.Sprint(e.Input, e.Shape), -1) {
		w.mentioned[p] = true
	}
	return problems
}

// replayMany sends all operations that take a name or an id.
func (w *world) replayMany(e *exchange) []string {
	var problems []string
	for _, operation := range []string{
		"CancelRotateSecret", "CreateSecret", "DeleteResourcePolicy", "DeleteSecret", "DescribeSecret", "GetResourcePolicy",
		"GetSecretValue", "ListSecretVersionIds", "PutResourcePolicy", "PutSecretValue", "RemoveRegionsFromReplication",
		"ReplicateSecretToRegions", "RestoreSecret", "RotateSecret", "TagResource", "UntagResource", "UpdateSecret",
		"UpdateSecretVersionStage", "ValidateResourcePolicy",
	} {
		one := *e
		one.Operation = operation
		one.Input = map[string]any{subjectField(operation): e.Input["name"]}
		in := w.input(&one)
		for _, p := range w.compare(&one, in, send(w.t, w.server, operation, in)) {
			problems = append(problems, operation+": "+p)
		}
	}
	return problems
}

func subjectField(operation string) string {
	switch operation {
	case "CreateSecret":
		return "Name"
	case "BatchGetSecretValue", "GetRandomPassword", "ListSecrets":
		return ""
	}
	return "SecretId"
}

// subject returns the name of the exchange's secret, "" if there is none.
func (w *world) subject(e *exchange) string {
	field := subjectField(e.Operation)
	if field == "" {
		return ""
	}
	id, ok := e.Input[field].(string)
	if !ok || arnWords.MatchString(id) {
		id = "{name1}"
	}
	return w.fill(id)
}

// input returns what is sent: the recorded input, and what the operation requires and
// the recording left out.
func (w *world) input(e *exchange) map[string]any {
	in := map[string]any{}
	for _, field := range tokenOperations(e.Operation) {
		w.tokens++
		in[field] = fmt.Sprintf("token-%032d", w.tokens)
	}
	if field := subjectField(e.Operation); field != "" {
		in[field] = w.subject(e)
	}
	if w.hasValue(e) {
		in["SecretString"] = "VALUE"
	}
	if strings.HasSuffix(e.Operation, "ResourcePolicy") && strings.HasPrefix(e.Operation, "Put") {
		in["ResourcePolicy"] = policyText
	}
	for field, recorded := range e.Input {
		delete(in, field)
		if sent := w.resolve(e, recorded); sent != nil {
			in[field] = sent
		}
	}
	return in
}

func tokenOperations(operation string) []string {
	switch operation {
	case "CreateSecret", "PutSecretValue", "RotateSecret", "UpdateSecret":
		return []string{"ClientRequestToken"}
	}
	return nil
}

// hasValue reports whether the operation takes a value that the recording does not
// name.
func (w *world) hasValue(e *exchange) bool {
	if e.Input["SecretString"] != nil || e.Input["SecretBinary"] != nil {
		return false
	}
	switch e.Operation {
	case "PutSecretValue":
		return true
	case "CreateSecret", "UpdateSecret":
		return e.Output["VersionId"] != nil || e.Status != 200
	}
	return false
}

const policyText = `{"Version":"2012-10-17","Statement":[]}`

// arnWords match the words for the ARN of the secret, such as "full ARN".
var arnWords = regexp.MustCompile(`^(full |partial )?ARN( [^:]*)?$`)

var characters = regexp.MustCompile(`^(\d+) characters`)

// resolve returns a recorded input as it is sent, nil if it was not recorded.
func (w *world) resolve(e *exchange, recorded any) any {
	switch v := recorded.(type) {
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, w.resolve(e, item))
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for field, item := range v {
			object[field] = w.resolve(e, item)
		}
		return object
	case string:
		return w.resolveText(e, v)
	}
	return recorded
}

func (w *world) resolveText(e *exchange, text string) any {
	if n := characters.FindStringSubmatch(text); n != nil {
		length, _ := strconv.Atoi(n[1])
		return strings.Repeat("x", length)
	}
	if arnWords.MatchString(text) {
		arn := w.secret(w.subject(e)).arn
		if strings.Contains(text, "without") {
			return arn[:len(arn)-len("-xxxxxx")]
		}
		return arn
	}
	switch text {
	case "JSON text":
		return policyText
	case "base64":
		return "AAEC/w=="
	case "not recorded":
		return nil
	}
	return w.fill(text)
}

var placeholder = regexp.MustCompile(`\{[a-z0-9#]+\}`)

// fill replaces placeholders by what they stand for, and binds those that are not
// bound.
func (w *world) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if w.bound[p] == "" {
			w.tokens++
			w.bound[p] = fmt.Sprintf("%s-%032d", strings.ReplaceAll(strings.Trim(p, "{}"), "#", "."), w.tokens)
		}
		return w.bound[p]
	})
}
