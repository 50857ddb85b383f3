package atomicfile

// Denial says nothing, because there are no modes.
func Denial(string, error) (fact, fix string) { return "", "" }

// OtherOwner says to whom a file belongs if the owner cannot be trusted.
func OtherOwner(path string) string {
	stat, err := StatPath(path)
	if err != nil {
		return ""
	}
	return stat.ForeignOwner()
}
