package main

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// maxGenerated is the greatest number of characters that --generate makes.
const maxGenerated = 4096

const (
	digits  = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	symbols = "!#$%&()*+,-./:;<=>?@[]^_{|}~" // no quotes, backslash or space
)

// alphabetOf returns the characters of a named alphabet, or the given ones.
func alphabetOf(name string) string {
	switch name {
	case "", "alnum":
		return letters + digits
	case "hex":
		return digits + "abcdef"
	case "symbols":
		return letters + digits + symbols
	}
	return name
}

// checkGenerate refuses flags that exclude --generate.
func (o putOptions) checkGenerate(cmd *cobra.Command) error {
	flags := cmd.Flags()
	if !flags.Changed("generate") {
		if flags.Changed("alphabet") {
			return usage("--alphabet goes with --generate", "")
		}
		return nil
	}
	switch {
	case flags.Changed("alphabet") && o.alphabet == "":
		return usage("--alphabet is empty", "")
	case o.generate < 1 || o.generate > maxGenerated:
		return usage(fmt.Sprintf("--generate must be a number of characters, 1 to %d", maxGenerated), "")
	case o.file != "":
		return usage("--generate and --file exclude each other", "")
	case !isAlphabet(alphabetOf(o.alphabet)):
		return usage("--alphabet must be alnum, hex, symbols, or at least 2 different ASCII characters, each once", "")
	}
	return nil
}

func isAlphabet(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || strings.IndexByte(s[:i], s[i]) >= 0 {
			return false
		}
	}
	return len(s) >= 2
}

// generate returns n characters of an alphabet, each as likely as any other.
func generate(n int, alphabet string) []byte {
	value := make([]byte, 0, n)
	random := make([]byte, 2*n)
	defer clear(random)
	// The bytes beyond this limit would make the first characters more likely.
	limit := 256 - 256%len(alphabet)
	for {
		_, _ = rand.Read(random) // never fails
		for _, b := range random {
			if int(b) >= limit {
				continue
			}
			if value = append(value, alphabet[int(b)%len(alphabet)]); len(value) == n {
				return value
			}
		}
	}
}
