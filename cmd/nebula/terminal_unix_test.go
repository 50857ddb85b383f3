//go:build unix

package main

import "syscall"

// leaveTerminal gives up the controlling terminal.
func leaveTerminal() { _, _ = syscall.Setsid() }
