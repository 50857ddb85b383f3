// Package takeover stores secrets that stand elsewhere in clear, or under another
// program's key: a file of variables, a JSON object. Nothing in the source is
// changed.
//
// A source is read to a list of [Secret]. [NewPlan] gives each an id, and says
// where that does not work; [Plan.Compare] looks at what the store has;
// [Plan.Run] stores what is missing.
package takeover
