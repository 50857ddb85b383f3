package nebula

import "context"

// Caller says on whose behalf a request is made. It travels in the context and
// reaches logs. If the store has no scope or author of its own, Scope and Owner
// take their place. It does not authenticate: anyone who calls the library
// chooses its content.
type Caller struct {
	Owner   string // person or service
	Scope   string // as in [Metadata]; narrows the request to this scope
	TraceID string // links the request to a trace or a log
}

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the Caller that ctx carries, or the zero Caller.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
