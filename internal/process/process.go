// Package process keeps what a process knows out of reach of others: what it
// holds in memory, and what its environment says.
package process
