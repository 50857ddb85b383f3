package atomicfile

import "os"

// StageFunc is [Dir.Stage] for any amount of data. fill writes it piece by
// piece. If fill fails, no file is left.
func (d *Dir) StageFunc(fill func(Filling) error) (*Staged, error) {
	s, err := d.newStaged(false)
	if err != nil {
		return nil, err
	}
	if err = fill(Filling{s}); err == nil {
		err = s.flush()
	}
	if err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// Filling is a temporary file that is being written.
type Filling struct{ staged *Staged }

// Write implements [io.Writer].
func (f Filling) Write(p []byte) (int, error) {
	if err := f.staged.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Reset drops what was written.
func (f Filling) Reset() error {
	if err := f.staged.file.reset(); err != nil {
		return &os.PathError{Op: "truncate", Path: f.staged.path(), Err: err}
	}
	return nil
}
