package awsserver_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// compare returns how the answer differs from the recorded one.
func (w *world) compare(e *exchange, in map[string]any, got answer) []string {
	if got.status != e.Status {
		return []string{fmt.Sprintf("status %d, recorded %d: %s", got.status, e.Status, got.raw)}
	}
	var problems []string
	code, _ := got.body["__type"].(string)
	if code = code[strings.Index(code, "#")+1:]; code != e.ErrorCode {
		problems = append(problems, fmt.Sprintf("code %q, recorded %q: %s", code, e.ErrorCode, got.raw))
	}
	m := &matcher{w: w, e: e, in: in}
	if includes, ok := e.Output["includes"].([]any); ok {
		excludes, _ := e.Output["excludes"].([]any)
		return append(problems, m.members(got, includes, excludes)...)
	}
	if e.Output == nil {
		return problems // the recording does not show it
	}
	if err := m.object("", e.Output, got.body); err != nil {
		problems = append(problems, fmt.Sprintf("%v in %s", err, got.raw))
	}
	return problems
}

// matcher compares one answer.
type matcher struct {
	w  *world
	e  *exchange
	in map[string]any
}

// members checks that the list has all of includes and none of excludes, which are
// letters that stand for names.
func (m *matcher) members(got answer, includes, excludes []any) []string {
	names := map[string]bool{}
	list, _ := got.body["SecretList"].([]any)
	for _, item := range list {
		names[item.(map[string]any)["Name"].(string)] = true
	}
	letters := m.w.legend(m.e)
	var problems []string
	for _, letter := range includes {
		if !names[letters[letter.(string)].name] {
			problems = append(problems, fmt.Sprintf("%s is missing", letter))
		}
	}
	for _, letter := range excludes {
		if names[letters[letter.(string)].name] {
			problems = append(problems, fmt.Sprintf("%s is listed", letter))
		}
	}
	return problems
}

func (m *matcher) value(path string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not an object", path)
		}
		if isMap(want) {
			return m.anyOrder(path, pairs(want), pairs(object))
		}
		return m.object(path, want, object)
	case []any:
		list, ok := got.([]any)
		if !ok {
			return fmt.Errorf("%s is not a list", path)
		}
		return m.list(path, want, list)
	case string:
		return m.text(path, want, got)
	case float64:
		if strings.HasSuffix(path, "Date") {
			return date(path, "epoch", got) // the number is an example of a date
		}
	}
	if want != got {
		return fmt.Errorf("%s is %v, recorded %v", path, got, want)
	}
	return nil
}

// isMap reports whether the keys are placeholders, and so data.
func isMap(object map[string]any) bool {
	for key := range object {
		if strings.HasPrefix(key, "{") {
			return true
		}
	}
	return false
}

func pairs(object map[string]any) []any {
	var list []any
	for _, key := range slices.Sorted(maps.Keys(object)) {
		list = append(list, []any{key, object[key]})
	}
	return list
}

const asAbove = "…"

// object requires every recorded field, and no other.
func (m *matcher) object(path string, want, got map[string]any) error {
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if key == asAbove {
			continue
		}
		name := ""
		for alternative := range strings.SplitSeq(key, " or ") {
			if _, ok := got[alternative]; ok {
				name = alternative
			}
		}
		if name == "" {
			return fmt.Errorf("%s has no %s", path, key)
		}
		seen[name] = true
		if err := m.value(strings.TrimPrefix(path+"."+name, "."), want[key], got[name]); err != nil {
			return err
		}
	}
	if want[asAbove] != nil {
		return nil
	}
	for name := range got {
		if !seen[name] && !m.w.newer(m.e, path, name) {
			return fmt.Errorf("%s has %s, which was not recorded", path, name)
		}
	}
	return nil
}

// newer reports whether all later recordings of the operation have the field at this
// place.
func (w *world) newer(e *exchange, path, field string) bool {
	found := false
	for _, other := range w.known {
		if other.Operation != e.Operation || other.Status != e.Status || other.Recorded <= e.Recorded || e.Recorded == "" {
			continue
		}
		for _, object := range at(other.Output, path) {
			if object[asAbove] != nil {
				continue
			}
			if object[field] == nil {
				return false
			}
			found = true
		}
	}
	return found
}

// at returns the objects at a path, which has at most one list, such as SecretList[].
func at(shape map[string]any, path string) []map[string]any {
	name, ok := strings.CutSuffix(path, "[]")
	if !ok {
		return []map[string]any{shape}
	}
	var objects []map[string]any
	list, _ := shape[name].([]any)
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

// list compares texts in their order, and objects in any order.
func (m *matcher) list(path string, want, got []any) error {
	want = m.w.expand(want)
	if len(want) != len(got) {
		return fmt.Errorf("%s has %d items, recorded %d", path, len(got), len(want))
	}
	if len(want) > 0 {
		if _, ok := want[0].(map[string]any); ok {
			return m.anyOrder(path+"[]", want, got)
		}
	}
	for i := range want {
		if err := m.value(fmt.Sprintf("%s[%d]", path, i), want[i], got[i]); err != nil {
			return err
		}
	}
	return nil
}

// anyOrder finds an order in which all items match.
func (m *matcher) anyOrder(path string, want, got []any) error {
	if len(want) != len(got) {
		return fmt.Errorf("%s has %d items, recorded %d", path, len(got), len(want))
	}
	if len(want) == 0 {
		return nil
	}
	var last error
	for i := range got {
		before := maps.Clone(m.w.bound)
		if last = m.item(path, want[0], got[i]); last == nil {
			rest := slices.Delete(slices.Clone(got), i, i+1)
			if last = m.anyOrder(path, want[1:], rest); last == nil {
				return nil
			}
		}
		m.w.bound = before
	}
	return last
}

// item compares a member of a list, or the key and the value of a map.
func (m *matcher) item(path string, want, got any) error {
	pair, ok := want.([]any)
	if !ok {
		return m.value(path, want, got)
	}
	other := got.([]any)
	if err := m.value(path+" key", pair[0], other[0]); err != nil {
		return err
	}
	return m.value(path, pair[1], other[1])
}

var (
	sizes   = regexp.MustCompile(`^(\d+) characters$`)
	special = regexp.MustCompile(`\{[^{}]+\}`)
)

// text compares the words for a form, a value, or a text with placeholders.
func (m *matcher) text(path, want string, got any) error {
	if strings.HasSuffix(path, "Date") {
		return date(path, want, got)
	}
	text, ok := got.(string)
	if !ok {
		return fmt.Errorf("%s is %v, recorded %q", path, got, want)
	}
	if n := sizes.FindStringSubmatch(want); n != nil {
		if fmt.Sprint(utf8.RuneCountInString(text)) != n[1] {
			return fmt.Errorf("%s does not have %s", path, want)
		}
		return nil
	}
	wrong := fmt.Errorf("%s is %q, recorded %q", path, text, want)
	switch {
	case want == "string", want == "uuid", want == "opaque":
		if text == "" {
			return wrong
		}
	case want == "arn":
		if !strings.HasPrefix(text, "arn:aws:") {
			return wrong
		}
	case want == "JSON text":
		if !json.Valid([]byte(text)) {
			return wrong
		}
	case want == "base64":
		if data, err := base64.StdEncoding.DecodeString(text); err != nil || len(data) == 0 {
			return wrong
		}
	case want == "the token, verbatim":
		if text != m.in["ClientRequestToken"] {
			return wrong
		}
	case want == "VALUE" && strings.HasSuffix(path, "SecretString"):
		return nil // observe compares the value, by version
	default:
		if !m.pattern(want, text) {
			return wrong
		}
	}
	return nil
}

func date(path, want string, got any) error {
	seconds, ok := got.(float64)
	if !ok || seconds < 1e9 || math.Abs(seconds*1000-math.Round(seconds*1000)) > 1e-3 {
		return fmt.Errorf("%s is %v, recorded %q", path, got, want)
	}
	if strings.Contains(want, "day") && math.Mod(seconds, 86400) != 0 {
		return fmt.Errorf("%s is %v, not a day", path, got)
	}
	return nil
}

// pattern compares a text with placeholders, and binds those that are not bound.
func (m *matcher) pattern(want, text string) bool {
	var expression strings.Builder
	var unbound []string
	end := 0
	for _, span := range special.FindAllStringIndex(want, -1) {
		expression.WriteString(regexp.QuoteMeta(want[end:span[0]]))
		end = span[1]
		switch name := want[span[0]:span[1]]; {
		case name == "{6 random}":
			expression.WriteString("[A-Za-z0-9]{6}")
		case m.w.bound[name] != "":
			expression.WriteString(regexp.QuoteMeta(m.w.bound[name]))
		default:
			expression.WriteString("(.+)")
			unbound = append(unbound, name)
		}
	}
	expression.WriteString(regexp.QuoteMeta(want[end:]))
	groups := regexp.MustCompile("^" + expression.String() + "$").FindStringSubmatch(text)
	if groups == nil {
		return false
	}
	for i, name := range unbound {
		if !m.w.bind(name, groups[i+1]) {
			return false
		}
	}
	return true
}

// bind refuses a text that already stands for another placeholder of the same kind.
func (w *world) bind(name, text string) bool {
	for other, value := range w.bound {
		if value == text && kind(other) == kind(name) && other != name {
			return false
		}
	}
	w.bound[name] = text
	return true
}

func kind(placeholder string) string { return strings.Trim(placeholder, "{}0123456789#") }

var items = regexp.MustCompile(`^(\d+) items? as above$`)

// expand writes out the items of a list that are recorded as similar to another.
func (w *world) expand(list []any) []any {
	var out []any
	add := func(item map[string]any) {
		w.before = item
		out = append(out, item)
	}
	for _, item := range list {
		switch item := item.(type) {
		case string:
			n := items.FindStringSubmatch(item)
			if n == nil {
				out = append(out, item)
				continue
			}
			count := 0
			_, _ = fmt.Sscan(n[1], &count)
			for i := range count {
				add(renamed(w.before, fmt.Sprintf("#%d", i)))
			}
		case map[string]any:
			if item[asAbove] != nil {
				full := renamed(w.before, fmt.Sprintf("#%d", len(out)))
				maps.Copy(full, item)
				item = full
			}
			add(item)
		default:
			out = append(out, item)
		}
	}
	return out
}

// renamed returns a copy with other names and versions.
func renamed(item map[string]any, mark string) map[string]any {
	if item == nil {
		item = map[string]any{
			"ARN": "arn:aws:secretsmanager:{region}:{account}:secret:{name}-{6 random}", "Name": "{name}", "Description": "string",
			"CreatedDate": "epoch", "LastChangedDate": "epoch", "SecretVersionsToStages": map[string]any{"{v}": []any{"AWSCURRENT"}},
		}
	}
	data, err := json.Marshal(item)
	if err != nil {
		panic(err) // it was JSON
	}
	text := regexp.MustCompile(`\{(name|v|version)(\d*)(#\d+)?\}`).ReplaceAllString(string(data), "{${1}${2}"+mark+"}")
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		panic(err)
	}
	return out
}
