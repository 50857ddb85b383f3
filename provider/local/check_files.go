package local

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// files examines each file and reports each kind of trouble in one line.
func (x *examination) files(ctx context.Context) {
	const check = "files"
	var s survey
	err := x.base.eachName(func(name string) bool {
		x.note(&s, name)
		return ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		x.failed(check, err)
		return
	}
	x.report("special files", s.special, nebula.SeverityError, "are not regular files, and refused", "remove them or move them away")
	x.report("owner", s.foreign, nebula.SeverityWarning, "belong to another user", "chown them, or remove them")
	x.report("mode", s.wide, nebula.SeverityWarning, "are open to others than their owner ("+s.width+")", restrict(x.path, s.wide.restrict(x.path)))
	x.report("hard links", s.linked, nebula.SeverityWarning, "have another name somewhere, which keeps an old record alive",
		"put the values again, and look for the other names: find / -xdev -samefile FILE")
	x.report("temporary files", s.stale, nebula.SeverityWarning, "were left by writers that died", x.sweeping())
	x.report("temporary files", s.old, nebula.SeverityWarning,
		"are older than an hour; whether their writers live cannot be seen without locks", x.sweeping())
	x.report("keyring copies", s.keyrings, nebula.SeverityWarning,
		"look like other keyrings, and one may be the only one that opens some records",
		"keep them, and back them up, until every credential can be read with the store's own; "+
			"let no tool synchronise the directory from several machines")
	x.report("conflict copies", s.conflicts, nebula.SeverityWarning,
		"look like the copies of a tool that synchronises, made when two machines wrote; one may hold the newer value",
		"compare each with its original before you remove one; let no tool synchronise the directory from several machines")
	x.report("other files", s.stray, nebula.SeverityWarning, "do not belong to the store: not listed, not read, not removed",
		"find out where they come from, and move them away; a record has the name ID."+x.driver.config.FileExtension)
	if s.sound > 0 && s.special.count+s.foreign.count+s.wide.count+s.linked.count == 0 {
		x.add(check, nebula.SeverityOK, "all have the right owner and mode", "")
	}
}

// survey collects the files of the directory by kind of trouble.
type survey struct {
	special, foreign, wide, linked         troubles // of records, keyring and lock
	stale, old, keyrings, conflicts, stray troubles
	sound                                  int
	width                                  string // the mode of one that is too wide
}

// maxWriting is how long a temporary file is assumed to have a writer if locks
// do not show it.
const maxWriting = time.Hour

func (x *examination) note(s *survey, name string) {
	naming := x.driver.naming
	if _, ok := naming.id(name); ok || name == keyringFile(naming) || name == lockName {
		x.noteOwn(s, name)
		return
	}
	switch {
	case strings.HasPrefix(name, ".nfs"), strings.HasPrefix(name, ".fuse_hidden"):
		// The file system keeps a removed file that somebody has open.
	case atomicfile.IsTemp(name):
		if x.base.IsStale(name) {
			s.stale.note(name)
		} else if stat, err := x.base.Lstat(name); !x.locks && err == nil && now().Sub(time.Unix(0, stat.Mtime)) > maxWriting {
			s.old.note(name)
		}
	case x.isOtherKeyring(name):
		s.keyrings.note(name)
	case isConflict(name):
		s.conflicts.note(name)
	default:
		s.stray.note(name)
	}
}

// noteOwn looks at a record, the keyring or the lock.
func (x *examination) noteOwn(s *survey, name string) {
	stat, err := x.base.Lstat(name)
	switch {
	case err != nil: // gone
	case !stat.Mode.IsRegular():
		s.special.note(name)
	case stat.ForeignOwner() != "":
		s.foreign.note(name)
	case stat.TooWide() != "":
		s.wide.note(name)
		s.width = stat.TooWide()
	case stat.Links > 1:
		s.linked.note(name)
	default:
		s.sound++
	}
}

// isOtherKeyring reports whether a file may be a keyring other than the store's.
// Tools that synchronise directories give names of their own to files that they
// cannot merge, so the beginning of the name or the content decides.
func (x *examination) isOtherKeyring(name string) bool {
	own := nebula.KeyringName().String()
	if !strings.Contains(strings.ToLower(name), strings.TrimPrefix(own, ".")) {
		return false
	}
	data, stat, err := x.base.Read(name, maxRecord)
	if err != nil || stat.Size == 0 {
		return false
	}
	current, _, err := x.base.Read(keyringFile(x.driver.naming), maxRecord)
	if err == nil && bytes.Equal(current, data) {
		return false // nothing is lost without it
	}
	_, err = nebula.ParseEnvelope(nebula.KeyringName(), data)
	return err == nil || strings.HasPrefix(name, own+".") || isConflict(name)
}

// isConflict knows the words that such tools put into names: "conflicted copy",
// "sync-conflict", "conflicted", "SFConflict", and a number in brackets.
func isConflict(name string) bool {
	if strings.Contains(strings.ToLower(name), "conflict") {
		return true
	}
	_, rest, found := strings.Cut(name, " (")
	digits, _, closed := strings.Cut(rest, ")")
	return found && closed && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// sweeping says how to remove files that were left.
func (x *examination) sweeping() string {
	if x.locks && x.driver.config.EnableLocking {
		return "nebula list removes them"
	}
	return "remove them while no process writes"
}

func (x *examination) report(check string, t troubles, severity nebula.Severity, what, fix string) {
	if t.count > 0 {
		x.add(check, severity, fmt.Sprintf("%d %s: %s", t.count, what, t.names()), fix)
	}
}

// troubles are files with the same trouble, the first few by name.
type troubles struct {
	count int
	first []string
}

func (t *troubles) note(name string) {
	const shown = 3
	t.count++
	if len(t.first) < shown {
		t.first = append(t.first, name)
	}
}

// names lists the names, quoted unless they are plain: anybody may have chosen
// them.
func (t troubles) names() string {
	var names []string
	for _, name := range t.first {
		if atomicfile.Quote(name) != name {
			name = strconv.Quote(name)
		}
		names = append(names, name)
	}
	s := strings.Join(names, ", ")
	if t.count > len(t.first) {
		s += ", …"
	}
	return s
}

// restrict returns the command that removes others' access to them.
func (t troubles) restrict(dir string) string {
	if t.count > len(t.first) {
		return atomicfile.RestrictAll(dir)
	}
	var paths []string
	for _, name := range t.first {
		paths = append(paths, filepath.Join(dir, name))
	}
	return atomicfile.Restrict(paths...)
}
