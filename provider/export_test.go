package provider

// The layers, for tests of each.
var (
	Retry   = retry
	Timeout = timeout
	Limit   = limit
)
