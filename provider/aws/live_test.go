package aws_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/providertest"
)

// liveConfig is for moto, in a region and under a prefix of its own.
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
