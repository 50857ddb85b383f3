// Package takeover stores secrets that are kept elsewhere: in clear, such as a
// file of variables or a JSON object, under another program's key, or in a
// backend beside the records. It changes nothing in the source.
//
// Reading a source returns a list of [Secret]. [NewPlan] gives each an id, and
// says if a name does not work. [Plan.Compare] looks at what the store has.
// [Plan.Run] stores what is missing.
package takeover
