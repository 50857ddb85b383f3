package vault

// AcceptsTag reports whether a tag is within the limits of Vault.
func AcceptsTag(key, value string) bool {
	return len(encodeText(key)) <= maxCustomKey && len(encodeText(value)) <= maxCustomValue
}
