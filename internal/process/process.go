// Package process protects the secrets in the memory and the environment of a
// process from other processes, and passes on only what a child needs.
package process
