// Package process keeps the secrets in the memory and in the environment of a
// process from other processes, and hands on only what a child is to have.
package process
