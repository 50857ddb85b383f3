package vaultapi

import (
	"testing"
	"time"
)

func TestRenewAfter(t *testing.T) {
	for _, c := range []struct{ ttl, threshold, want time.Duration }{
		{90 * time.Minute, time.Hour, 30 * time.Minute},
		{10 * time.Hour, time.Hour, 400 * time.Minute},
		{30 * time.Minute, time.Hour, 20 * time.Minute}, // the life is shorter than the threshold
		{time.Hour, time.Hour, 40 * time.Minute},
		{3 * time.Second, 0, 2 * time.Second},
	} {
		if got := renewAfter(c.ttl, c.threshold, 0.5); got != c.want {
			t.Errorf("life %v, threshold %v: %v, want %v", c.ttl, c.threshold, got, c.want)
		}
		least, most := renewAfter(c.ttl, c.threshold, 0), renewAfter(c.ttl, c.threshold, 1)
		if least != c.want*9/10 || most != c.want*11/10 {
			t.Errorf("life %v: from %v to %v, want %v ± 10 %%", c.ttl, least, most, c.want)
		}
	}
}
