package main

import (
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

// end clears the line, so that what is said next begins on it.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		_ = p.bar.Exit()
		p.bar = nil
	}
}
