package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Check examines directory, modes, owners, locks, what was left behind and
// the file system.
func (d *driver) Check(ctx context.Context) []nebula.Finding { return d.CheckEarly(ctx) }

// CheckEarly implements [provider.EarlyChecker]: opening refuses a directory
// that is not safe to use, and the examination says why.
func (d *driver) CheckEarly(ctx context.Context) []nebula.Finding {
	path := resolve(d.config.BasePath)
	x := &examination{driver: d, path: path}
	stat, err := atomicfile.StatPath(path)
	if isMissing(err) {
		x.missing()
		return x.findings
	}
	if err == nil {
		err = usable(path, stat)
	}
	if err != nil {
		x.failed("directory", err)
		return x.findings
	}
	dir, err := atomicfile.Open(path)
	if err != nil {
		x.failed("directory", err)
		return x.findings
	}
	defer dir.Close()
	x.base = &base{Dir: dir, id: stat.ID}
	x.directory(stat)
	x.lock()
	x.fileSystem()
	x.files(ctx)
	return x.findings
}

// examination collects findings.
type examination struct {
	driver   *driver
	path     string
	base     *base
	findings []nebula.Finding
}

func (x *examination) add(check string, severity nebula.Severity, message, fix string) {
	x.findings = append(x.findings, nebula.Finding{Check: check, Severity: severity, Message: message, Fix: fix})
}

func (x *examination) failed(check string, err error) {
	var e *nebula.Error
	if !errors.As(err, &e) {
		e = x.driver.explain(nebula.Name{}, err)
	}
	x.add(check, nebula.SeverityError, e.Message, e.Hint)
}

func (x *examination) missing() {
	if x.driver.config.CreateDir {
		x.add("directory", nebula.SeverityOK, x.path+" does not exist yet: the first write makes it", "")
		return
	}
	x.add("directory", nebula.SeverityError, x.path+" does not exist, and create_dir is false", atomicfile.MakeDir(x.path))
}

func (x *examination) directory(stat atomicfile.Stat) {
	if err := atomicfile.MayWrite(x.path); err != nil {
		x.failed("directory", &fs.PathError{Op: "write", Path: x.path, Err: err})
	} else {
		x.add("directory", nebula.SeverityOK, x.path, "")
	}
	if wide := stat.TooWide(); wide != "" {
		x.add("mode", nebula.SeverityWarning, x.path+" has "+wide, atomicfile.RestrictDir(x.path))
	} else {
		x.add("mode", nebula.SeverityOK, "only the owner may look into the directory", "")
	}
}

func (x *examination) lock() {
	if !x.driver.config.EnableLocking {
		x.add("lock", nebula.SeverityWarning,
			"enable_locking is false: preconditions and changes of the keyring are not supported", "set enable_locking = true")
		return
	}
	known, err := x.base.ProbeLock(lockName, keyringFile(x.driver.naming))
	switch {
	case err != nil:
		x.failed("lock", err)
	case known:
		x.add("lock", nebula.SeverityOK, "files can be locked", "")
	default:
		x.add("lock", nebula.SeverityOK, "whether files can be locked shows at the first write", "")
	}
}

func (x *examination) fileSystem() {
	const check = "file system"
	if network := x.base.NetworkFileSystem(); network != "" {
		x.add(check, nebula.SeverityWarning,
			"the directory is on "+network+", where locks may not hold between machines",
			"use it from one machine only, or use a local file system or another provider")
	} else {
		x.add(check, nebula.SeverityOK, "not known to be a network file system", "")
	}
	folds, err := x.base.foldsCase(x.driver.naming)
	switch {
	case err != nil:
		x.failed("case", err)
	case folds:
		x.add("case", nebula.SeverityWarning,
			"the file system does not tell upper from lower case: ids that differ by case alone are refused", "")
	}
}

// files looks at each name and reports each kind of trouble in one line.
func (x *examination) files(ctx context.Context) {
	const check = "files"
	var wide, linked, foreign, special, stale, stray troubles
	records := 0
	err := x.base.eachName(func(name string) bool {
		if atomicfile.IsTemp(name) && x.base.IsStale(name) {
			stale.note(name)
			return ctx.Err() == nil
		}
		if _, ok := x.driver.naming.id(name); !ok && name != keyringFile(x.driver.naming) && name != lockName {
			if !atomicfile.IsTemp(name) {
				stray.note(name)
			}
			return ctx.Err() == nil
		}
		stat, err := x.base.Lstat(name)
		switch {
		case err != nil: // gone
		case !stat.Mode.IsRegular():
			special.note(name)
		case stat.ForeignOwner() != "":
			foreign.note(name)
		case stat.TooWide() != "":
			wide.note(name)
		case stat.Links > 1:
			linked.note(name)
		default:
			records++
		}
		return ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		x.failed(check, err)
		return
	}
	x.report("special files", special, nebula.SeverityError, "are not regular files, and refused", "remove them or move them away")
	x.report("owner", foreign, nebula.SeverityWarning, "belong to another user", "chown them, or remove them")
	x.report("mode", wide, nebula.SeverityWarning, "are open to others than their owner", wide.restrict(x.path))
	x.report("hard links", linked, nebula.SeverityWarning, "have another name somewhere, which keeps an old record alive",
		"put the values again, and look for the other names: find / -xdev -samefile FILE")
	x.report("temporary files", stale, nebula.SeverityWarning, "were left by writers that died", "nebula list removes them")
	x.report("other files", stray, nebula.SeverityWarning, "are none of the store's: not listed, not read, not removed",
		"look where they come from, and move them away; a record has the name ID."+x.driver.config.FileExtension)
	if records > 0 && special.count+foreign.count+wide.count+linked.count == 0 {
		x.add(check, nebula.SeverityOK, "all have the right owner and mode", "")
	}
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

func (t troubles) names() string {
	s := strings.Join(t.first, ", ")
	if t.count > len(t.first) {
		s += ", …"
	}
	return s
}

// restrict returns the command that takes others' access to them away.
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
