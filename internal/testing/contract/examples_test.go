package contract

import (
	"encoding/json"
	"testing"

	yaml "github.com/pb33f/go-yaml"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"
)

// Every example fits its schema. Every body and every answer that a reader could ask
// for has one.
func TestExamplesAreValid(t *testing.T) {
	c := newContract(t)
	checked := 0
	check := func(where string, schema *base.SchemaProxy, single *yaml.Node, several *orderedmap.Map[string, *base.Example], needed bool) {
		nodes := map[string]*yaml.Node{}
		if single != nil {
			nodes["example"] = single
		}
		for name, e := range several.FromOldest() {
			nodes[name] = e.Value
		}
		if needed && len(nodes) == 0 {
			t.Errorf("%s has no example", where)
		}
		for name, node := range nodes {
			checked++
			if err := valid(schema, node); err != nil {
				t.Errorf("%s, %s: %v", where, name, err)
			}
		}
	}
	headers := func(where string, all *orderedmap.Map[string, *v3.Header]) {
		for name, h := range all.FromOldest() {
			check(where+" "+name, h.Schema, h.Example, h.Examples, true)
		}
	}
	content := func(where string, all *orderedmap.Map[string, *v3.MediaType], needed bool) {
		for name, m := range all.FromOldest() {
			check(where+" "+name, m.Schema, m.Example, m.Examples, needed)
		}
	}
	parameters := func(where string, all []*v3.Parameter) {
		for _, p := range all {
			check(where+" "+p.Name, p.Schema, p.Example, p.Examples, p.Name != "details")
		}
	}
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		parameters(path, item.Parameters)
		for method, op := range item.GetOperations().FromOldest() {
			where := method + " " + path
			parameters(where, op.Parameters)
			if op.RequestBody != nil {
				content(where, op.RequestBody.Content, true)
			}
			for status, r := range op.Responses.Codes.FromOldest() {
				headers(where+" "+status, r.Headers)
				content(where+" "+status, r.Content, path != "/page/{file}")
			}
		}
	}
	for name, r := range c.model.Components.Responses.FromOldest() {
		headers(name, r.Headers)
		content(name, r.Content, true)
	}
	if checked < 100 {
		t.Errorf("only %d examples were found", checked)
	}
}

func valid(schema *base.SchemaProxy, node *yaml.Node) error {
	var value any
	if err := node.Decode(&value); err != nil {
		return err
	}
	text, err := json.Marshal(value) // numbers as JSON has them
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	ok, found := schema_validation.NewSchemaValidator(config.WithFormatAssertions(), config.WithContentAssertions()).
		ValidateSchemaObject(schema.Schema(), value)
	if !ok {
		return joined(found)
	}
	return nil
}

// The test notices an example that breaks its schema.
func TestExamplesThatAreWrong(t *testing.T) {
	c := newContract(t)
	problem := c.model.Components.Schemas.GetOrZero("Problem")
	for _, text := range []string{`{}`, `{type: about:blank, title: x, status: 200, detail: x, kind: usage, request_id: x}`,
		`{type: about:blank, title: x, status: 400, detail: x, kind: other, request_id: x}`} {
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(text), &node); err != nil {
			t.Fatal(err)
		}
		if err := valid(problem, &node); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
