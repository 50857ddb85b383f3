package atomicfile

import "os"

const hasModes = false

func foreignOwner(os.FileInfo) string { return "" }

// ForeignOwner is not known on Windows.
func (s Stat) ForeignOwner() string { return "" }
