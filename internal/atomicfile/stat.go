package atomicfile

import (
	"os"
	"strconv"
	"time"
)

// Stat is what the file system says about a file. If two values are equal, the
// file is the same and unchanged, except for changes within one tick of the
// clock.
type Stat struct {
	Mode  os.FileMode // type and permissions
	Size  int64
	Links uint64
	Owner uint32 // 0 on Windows: see ForeignOwner
	ID    FileID
	Mtime int64 // nanoseconds since 1970
	Ctime int64 // nanoseconds since 1970; 0 on Windows

	//lint:ignore U1000 it is used on Windows
	granted granted // to others, by the access list on Windows
}

// FileID is the identity of a file, whatever its name.
type FileID struct{ Device, Inode uint64 }

// Settled reports whether a later change would show in the times. A file that
// has changed a moment ago could change again within the same tick of the
// clock.
func (s Stat) Settled(now time.Time) bool {
	const ticks = 2 * time.Second // FAT counts in these
	limit := now.Add(-ticks).UnixNano()
	return s.Mtime < limit && s.Ctime < limit
}

// TypeName describes the type of a file.
func TypeName(mode os.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a directory"
	case mode&os.ModeSymlink != 0:
		return "a symbolic link"
	case mode&os.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&os.ModeSocket != 0:
		return "a socket"
	case mode&os.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// NotRegularError is returned for the name of something that is not a regular
// file. It was neither followed nor changed.
type NotRegularError struct{ Mode os.FileMode }

func (e *NotRegularError) Error() string { return "not a regular file but " + TypeName(e.Mode) }

// TooLargeError is returned for a file over the limit of [Dir.Read].
type TooLargeError struct{ Size int64 }

func (e *TooLargeError) Error() string {
	return "the file has " + strconv.FormatInt(e.Size, 10) + " bytes"
}

// ReservedError is returned for a name that another process reserved and does
// not take. It occurs on file systems that have neither links nor a rename that
// replaces nothing.
type ReservedError struct{ Path string }

func (e *ReservedError) Error() string {
	return "another process began to make it and did not end; if none runs any more, remove " + e.Path
}
