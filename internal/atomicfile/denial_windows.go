package atomicfile

// Denial has nothing to say where there are no modes.
func Denial(string, error) (fact, fix string) { return "", "" }

// OtherOwner says whom a file belongs to if that is nobody who may be trusted.
func OtherOwner(path string) string {
	stat, err := StatPath(path)
	if err != nil {
		return ""
	}
	return stat.ForeignOwner()
}
