package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// oneID checks the arguments of commands on one credential.
func oneID(cmd *cobra.Command, args []string) error {
	return count(cmd, args, len(args) == 1, "one id")
}

func someIDs(cmd *cobra.Command, args []string) error {
	return count(cmd, args, len(args) >= 1, "at least one id")
}

func noArgs(cmd *cobra.Command, args []string) error {
	return count(cmd, args, len(args) == 0, "no arguments")
}

func count(cmd *cobra.Command, args []string, ok bool, wanted string) error {
	if ok {
		return nil
	}
	return usage(fmt.Sprintf("%s takes %s, and got %d", commandName(cmd), wanted, len(args)), "usage: "+cmd.UseLine())
}

// commandName returns the name of a command below the program's.
func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// parseID parses an id. If the text is not one, it suggests one.
func parseID(arg string) (nebula.ID, error) {
	id, err := nebula.ParseID(arg)
	var e *nebula.Error
	if err == nil || !errors.As(err, &e) {
		return id, err
	}
	if near := nearID(arg); near != "" {
		suggested := *e
		suggested.Hint += "; did you mean " + near + "?"
		return "", &suggested
	}
	return "", err
}

// nearID returns an id that is like text with other characters in it, or "".
func nearID(text string) string {
	var b strings.Builder
	for _, r := range strings.Trim(text, "/.") {
		switch {
		case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-':
			b.WriteRune(r)
		case strings.ContainsRune("/.: @", r):
			b.WriteByte('_')
		default:
			return ""
		}
	}
	near := strings.TrimLeft(b.String(), "-_")
	if _, err := nebula.ParseID(near); err != nil || near == text || config.LooksLikeKey(text) {
		return ""
	}
	return near
}

// parseIDs checks all ids before anything is touched.
func parseIDs(args []string) ([]nebula.ID, error) {
	ids := make([]nebula.ID, 0, len(args))
	seen := make(map[nebula.ID]bool)
	for _, arg := range args {
		id, err := parseID(arg)
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// parseTags reads k=v, each key once.
func parseTags(args []string) (map[string]string, error) {
	var tags map[string]string
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("a tag is given as key=value, not as "+shorten(arg), "")
		}
		if err := nebula.ValidateTag(key, value); err != nil {
			return nil, err
		}
		if before, twice := tags[key]; twice && before != value {
			return nil, usage("the tag "+shorten(key)+" is given twice", "")
		}
		if tags == nil {
			tags = make(map[string]string)
		}
		tags[key] = value
	}
	return tags, nil
}

// parseTagChanges reads k=v, which sets a tag, and k-, which removes it.
func parseTagChanges(args []string) (set map[string]string, remove []string, err error) {
	var sets []string
	for _, arg := range args {
		key, isRemoval := strings.CutSuffix(arg, "-")
		switch {
		case strings.Contains(arg, "="):
			sets = append(sets, arg)
		case !isRemoval:
			return nil, nil, usage("a tag is set with key=value and removed with key-, not with "+shorten(arg), "")
		default:
			if err := nebula.ValidateTag(key, ""); err != nil {
				return nil, nil, err
			}
			remove = append(remove, key)
		}
	}
	if set, err = parseTags(sets); err != nil {
		return nil, nil, err
	}
	for _, key := range remove {
		if _, both := set[key]; both {
			return nil, nil, usage("the tag "+shorten(key)+" is both set and removed", "")
		}
	}
	return set, remove, nil
}

// parseTime reads a time, or a date: its first moment, UTC.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage(flag+" must be a time such as 2026-01-31T12:00:00Z, or a date such as 2026-01-31 (UTC)", "")
}

// parseDays reads the days of a rotation; 0 is none.
func parseDays(text string) (*nebula.RotationPolicy, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, usage("--rotation-days must be a number of days; 0 is no rotation", "")
	}
	return &nebula.RotationPolicy{IntervalDays: uint32(n)}, nil
}
