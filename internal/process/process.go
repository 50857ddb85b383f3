// Package process keeps the secrets in the memory and in the environment of a
// process from other processes.
package process
