package main

import (
	"math"
	"strings"
	"testing"
)

// Every character is equally likely. The test fails if chance gives a chi-squared
// statistic that high only once in 10^9 runs.
func TestGenerateHasNoBias(t *testing.T) {
	for _, alphabet := range []string{alphabetOf("alnum"), alphabetOf("hex"), alphabetOf("symbols"), "ab", digits, "abc"} {
		const n = 100_000
		value := string(generate(n, alphabet))
		if len(value) != n {
			t.Fatalf("%d characters", len(value))
		}
		expected, statistic := float64(n)/float64(len(alphabet)), 0.0
		for _, c := range alphabet {
			off := float64(strings.Count(value, string(c))) - expected
			statistic += off * off / expected
		}
		freedom := float64(len(alphabet) - 1)
		// Wilson and Hilferty's approximation, at 6 standard deviations.
		if limit := freedom * math.Pow(1-2/(9*freedom)+6*math.Sqrt(2/(9*freedom)), 3); statistic > limit {
			t.Errorf("of %q: %.1f, above %.1f", alphabet, statistic, limit)
		}
		if strings.Trim(value, alphabet) != "" {
			t.Errorf("there are characters not in %q", alphabet)
		}
	}
	if first, second := generate(40, "ab"), generate(40, "ab"); string(first) == string(second) {
		t.Error("the same value twice")
	}
}
