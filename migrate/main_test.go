package migrate_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for other processes.
func TestMain(m *testing.M) {
	if role := os.Getenv("NEBULA_TEST_ROLE"); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func play(role string) error {
	switch role {
	case "migrate":
		return migrateAsChild()
	case "fips":
		return underFIPS()
	}
	return fmt.Errorf("no role %s", role)
}
