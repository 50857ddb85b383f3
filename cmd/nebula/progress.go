package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far a long command is, on a terminal alone.
type progress struct{ bar *progressbar.ProgressBar }

// progress begins to show; a total of -1 is "not known".
func (a *app) progress(what string, total int) *progress {
	if !a.stderrIsTerminal || a.global.output == outputJSON {
		return &progress{}
	}
	return &progress{progressbar.NewOptions(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
	)}
}

func (p *progress) set(n int) {
	if p.bar != nil {
		_ = p.bar.Set(n) // what it shows matters less than what it is about
	}
}

// end clears the line, so that the next message begins on it.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		_ = p.bar.Exit()
		p.bar = nil
	}
}

// countDown says what a rotation waits for and how it is ended early. On a
// terminal the time that is left follows, each second, until the function that
// it returns is called.
func (a *app) countDown(wait time.Duration, reason string) (stop func()) {
	a.tell(fmt.Sprintf("waiting %s for %s;\ninterrupted, it goes on with: nebula key rotate --resume", wait.Round(time.Second), reason))
	if !a.stderrIsTerminal || a.global.output == outputJSON {
		return func() {}
	}
	const clearLine = "\r\x1b[K"
	done, ended := make(chan struct{}), make(chan struct{})
	until := time.Now().Add(wait)
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			fmt.Fprintf(a.stderr, clearLine+"%s left", max(0, time.Until(until)).Round(time.Second))
			select {
			case <-tick.C:
			case <-done:
				fmt.Fprint(a.stderr, clearLine)
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}
