// Package contract checks the requests and answers of a service against the
// document of package api.
package contract

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/nebula-credential/nebula/api"
)

// Contract is the document, ready to check with. Several goroutines may use it.
type Contract struct {
	validator validator.Validator
	model     *v3.Document
	kinds     map[string]int // the status of each kind of problem
}

// New reads the document of package api.
func New() (*Contract, error) { return parse(api.OpenAPI) }

func parse(text []byte) (*Contract, error) {
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	model, err := document.BuildV3Model()
	if err != nil {
		return nil, err
	}
	c := &Contract{model: &model.Model, validator: validator.NewValidatorFromV3Model(&model.Model,
		config.WithFormatAssertions(),
		config.WithContentAssertions(),
		config.WithRejectUndeclaredRequestBody(),
		config.WithStrictMode(), // members of answers that are not declared
		// Any client may send other headers. additionalProperties declares the names of
		// tags, which strict mode does not accept as a declaration.
		config.WithStrictIgnorePaths("$.headers.**", "$.body.**.tags.*", "$.body.tags.*", "$.body.set.*"),
	)}
	c.validator.SetDocument(document)
	if ok, found := c.validator.ValidateDocument(); !ok {
		return nil, joined(found)
	}
	c.kinds, err = kindsOf(c.model)
	return c, err
}

// kindsOf reads the table of kinds and statuses in the description of Problem.
func kindsOf(model *v3.Document) (map[string]int, error) {
	problem, ok := model.Components.Schemas.Get("Problem")
	if !ok {
		return nil, fmt.Errorf("there is no schema Problem")
	}
	kind, ok := problem.Schema().Properties.Get("kind")
	if !ok {
		return nil, fmt.Errorf("a problem has no kind")
	}
	kinds := make(map[string]int)
	for line := range strings.Lines(kind.Schema().Description) {
		var name string
		var status int
		if n, _ := fmt.Sscanf(line, "| `%s | %d |", &name, &status); n == 2 {
			kinds[strings.TrimSuffix(name, "`")] = status
		}
	}
	for _, node := range kind.Schema().Enum {
		if kinds[node.Value] == 0 {
			return nil, fmt.Errorf("the table of kinds has no %s", node.Value)
		}
	}
	if len(kinds) != len(kind.Schema().Enum) {
		return nil, fmt.Errorf("the table has %d kinds, the enumeration %d", len(kinds), len(kind.Schema().Enum))
	}
	return kinds, nil
}

// Kinds returns the status of each kind of problem.
func (c *Contract) Kinds() map[string]int { return c.kinds }

// Methods returns the methods of each path, sorted.
func (c *Contract) Methods() map[string][]string {
	all := make(map[string][]string)
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			all[path] = append(all[path], strings.ToUpper(method))
		}
		slices.Sort(all[path])
	}
	return all
}

// Request returns an error if the document does not allow a request. It reads the body,
// which can be read again.
func (c *Contract) Request(r *http.Request) error {
	_, found := c.validator.ValidateHttpRequest(r)
	if found = slices.DeleteFunc(found, isReserved); len(found) > 0 {
		return joined(found)
	}
	return c.query(r)
}

// isReserved reports whether a reserved character of a query is not escaped: everybody
// types ?tag=env=prod, and it means nothing else.
func isReserved(e *errors.ValidationError) bool {
	return len(e.SchemaValidationErrors) == 1 && strings.HasSuffix(e.SchemaValidationErrors[0].KeywordLocation, "/allowReserved")
}

// query finds parameters that are not declared, and those that come twice but are not
// lists, and checks the items of lists. The validator does none of that.
func (c *Contract) query(r *http.Request) error {
	item, path := c.find(r)
	if item == nil {
		return fmt.Errorf("there is no path %s", path)
	}
	op := operation(item, r.Method)
	if op == nil {
		return fmt.Errorf("%s has no %s", path, r.Method)
	}
	for name, values := range r.URL.Query() {
		at := slices.IndexFunc(op.Parameters, func(p *v3.Parameter) bool { return p.In == "query" && p.Name == name })
		if at < 0 {
			return fmt.Errorf("the query parameter %q is not declared", name)
		}
		schema := op.Parameters[at].Schema.Schema()
		if !slices.Contains(schema.Type, "array") {
			if len(values) > 1 {
				return fmt.Errorf("the query parameter %q is there %d times", name, len(values))
			}
			continue
		}
		if ok, found := schema_validation.NewSchemaValidator().ValidateSchemaObject(schema, anySlice(values)); !ok {
			return joined(found)
		}
	}
	return nil
}

// find returns the document's path for a request. A segment in braces matches any
// segment, because our paths do not overlap. A path with an escape is not the
// document's, though the validator accepts it.
func (c *Contract) find(r *http.Request) (*v3.PathItem, string) {
	path := r.URL.EscapedPath()
	if strings.Contains(path, "%") {
		return nil, path
	}
	asked := strings.Split(path, "/")
	for template, item := range c.model.Paths.PathItems.FromOldest() {
		parts := strings.Split(template, "/")
		if slices.EqualFunc(parts, asked, func(part, segment string) bool {
			return part == segment || strings.HasPrefix(part, "{") && segment != ""
		}) {
			return item, template
		}
	}
	return nil, path
}

// operation returns what a path does with a method, nil if nothing. The case of the
// method matters.
func operation(item *v3.PathItem, method string) *v3.Operation {
	if method != strings.ToUpper(method) {
		return nil
	}
	return item.GetOperations().GetOrZero(strings.ToLower(method))
}

func anySlice(values []string) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

// readBody reads a body and replaces it by one that can be read again.
func readBody(body *io.ReadCloser) ([]byte, error) {
	if *body == nil || *body == http.NoBody {
		return nil, nil
	}
	defer (*body).Close()
	return io.ReadAll(*body)
}

func joined(found []*errors.ValidationError) error {
	texts := make([]string, len(found))
	for i, e := range found {
		texts[i] = e.Message + ": " + e.Reason
		for _, s := range e.SchemaValidationErrors {
			texts[i] += "; " + s.Reason + " at " + s.FieldPath + " by " + s.KeywordLocation
		}
	}
	return fmt.Errorf("%s", strings.Join(texts, "\n"))
}
