// Package service serves a store over HTTP: the API that package api describes, for
// programs in other languages and for hosts where one process has the backend's
// login.
//
//	s, err := service.New(store, service.Options{Tokens: tokens, Audit: log, Hosts: []string{"localhost:8200"}})
//	…
//	l, err := service.Listen(ctx, "127.0.0.1:8200", nil)
//	…
//	err = (&service.Server{Handler: s}).Serve(ctx, service.Site{Listener: l})
//
// [Listen] limits where cleartext goes, and [Server] limits how long a client may
// take. Any other server can serve a [Service], too.
//
// A [Service] has no lasting state: you can run as many as you like over one
// backend. Every request under /v1 needs a token. Each request with a valid token
// is a line of the audit log, and it is not answered before the line is written.
package service
