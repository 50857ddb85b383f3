// Package provider makes a [nebula.Provider] from a driver, which is the part
// of it that knows a backend.
//
//	func New(config Config, options ...provider.Option) (nebula.Provider, error) {
//		…
//		return provider.New(&driver{…}, config.policy(), provider.NewOptions(options...)), nil
//	}
//
// [New] puts the same shell around every [Driver]. The shell keeps the state of
// the provider (configured, connected, closed), refuses what no backend can do,
// checks the size of records, adds operation, provider and id to errors, and
// serves the pages of lists. It repeats calls after transient failures, limits
// their time and their number, and reports each to metrics, log and
// interceptors. So a driver makes one attempt at each call and returns the
// errors as they come; its Explain says what they mean.
//
// # Order
//
// The layers around an operation, the outermost first:
//
//	interceptors  once for a call, retries included: spans for example
//	metrics, log  the time that the caller waited
//	retries       repeat the layers below
//	concurrency   a call that waits for its next attempt does not count
//	time limit    of one attempt, without the wait for the layer above
//	life          an operation of a closed provider fails
//	driver
//
// State, Describe and Close do not go through these layers.
//
// # What drivers share
//
// [Changes] keeps the changes of one name in order. [Recent] remembers what a
// driver saw or did a moment ago. [ParseRecord] tells a damaged record from what
// somebody else stored. [Findings] collects the results of an
// examination. With [ErrUnclear] and [RetryAfter] a driver tells the shell about
// a failed attempt; with [IsRepeat] the shell tells the driver about the next.
package provider
