package aws_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/histories"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/providertest"
)

// liveConfig is for moto, with its own region and prefix.
func liveConfig(t *testing.T, s *livetest.AWSServer) aws.Config {
	t.Helper()
	environment(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretAccessKey)
	c := aws.DefaultConfig()
	c.Region, c.EndpointURL = s.Region(t), s.Endpoint
	c.SecretPrefix = "p-" + strings.ToLower(rand.Text()) + "/"
	return c
}

func TestLiveConformance(t *testing.T) {
	s := livetest.AWS(t)
	providertest.Run(t, harness(few, func(t *testing.T) aws.Config { return liveConfig(t, s) }))
}

// If sixteen processes write one credential at once, their histories have an order.
func TestLiveHistories(t *testing.T) {
	c := liveConfig(t, livetest.AWS(t))
	name, _ := record(t, "contested", "", nil)
	histories.Contend(t, name, func(int) nebula.Provider { return open(t, c) }, histories.Load{Callers: 16, Rounds: 2, Seed: 1}).Verify(t)
}
