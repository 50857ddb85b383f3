// Package provider makes a [nebula.Provider] from a driver, which is the part
// of it that knows a backend.
//
//	func New(config Config, options ...provider.Option) (nebula.Provider, error) {
//		…
//		return provider.New(&driver{…}, config.policy(), provider.NewOptions(options...)), nil
//	}
//
// [New] puts the same shell around every [Driver]. The shell gives it a life
// (configured, connected, closed), refuses what no backend can do, checks the
// size of records, locates errors and serves the pages of lists. It repeats
// calls whose failure may pass, limits their time and their number, and reports
// each to metrics, log and interceptors. So a driver makes one attempt at each
// call and returns errors as they come; its Explain says what they mean.
//
// # Order
//
// The layers around an operation, from the outside:
//
//	interceptors  spans and the like: one a call, retries included
//	metrics, log  the time that the caller waited
//	retries       repeat what is below
//	turns         a call that waits to be repeated holds none
//	time limit    of one attempt, not counting the wait for its turn
//	life          an operation of a closed provider fails
//	driver
//
// State, Describe and Close pass by these layers: they take no context.
//
// # What drivers share
//
// [Changes] keeps the order of changes to one name. [Recent] remembers what was
// seen or done a moment ago. [ParseRecord] tells a damaged record from what
// somebody else stored. [Findings] collects what an examination finds.
// [ErrUnclear], [RetryAfter] and [IsRepeat] are how drivers and retries speak
// with each other.
package provider
