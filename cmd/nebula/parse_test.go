package main

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// These tests parse without running: run gets the parsed arguments.
func TestPutArguments(t *testing.T) {
	days := func(n uint32) *nebula.RotationPolicy { return &nebula.RotationPolicy{IntervalDays: n} }
	for _, test := range []struct {
		args string
		want putOptions
		kind nebula.Kind
	}{
		{args: "a", want: putOptions{id: "a"}},
		{args: "-- a", want: putOptions{id: "a"}},
		{args: "a --tag k=v -t x=y=z", want: putOptions{id: "a", put: nebula.PutOptions{Tags: map[string]string{"k": "v", "x": "y=z"}}}},
		{args: "a --clear-tags --force --allow-empty", want: putOptions{id: "a", allowEmpty: true, put: nebula.PutOptions{ClearTags: true, Force: true}}},
		{args: "a --rotation-days 30 -f x", want: putOptions{id: "a", file: "x", put: nebula.PutOptions{RotationPolicy: days(30)}}},
		{args: "a --rotation-days 0 --if-version v", want: putOptions{id: "a", put: nebula.PutOptions{RotationPolicy: days(0), IfVersion: "v"}}},
		{args: "a --rotation-days 4294967295", want: putOptions{id: "a", put: nebula.PutOptions{RotationPolicy: days(1<<32 - 1)}}},
		{args: "a --generate 8 --alphabet hex", want: putOptions{id: "a", generate: 8, alphabet: "hex"}},
		{args: "a --generate 8 --alphabet=", kind: nebula.ErrUsage},
		{args: "a --rotation-days 4294967296", kind: nebula.ErrUsage},
		{args: "a --rotation-days 1.5", kind: nebula.ErrUsage},
		{args: "a --if-absent --if-version v", kind: nebula.ErrUsage},
		{args: "a --file=", kind: nebula.ErrUsage},
		{args: "a value", kind: nebula.ErrUsage},
		{args: "", kind: nebula.ErrUsage},
		{args: "a/b", kind: nebula.ErrInvalidID},
		{args: "a --tag k", kind: nebula.ErrUsage},
		{args: "a --tag =v", kind: nebula.ErrInvalidMetadata},
	} {
		var got putOptions
		cmd := putCommand(func(_ context.Context, o putOptions) error { got = o; return nil })
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(strings.Fields(test.args))
		err := cmd.ExecuteContext(t.Context())
		if nebula.KindOf(err) != test.kind || test.kind == "" && !reflect.DeepEqual(got, test.want) {
			t.Errorf("put %s: %+v, %v", test.args, got, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-31":                "2026-01-31T00:00:00Z",
		"2026-01-31T12:00:00+02:00": "2026-01-31T10:00:00Z",
	} {
		if got, err := parseTime("--t", text); err != nil || formatTime(got) != want {
			t.Errorf("%s: %s, %v", text, formatTime(got), err)
		}
	}
	for _, text := range []string{"now", "2026-02-30", "2026-01-31 12:00", "1"} {
		if _, err := parseTime("--t", text); !errors.Is(err, nebula.ErrUsage) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFormatTime(t *testing.T) {
	for _, want := range []string{"2026-01-31T00:00:00Z", "2026-01-31T00:00:00.100Z", "2026-01-31T00:00:00.000001Z", "2026-01-31T00:00:00.123456789Z"} {
		at, err := time.Parse(time.RFC3339Nano, want)
		if got := formatTime(at); err != nil || got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := formatTime(time.Time{}); got != "" {
		t.Errorf("the zero time is %q", got)
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain grüße 日本": "plain grüße 日本",
		"\x1b[31mred":    `\u001b[31mred`,
		"a\nb\tc":        `a\u000ab\u0009c`,
		"a\u202eb":       `a\u202eb`,
		"a\xffb":         `a\xffb`,
		"a\u0085b":       `a\u0085b`,
		"\U000e0001":     `\U000e0001`,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"\"\u202e\"": `"\u202e"`, "\"\U000e0001\"": `"\udb40\udc01"`, `"é"`: `"é"`} {
		if got := string(escapeJSON([]byte(text))); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	want := map[int][]nebula.Kind{
		0: {""},
		1: {nebula.ErrInternal, nebula.ErrClosed},
		2: {nebula.ErrUsage, nebula.ErrInvalidConfig, nebula.ErrInvalidID, nebula.ErrInvalidMetadata, nebula.ErrNotSupported},
		3: {nebula.ErrNotFound},
		4: {nebula.ErrPermissionDenied, nebula.ErrUnauthenticated},
		5: {nebula.ErrWrongKey, nebula.ErrCorrupted, nebula.ErrDecryptionFailed, nebula.ErrUnsupportedVersion, nebula.ErrUntrustedKey, nebula.ErrRolledBack},
		6: {nebula.ErrUnavailable, nebula.ErrTimeout},
		7: {nebula.ErrAlreadyExists, nebula.ErrConflict},
		8: {nebula.ErrTooLarge}, 130: {nebula.ErrInterrupted},
	}
	for code, kinds := range want {
		for _, kind := range kinds {
			if got := exitCode(kind); got != code {
				t.Errorf("%s: %d, want %d", kind, got, code)
			}
		}
	}
}

func TestDeadline(t *testing.T) {
	d := newDeadline(t.Context(), 30*time.Millisecond)
	resume := d.pause()
	again := d.pause()
	time.Sleep(60 * time.Millisecond)
	again()
	if d.Err() != nil {
		t.Fatal("the clock ran while a person was asked")
	}
	child, cancel := context.WithCancel(d)
	defer cancel()
	resume()
	<-child.Done()
	if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(d.Err(), context.DeadlineExceeded) {
		t.Errorf("%v, %v", child.Err(), d.Err())
	}
}

func TestDeadlineOfAParent(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	d := newDeadline(parent, 0)
	if _, limited := d.Deadline(); limited {
		t.Error("0 is a limit")
	}
	d.extend(time.Hour)
	if _, limited := d.Deadline(); !limited {
		t.Error("an hour is not a limit")
	}
	cancel()
	<-d.Done()
	if !errors.Is(d.Err(), context.Canceled) {
		t.Error(d.Err())
	}
}

// The limit is longer only if the backend is slow and nobody set a limit.
func TestAllowSlowStore(t *testing.T) {
	for _, test := range []struct{ slow, said, longer bool }{{true, false, true}, {true, true, false}, {false, false, false}} {
		a := &app{clock: newDeadline(t.Context(), time.Hour)}
		before, _ := a.clock.Deadline()
		a.global.limitIsOn = test.said
		a.allowSlowStore(nebula.Description{SlowStore: test.slow})
		if after, _ := a.clock.Deadline(); !after.Equal(before) != test.longer {
			t.Errorf("%+v: from %v to %v", test, before, after)
		}
	}
}

func TestReadLimited(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 10000} {
		got, err := readLimited(strings.NewReader(strings.Repeat("x", size)), 10000)
		if err != nil || len(got) != size {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	if _, err := readLimited(endless, 10000); !errors.Is(err, errTooMuch) {
		t.Error(err)
	}
	failing := readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF })
	if _, err := readLimited(failing, 10000); !errors.Is(err, nebula.ErrUsage) {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzTagChanges(f *testing.F) {
	seeds := []string{"k=v", "k-", "k=v-", "-", "=", "k", "", "a=b\x00c-", "k=\xff", strings.Repeat("k", 200) + "-"}
	for _, seed := range seeds {
		f.Add(seed)
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, remove, err := parseTagChanges(strings.Split(text, "\x00"))
		switch kind := nebula.KindOf(err); kind {
		case "":
			if len(set)+len(remove) == 0 {
				t.Errorf("%q changes nothing", text)
			}
		case nebula.ErrUsage, nebula.ErrInvalidMetadata:
		default:
			t.Errorf("%q: %s", text, kind)
		}
	})
}

// Commands that may take longer than a token lives renew it. The others make no call for
// that.
func TestLongCommands(t *testing.T) {
	for args, oneShot := range map[string]bool{
		"get a":                   true,
		"put a":                   true,
		"list":                    true,
		"doctor":                  true,
		"key add":                 true,
		"purge a":                 true,
		"get a --timeout 10m":     true,
		"get a --timeout 11m":     false,
		"get a --timeout 0":       false,
		"migrate old":             false,
		"migrate --timeout 5m":    false,
		"key rotate":              false,
		"key rotate --timeout 5m": false,
	} {
		a := &app{}
		words := strings.Fields(args)
		cmd, rest, err := a.rootCommand().Find(words)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Fatal(err)
		}
		cmd.SetContext(t.Context())
		if err := a.before(cmd, nil); err != nil {
			t.Fatal(err)
		}
		if got := a.options().OneShot; got != oneShot {
			t.Errorf("nebula %s: one shot is %v", args, got)
		}
		a.clock.stop()
	}
}

// list has a limit. With --verify, which opens every record, it has none.
func TestLimitOfList(t *testing.T) {
	for _, test := range []struct {
		args []string
		want time.Duration
	}{{nil, defaultTimeout}, {[]string{"--verify"}, 0}, {[]string{"--verify", "--timeout", "5s"}, 5 * time.Second}} {
		a := &app{}
		root := a.rootCommand()
		cmd, _, err := root.Find([]string{"list"})
		if err == nil {
			err = cmd.ParseFlags(test.args)
		}
		if err == nil {
			err = a.setLimit(cmd, nebula.ErrUsage, "--timeout")
		}
		if err != nil || a.global.limit != test.want {
			t.Errorf("%v: %v, %v; want %v", test.args, a.global.limit, err, test.want)
		}
	}
}
