package service

import (
	"net/http"
	"strings"

	"github.com/nebula-credential/nebula/service/token"
)

// route is a path with its operations.
type route struct {
	pattern    string // as in the contract; {id} stands for the id of a credential
	open       bool   // needs no token
	operations []operation
	allow      string // their methods, for the header
}

type operation struct {
	method string
	verb   token.Verb // that the token must allow; "" if any token will do
	query  []string   // parameters
	tests  bool       // takes If-Match, or If-None-Match
	body   bool       // takes one
	handle func(*Service, *call) (answer, error)
}

// routes are all routes of the service. There are few, and an id needs no
// decoding. http.ServeMux would redirect paths that it considers unclean.
type routes struct {
	fixed      map[string]*route
	credential map[string]*route // by what follows the id
	all        []*route
}

const credentials = "/v1/credentials"

func newRoutes() *routes {
	const get, head, post = http.MethodGet, http.MethodHead, http.MethodPost
	r := &routes{fixed: make(map[string]*route), credential: make(map[string]*route)}
	r.add(route{pattern: credentials, operations: []operation{
		{method: get, verb: token.List, query: []string{"tag", "prefix", "limit", "cursor", "details"}, handle: (*Service).list},
	}})
	r.add(route{pattern: credentials + "/{id}", operations: []operation{
		{method: get, verb: token.Read, query: []string{"version"}, tests: true, handle: (*Service).get},
		{method: head, verb: token.Read, handle: (*Service).exists},
		{method: http.MethodPut, verb: token.Write, tests: true, body: true, handle: (*Service).put},
		{method: http.MethodDelete, verb: token.Delete, tests: true, handle: (*Service).delete},
	}})
	r.add(route{pattern: credentials + "/{id}/tags", operations: []operation{
		{method: http.MethodPatch, verb: token.Write, tests: true, body: true, handle: (*Service).tag},
	}})
	r.add(route{pattern: credentials + "/{id}/restore", operations: []operation{{method: post, verb: token.Write, handle: (*Service).restore}}})
	r.add(route{pattern: credentials + "/{id}/purge", operations: []operation{{method: post, verb: token.Admin, handle: (*Service).purge}}})
	r.add(route{pattern: credentials + "/{id}/versions", operations: []operation{{method: get, verb: token.Read, handle: (*Service).versions}}})
	r.add(route{pattern: "/v1/batch-get", operations: []operation{{method: post, verb: token.Read, body: true, handle: (*Service).batchGet}}})
	r.add(route{pattern: "/v1/store", operations: []operation{{method: get, handle: (*Service).describe}}})
	r.add(route{pattern: "/metrics", operations: []operation{{method: get, verb: token.Admin, handle: (*Service).writeMetrics}}})
	r.add(route{pattern: "/healthz", open: true, operations: []operation{{method: get, handle: (*Service).alive}}})
	r.add(route{pattern: "/readyz", open: true, operations: []operation{{method: get, handle: (*Service).isReady}}})
	r.add(route{pattern: "/openapi.yaml", open: true, operations: []operation{{method: get, handle: (*Service).contract}}})
	r.add(route{pattern: "/", open: true, operations: []operation{{method: get, handle: (*Service).servePage}, {method: head, handle: (*Service).servePage}}})
	return r
}

func (r *routes) add(added route) {
	methods := make([]string, len(added.operations))
	for i, op := range added.operations {
		methods[i] = op.method
	}
	added.allow = strings.Join(methods, ", ")
	r.all = append(r.all, &added)
	if suffix, ok := strings.CutPrefix(added.pattern, credentials+"/{id}"); ok {
		r.credential[strings.TrimPrefix(suffix, "/")] = &added
		return
	}
	r.fixed[added.pattern] = &added
}

// find returns the route of a path, and the part in it that stands for an id.
func (r *routes) find(path string) (found *route, name string, ok bool) {
	rest, ok := strings.CutPrefix(path, credentials+"/")
	if !ok {
		if strings.HasPrefix(path, "/page/") {
			path = "/" // a part of the page
		}
		found, ok = r.fixed[path]
		return found, "", ok
	}
	name, suffix, _ := strings.Cut(rest, "/")
	found, ok = r.credential[suffix]
	return found, name, ok
}

func (r *route) operation(method string) *operation {
	for i := range r.operations {
		if r.operations[i].method == method {
			return &r.operations[i]
		}
	}
	return nil
}
