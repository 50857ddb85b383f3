package process

// Harden prevents core dumps of the process.
func Harden() (undo func()) { return noCore() }
