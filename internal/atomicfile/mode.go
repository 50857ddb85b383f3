package atomicfile

import "os"

// TooWide says why the file is open to others than its owner, or returns "".
// With group, the members of its group may read it.
//
// On Windows it is always "": an os.FileInfo does not lead to the access list.
// [TooWideFile] looks at that.
func TooWide(info os.FileInfo, group bool) string {
	if reason := foreignOwner(info); reason != "" {
		return reason
	}
	return tooWide(info.Mode().Perm(), group)
}
