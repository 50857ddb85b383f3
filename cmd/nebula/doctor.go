package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func doctorCommand(run func(context.Context) error) *cobra.Command {
	cmd := plainCommand("doctor", "Examine configuration, environment, backend and keys", `  nebula doctor
  nebula doctor --store work -o json`, run)
	cmd.Long = `Examine configuration, environment, clock, backend, keys and file modes. Each
gets a line, with what to do if something is wrong. Nothing is changed. The exit
code is 0 if everything works, else that of the worst problem.`
	return cmd
}

// examination collects findings, and the kind of the worst problem.
type examination struct {
	findings []nebula.Finding
	worst    nebula.Kind
}

func (x *examination) add(check string, severity nebula.Severity, message, fix string) {
	x.findings = append(x.findings, nebula.Finding{Check: check, Severity: severity, Message: message, Fix: fix})
}

// fail notes a problem. A damaged record is worse than a store that cannot be
// reached.
func (x *examination) fail(check string, f failure) {
	x.add(check, nebula.SeverityError, f.Message, f.Hint)
	x.note(f.Kind)
}

// take adds the findings of another part. If an earlier check met the same
// failure, it counts once.
func (x *examination) take(found []nebula.Finding) {
	for _, f := range found {
		if f.Severity == nebula.SeverityError && slices.ContainsFunc(x.findings, func(e nebula.Finding) bool {
			return e.Severity == f.Severity && e.Message == f.Message
		}) {
			continue
		}
		x.findings = append(x.findings, f)
		if f.Severity == nebula.SeverityError {
			x.note(kindOfFinding(f))
		}
	}
}

func (x *examination) note(kind nebula.Kind) {
	if x.worst == "" || exitCode(kind) == 5 {
		x.worst = kind
	}
}

func (a *app) doctor(ctx context.Context) error {
	x := &examination{}
	c, err := a.load()
	a.examineEnvironment(x, c)
	a.examineClock(x)
	switch {
	case err != nil:
		x.fail("configuration", a.failureOf(err))
	case c.Found:
		x.add("configuration", nebula.SeverityOK, c.Path, "")
	case c.Path == "":
		x.add("configuration", nebula.SeverityOK, "none, so the defaults hold; there is no home directory to look for one in", "")
	default:
		x.add("configuration", nebula.SeverityOK, "none, so the defaults hold; it would be "+c.Path, "")
	}
	if err == nil {
		a.examineStore(ctx, x, c)
		a.examineServe(ctx, x, c.Serve())
	}
	findings := oncePerCheck(x.findings)
	for i := range findings {
		findings[i].Fix = a.forStore(findings[i].Fix)
	}
	if err := a.print(findings, func(w io.Writer) error { return a.writeFindings(w, findings) }); err != nil {
		return err
	}
	return x.err()
}

// oncePerCheck joins the findings of one check, in the place of the first: the
// problems, or else all of them.
func oncePerCheck(findings []nebula.Finding) []nebula.Finding {
	rank := map[nebula.Severity]int{nebula.SeverityOK: 0, nebula.SeverityWarning: 1, nebula.SeverityError: 2}
	var merged []nebula.Finding
	for _, f := range findings {
		i := slices.IndexFunc(merged, func(m nebula.Finding) bool { return m.Check == f.Check })
		if i < 0 {
			merged = append(merged, f)
			continue
		}
		m := &merged[i]
		switch wrong, more := m.Severity != nebula.SeverityOK, f.Severity != nebula.SeverityOK; {
		case more && !wrong:
			*m = f
		case more == wrong:
			m.Message = joinLines(m.Message, f.Message)
			m.Fix = joinLines(m.Fix, f.Fix)
			if rank[f.Severity] > rank[m.Severity] {
				m.Severity, m.Kind = f.Severity, f.Kind
			}
		}
	}
	return merged
}

// joinLines adds a line unless it is there already.
func joinLines(text, line string) string {
	switch {
	case text == "" || slices.Contains(strings.Split(text, "\n"), line):
		return cmp.Or(text, line)
	case line == "":
		return text
	}
	return text + "\n" + line
}

// err returns nil if everything works.
func (x *examination) err() error {
	if x.worst == "" {
		return nil
	}
	n := 0
	for _, f := range x.findings {
		if f.Severity == nebula.SeverityError {
			n++
		}
	}
	problems := "1 problem"
	if n > 1 {
		problems = fmt.Sprintf("%d problems", n)
	}
	return &nebula.Error{Kind: x.worst, Op: "doctor", Message: problems}
}

func (a *app) examineEnvironment(x *examination, c *config.Config) {
	before := len(x.findings)
	for _, name := range config.Secrets(a.environ) {
		x.add("environment", nebula.SeverityWarning, name+" is set: every child process inherits it",
			"unset it; use NEBULA_PASSPHRASE_COMMAND, a file, or a key file")
	}
	if strings.Contains(a.getenv("GODEBUG"), "http2debug") {
		x.add("environment", nebula.SeverityWarning, "GODEBUG has http2debug, which logs the headers of requests, tokens among them",
			"unset GODEBUG")
	}
	for _, name := range c.Strangers() {
		x.add("environment", nebula.SeverityWarning, name+" is set, and means nothing", "unset it, or mend the name")
	}
	if len(x.findings) == before {
		x.add("environment", nebula.SeverityOK, "no passphrase in it, nothing that logs secrets", "")
	}
}

// examineClock finds a clock that was never set.
func (a *app) examineClock(x *examination) {
	now := a.now().UTC()
	if year := now.Year(); year < 2026 || year > 2100 {
		x.add("clock", nebula.SeverityWarning, "it says "+formatTime(now.Truncate(time.Second)), "set the clock; times of creation and rotation depend on it")
		return
	}
	x.add("clock", nebula.SeverityOK, formatTime(now.Truncate(time.Second)), "")
}

func (a *app) examineStore(ctx context.Context, x *examination, c *config.Config) {
	options := a.options()
	options.Examine = true
	x.take([]nebula.Finding{c.CheckState(a.global.store)})
	s, err := c.Open(ctx, a.global.store, options)
	if err != nil {
		x.fail("store", a.failureOf(err))
		x.findings = append(x.findings, c.Check(ctx, a.global.store, a.options())...)
		return
	}
	defer s.Close()
	a.global.where = s.Keys.Where()
	x.add("store", nebula.SeverityOK, s.Keys.Place(), "")
	a.examineKeyFile(ctx, x, s)
	found := s.Check(ctx)
	if guard, has := s.CheckGuard(); has {
		found = append(found, guard)
	}
	x.take(append(found, s.Keys.CheckServices(ctx)...))
	info, err := s.Store.Keys(ctx)
	if err == nil {
		a.examineSlots(ctx, x, s, info)
	}
	if err == nil && info.LastModified.After(a.now().Add(5*time.Minute)) {
		x.add("clock", nebula.SeverityWarning, "the keyring was written at "+formatTime(info.LastModified)+", which is yet to come",
			"set the clock, here or where it was written")
	}
}

func (a *app) examineKeyFile(ctx context.Context, x *examination, s *config.Opened) {
	x.take(s.Keys.CheckPassphrases())
	files, isDefault := s.Keys.Files()
	for _, path := range files {
		switch err := s.Keys.ReadFile(ctx, path); {
		case err == nil:
			x.add("key file", nebula.SeverityOK, path, "")
		case isDefault && errors.Is(err, nebula.ErrInvalidConfig) && !config.Exists(path):
			x.add("key file", nebula.SeverityOK, "none at "+path, "")
		default:
			x.fail("key file", a.failureOf(err))
		}
	}
}

// kindOfFinding returns the kind of a problem, for the exit code.
func kindOfFinding(f nebula.Finding) nebula.Kind {
	if f.Kind == "" {
		return nebula.ErrPermissionDenied
	}
	return f.Kind
}

func (a *app) writeFindings(w io.Writer, findings []nebula.Finding) error {
	colours := map[nebula.Severity]string{nebula.SeverityOK: green, nebula.SeverityWarning: yellow, nebula.SeverityError: red}
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	for _, f := range findings {
		mark := a.colour(a.stdoutIsTerminal, colours[f.Severity], fmt.Sprintf("%-7s", f.Severity))
		fmt.Fprintf(w, "%s  %-*s  %s\n", mark, width, f.Check, indent(f.Message, width))
		if f.Fix != "" && f.Severity != nebula.SeverityOK {
			fmt.Fprintf(w, "%s→ %s\n", strings.Repeat(" ", width+11), indent(f.Fix, width))
		}
	}
	return nil
}

// indent aligns the lines of a message with its first.
func indent(text string, width int) string {
	lines := slices.Collect(strings.SplitSeq(text, "\n"))
	for i := range lines {
		lines[i] = escape(lines[i])
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", width+11))
}
