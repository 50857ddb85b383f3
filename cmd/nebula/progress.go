package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	// progressDelay is how long a command runs before it shows how far it is.
	progressDelay = 500 * time.Millisecond
	// progressInterval is the time between two lines if it may not draw.
	progressInterval = 10 * time.Second
	// drawInterval is the time between two drawings if it may.
	drawInterval = 200 * time.Millisecond
)

// progress shows how far a long command is: on a terminal with a bar, elsewhere
// with a line at intervals. The zero progress shows nothing.
type progress struct {
	app   *app
	what  string // "deleting"
	total int    // -1 if it is not known
	begun time.Time

	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil where it may not draw
	done   int
	bytes  int64
	failed int
	last   error

	described string // what the bar says that it shows

	stop    chan struct{}
	stopped sync.WaitGroup
}

// progress begins to show; a total of -1 is "not known".
func (a *app) progress(what string, total int) *progress {
	if a.global.output == outputJSON {
		return &progress{}
	}
	p := &progress{app: a, what: what, described: what, total: total, begun: time.Now(), stop: make(chan struct{})}
	each := progressInterval
	if a.stderrIsTerminal && a.getenv("TERM") != "dumb" {
		p.bar, each = a.bar(what, total), drawInterval
	}
	p.stopped.Go(func() { p.watch(each) })
	return p
}

func (a *app) bar(what string, total int) *progressbar.ProgressBar {
	bar := progressbar.NewOptions(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString(""),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws by itself, also when another bar has its place
	)
	bar.StartWithoutRender() // else the first rate is of no time at all
	return bar
}

// watch shows at intervals how far the command is, and says after a signal why it
// still runs.
func (p *progress) watch(each time.Duration) {
	tick := time.NewTicker(each)
	defer tick.Stop()
	var ended <-chan struct{}
	var late <-chan time.Time
	if p.app.clock != nil {
		ended = p.app.clock.Done()
	}
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.show()
		case <-ended:
			ended = nil
			if errors.Is(p.app.clock.Err(), context.Canceled) {
				late = time.After(progressDelay)
			}
		case <-late:
			p.say("finishing what is under way; a second Ctrl-C ends it at once")
		}
	}
}

// set shows how many are done.
func (p *progress) set(done int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	p.draw()
}

// setOf is set if it was not known how many there are.
func (p *progress) setOf(done, total int) {
	p.mu.Lock()
	if p.total != total {
		p.total = total
		if p.bar != nil {
			_ = p.bar.Clear() // the next one knows nothing of what this one drew
			p.bar = p.app.bar(p.what, total)
		}
	}
	p.mu.Unlock()
	p.set(done)
}

// is shows counts that somebody else made. If the error differs from the one
// before, it is one more failure.
func (p *progress) is(done, total int, bytes int64, last error) {
	if p.last != last { // which only this goroutine sets
		p.note(last)
	}
	p.mu.Lock()
	p.bytes = bytes
	p.mu.Unlock()
	p.setOf(done, total)
}

// note keeps a failure. The last one is shown. nil is not a failure.
func (p *progress) note(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
	p.last = err
}

func (p *progress) draw() {
	if p.bar == nil || time.Since(p.begun) < progressDelay {
		return
	}
	text := p.what
	if p.bytes > 0 {
		text += " " + byteCount(p.bytes)
	}
	if p.failed > 0 {
		text += fmt.Sprintf(", %d failed (%s)", p.failed, strings.ReplaceAll(string(p.app.failureOf(p.last).Kind), "_", " "))
	}
	_ = p.bar.Set(p.done) // what it shows matters less than what it is about
	if text != p.described {
		p.described = text
		p.bar.Describe(text)
	}
}

// show writes a line if no bar is drawn. If the total is not known, it moves the
// bar.
func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.app.tell(p.String())
	} else if p.total < 0 {
		p.draw()
	}
}

// String returns "deleting: 120 of 200, 12 a second, 7s left".
func (p *progress) String() string {
	text := fmt.Sprintf("%s: %d", p.what, p.done)
	if p.total > 0 {
		text += fmt.Sprintf(" of %d", p.total)
	}
	if p.bytes > 0 {
		text += ", " + byteCount(p.bytes)
	}
	if took := time.Since(p.begun); p.done > 0 && took > 0 {
		each := took / time.Duration(p.done)
		text += ", " + rate(each)
		if p.total > p.done {
			text += fmt.Sprintf(", %s left", (each * time.Duration(p.total-p.done)).Round(time.Second))
		}
	}
	if p.failed > 0 {
		f := p.app.failureOf(p.last)
		f.Hint = ""
		text += fmt.Sprintf("; %d failed, the last one: %s", p.failed, f)
	}
	return text
}

// rate returns how many are done in a unit of time, from the time that each
// takes.
func rate(each time.Duration) string {
	of, name := time.Second, "second"
	switch {
	case each > time.Minute:
		of, name = time.Hour, "hour"
	case each > time.Second:
		of, name = time.Minute, "minute"
	}
	return fmt.Sprintf("%.0f a %s", of.Seconds()/each.Seconds(), name)
}

// say writes a line for a person, above the bar.
func (p *progress) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.app.done(text)
	p.draw()
}

// end clears the line, so that the next message begins on it.
func (p *progress) end() {
	if p.app == nil {
		return
	}
	close(p.stop)
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
		_ = p.bar.Exit()
	}
	p.app, p.bar = nil, nil
}

// countDown says what a rotation waits for and how to end it early. On a
// terminal it shows the remaining time each second, until the function that it
// returns is called.
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
