package atomicfile

import (
	"os"

	"golang.org/x/sys/windows"
)

func makeDir(path string) error {
	attributes, err := ownerOnly(true)
	if err == nil {
		var name *uint16
		if name, err = windows.UTF16PtrFromString(path); err == nil {
			err = windows.CreateDirectory(name, attributes)
		}
	}
	if err != nil {
		return &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}
