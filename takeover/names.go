package takeover

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/nebula-credential/nebula"
)

// Naming makes ids from the names of a source.
type Naming struct {
	Prefix   string // before each name
	FoldCase bool   // names in lower case

	// Map has the ids of single names, to be used as they are. With an empty id a
	// secret is left out.
	Map map[string]string
}

// ParseMap reads the map of a [Naming]: TOML of lines "foreign/name" = "id".
func ParseMap(text []byte) (map[string]string, error) {
	var m map[string]string
	if err := toml.Unmarshal(text, &m); err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: "the map is not TOML with strings: " + err.Error(), Hint: `lines such as "foreign/name" = "id"`}
	}
	return m, nil
}

// id returns the id for a name, or "" for one that is left out. Characters that the
// grammar of ids does not allow become _.
func (n Naming) id(name string) (nebula.ID, error) {
	if id, found := n.Map[name]; found {
		if id == "" {
			return "", nil
		}
		return nebula.ParseID(id)
	}
	if n.FoldCase {
		name = strings.ToLower(name)
	}
	return nebula.ParseID(n.Prefix + plainName(name, n.Prefix == ""))
}

func plainName(name string, first bool) string {
	var b strings.Builder
	for _, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
		if letter || r == '-' && !(first && b.Len() == 0) {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}

// NewPlan gives each secret its id. The items are in the order of the secrets.
// If a name does not work, because it makes no valid id or one that another name
// makes, the item has an Err. It also has one if the secret cannot be read.
func NewPlan(secrets []Secret, n Naming) *Plan {
	p := &Plan{Items: make([]Item, len(secrets))}
	first := make(map[nebula.ID]int)
	for i, s := range secrets {
		item := &p.Items[i]
		item.Name, item.Note, item.value = s.Name, s.Note, s.Value
		var err error
		if item.ID, err = n.id(s.Name); err != nil {
			item.misname(err)
			continue
		}
		switch {
		case item.ID == "":
			item.State = LeftOut
			continue
		case s.Err != nil:
			item.fail(s.Err)
			continue
		}
		if other, taken := first[item.ID]; taken {
			collision := &nebula.Error{Kind: nebula.ErrUsage, ID: item.ID, Message: fmt.Sprintf("%q and %q would both be %s", p.Items[other].Name, s.Name, item.ID)}
			item.misname(collision)
			p.Items[other].misname(collision)
			continue
		}
		first[item.ID] = i
	}
	for name := range n.Map {
		if !slices.ContainsFunc(secrets, func(s Secret) bool { return s.Name == name }) {
			p.Unmatched = append(p.Unmatched, name)
		}
	}
	slices.Sort(p.Unmatched)
	return p
}

// NameError returns one error for all names that do not work, or nil.
func (p *Plan) NameError() error {
	var lines []string
	for _, item := range p.Items {
		if !item.Misnamed {
			continue
		}
		line := item.Err.Error()
		if e, ok := item.Err.(*nebula.Error); ok { //nolint:errorlint // our own
			line = e.Message
			if e.Kind == nebula.ErrInvalidID {
				line = fmt.Sprintf("%q: %s", item.Name, e.Message)
			}
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrUsage, Op: "import", Message: "these names make no ids, and nothing was stored:\n" + strings.Join(lines, "\n"),
		Hint: `give them ids with --map F, a file of lines such as "foreign/name" = "id"; "" leaves one out`}
}
