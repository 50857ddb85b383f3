package local

import (
	"context"
	"errors"
	"io/fs"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Check examines the directory, modes, owners, locks, files that were left, and
// the file system. It changes nothing.
func (d *driver) Check(ctx context.Context) []nebula.Finding { return d.CheckEarly(ctx) }

// CheckEarly implements [provider.EarlyChecker]: opening refuses a directory
// that is not safe to use, and the examination says why.
func (d *driver) CheckEarly(ctx context.Context) []nebula.Finding {
	path := atomicfile.Resolve(d.config.BasePath)
	x := &examination{driver: d, path: path}
	stat, err := atomicfile.StatPath(path)
	if isMissing(err) {
		x.missing()
		return x.findings
	}
	if err == nil {
		err = usable(path, stat)
	}
	if err == nil {
		x.base, err = openBase(path)
	}
	if err != nil {
		x.failed("directory", err)
		return x.findings
	}
	defer x.base.Close()
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
	locks    bool // files can be locked
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
	if !x.driver.config.CreateDir {
		x.add("directory", nebula.SeverityError, x.path+" does not exist, and create_dir is false", atomicfile.MakeDir(x.path))
		return
	}
	above, _, err := nearest(x.path)
	if err == nil {
		err = atomicfile.MayWrite(above)
	}
	if err == nil {
		x.add("directory", nebula.SeverityOK, x.path+" does not exist yet: the first write makes it", "")
		return
	}
	why := x.driver.explain(nebula.Name{}, &fs.PathError{Op: "mkdir", Path: x.path, Err: err})
	x.add("directory", nebula.SeverityError, "it does not exist and cannot be made: "+why.Message, why.Hint)
}

func (x *examination) directory(stat atomicfile.Stat) {
	if err := atomicfile.MayWrite(x.path); err != nil {
		why := x.driver.explain(nebula.Name{}, err)
		x.add("directory", nebula.SeverityWarning, "it can be read, and not written: "+why.Message, why.Hint)
	} else {
		x.add("directory", nebula.SeverityOK, x.path, "")
	}
	if wide := stat.TooWide(); wide != "" {
		x.add("mode", nebula.SeverityWarning, x.path+" has "+wide, restrict(x.path, atomicfile.RestrictDir(x.path)))
	} else {
		x.add("mode", nebula.SeverityOK, "only the owner may look into the directory", "")
	}
}

func (x *examination) lock() {
	const check = "lock"
	known, err := x.base.ProbeLock(lockName, keyringFile(x.driver.naming))
	x.locks = known && err == nil
	switch {
	case !x.driver.config.EnableLocking:
		fix := "set enable_locking = true"
		if err != nil {
			fix = "" // it would not help
		}
		x.add(check, nebula.SeverityWarning, "enable_locking is false: only one process at a time may write, preconditions and "+
			"changes of the keyring are not supported, and files that killed writers leave are not removed", fix)
	case err != nil:
		x.failed(check, err)
	case known:
		x.add(check, nebula.SeverityOK, "files can be locked", "")
	default:
		x.add(check, nebula.SeverityOK, "whether files can be locked shows at the first write", "")
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
