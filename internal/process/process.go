// Package process keeps what a process holds in memory out of reach of others.
// It is for programs, never for the library: it changes the whole process.
package process
