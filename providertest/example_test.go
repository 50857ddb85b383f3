package providertest_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/providertest"
)

// The test of a provider is one call. This one tests the memory provider.
func ExampleRun() {
	testConformance := func(t *testing.T) {
		providertest.Run(t, providertest.Harness{
			New: func(t *testing.T, options ...provider.Option) nebula.Provider {
				p, err := memory.New(memory.DefaultConfig(), options...)
				if err != nil {
					t.Fatal(err)
				}
				return p
			},
			Abilities: []providertest.Ability{
				providertest.Connector, providertest.Describer, providertest.Restorer, providertest.Purger,
				providertest.Historian, providertest.VersionRetriever, providertest.BatchRetriever, providertest.Identifier, providertest.Checker,
			},
			MaxRecordSize:   memory.DefaultConfig().MaxRecordSize,
			ComparesKeyring: true,
		})
	}
	_ = testConformance // go test calls it by its name, TestConformance
}
