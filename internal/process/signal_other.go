//go:build !unix

package process

import "os"

// noSignal is not sent: a process that is gone cannot be opened.
var noSignal = os.Interrupt
